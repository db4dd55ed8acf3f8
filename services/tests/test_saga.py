"""What holds for every row of the saga table, whatever it says: a new row is tested without a new test."""

from typing import Any

import pytest
from google.protobuf.message import Message as Proto
from shop.inventory.v1.commands_pb2 import ReleaseInventory, ReserveInventory
from shop.order.v1.service_pb2 import PlaceOrderRequest
from shop.payment.v1.commands_pb2 import ChargePayment, RefundPayment
from shop.shipping.v1.commands_pb2 import ShipOrder, StopShipment

from services import saga
from services.engine.participant import (
    CannotHappen,
    Effect,
    Event,
    Participant,
    Received,
    StartTimer,
    StopTimer,
    TimerFired,
)
from services.inventory.decider import OpenStock
from services.saga import ORCHESTRATED, SAGA, Fact, Row, outcome
from services.tests.given import Entities, decide, fold
from services.tests.shop import ORDER, PARTICIPANTS, SAMPLE_OF, TOLD, USER_ID
from services.topics import COMMAND_TOPICS

UNDONE_BY: dict[type[Proto], type[Proto]] = {
    ReserveInventory: ReleaseInventory,
    ChargePayment: RefundPayment,
    ShipOrder: StopShipment,
}


def command_of(row: Row) -> Any:
    """The command that a sample of the row's event means to the row's participant."""
    _, translate = PARTICIPANTS[row.participant].consumes[saga.full_name(row.event)]
    return translate(Received(SAMPLE_OF[row.event], "id", "/sagaproof/test", 0))


def beginnings(participant: Participant) -> list[Any]:
    """What a participant does before any row concerns it."""
    if participant.name == "order":
        return [PlaceOrderRequest(order_id=ORDER.order_id, user_id=USER_ID, items=ORDER.items)]
    return list(participant.at_start)


def carry_out(participant: Participant, entities: Entities, command: Any) -> tuple[list[Effect], Entities]:
    effects = decide(participant, entities, command)
    return effects, fold(participant, entities, effects)


def begun(participant: Participant) -> Entities:
    entities: Entities = {}
    for command in beginnings(participant):
        _, entities = carry_out(participant, entities, command)
    return entities


def reachable(participant: Participant) -> list[Entities]:
    """Every state that the participant's own rows can bring it to, for one order, in any order of them."""
    rows = [row for row in SAGA if row.participant == participant.name]
    found = [begun(participant)]
    for entities in found:  # grows while it is walked
        for row in rows:
            try:
                _, after = carry_out(participant, entities, command_of(row))
            except CannotHappen:
                continue
            if after not in found:
                found.append(after)
    return found


REACHABLE = {row.participant: reachable(PARTICIPANTS[row.participant]) for row in SAGA}


EVERY_ROW = pytest.mark.parametrize("row", SAGA, ids=lambda row: f"{row.participant} on {row.event.DESCRIPTOR.name}")
EVERY_UNDO = pytest.mark.parametrize(
    "row",
    [row for row in SAGA if row.command in UNDONE_BY.values()],
    ids=lambda row: f"{row.command.DESCRIPTOR.name} on {row.event.DESCRIPTOR.name}",
)


def do_of(undo: Row) -> Row:
    return next(row for row in SAGA if UNDONE_BY.get(row.command) is undo.command)


@EVERY_ROW
def test_repeating_a_command_changes_nothing(row: Row) -> None:
    participant, command = PARTICIPANTS[row.participant], command_of(row)
    for entities in REACHABLE[row.participant]:
        try:
            _, after = carry_out(participant, entities, command)
        except CannotHappen:
            continue
        assert decide(participant, after, command) == []


@EVERY_ROW
def test_an_answer_is_of_a_type_that_the_row_declares_or_private(row: Row) -> None:
    participant, command = PARTICIPANTS[row.participant], command_of(row)
    given_answers: set[type[Proto]] = set()
    for entities in REACHABLE[row.participant]:
        try:
            effects = decide(participant, entities, command)
        except CannotHappen:
            continue
        assert all(isinstance(effect, Event | StartTimer | StopTimer) for effect in effects)
        answers = {type(e.body) for e in effects if isinstance(e, Event) and type(e.body) in saga.TOPIC_OF}
        assert len(answers) <= 1
        given_answers |= answers
    assert given_answers <= set(row.answers)


@EVERY_ROW
def test_every_event_that_a_command_causes_can_be_folded_and_belongs_to_the_order_or_is_private(row: Row) -> None:
    participant, command = PARTICIPANTS[row.participant], command_of(row)
    for entities in REACHABLE[row.participant]:
        try:
            effects = decide(participant, entities, command)
        except CannotHappen:
            continue
        for event in (effect for effect in effects if isinstance(effect, Event)):
            assert type(event.body) in participant.folds
            if type(event.body) in saga.TOPIC_OF:  # its Kafka key is the entity's id
                assert event.entity.partition("/")[2] == ORDER.order_id


@EVERY_UNDO
def test_an_undo_that_comes_first_leaves_a_tombstone_and_the_do_after_it_does_nothing(row: Row) -> None:
    participant, do = PARTICIPANTS[row.participant], do_of(row)
    start = begun(participant)
    effects, tombstone = carry_out(participant, start, command_of(row))
    assert len(effects) == 1, "the tombstone is an event, so that it survives a rebuild"
    effects, after = carry_out(participant, tombstone, command_of(do))
    assert (effects, after) == ([], tombstone)


@EVERY_UNDO
def test_an_undo_puts_stock_and_money_back(row: Row) -> None:
    participant = PARTICIPANTS[row.participant]
    start = begun(participant)
    _, done = carry_out(participant, start, command_of(do_of(row)))
    _, undone = carry_out(participant, done, command_of(row))
    assert {entity: undone[entity] for entity in start} == dict(start)


@EVERY_UNDO
@pytest.mark.parametrize("order", ["undo undo", "do undo undo", "undo do undo", "undo undo do"])
def test_an_undo_is_answered_once(row: Row, order: str) -> None:
    participant = PARTICIPANTS[row.participant]
    commands = {"do": command_of(do_of(row)), "undo": command_of(row)}
    entities = begun(participant)
    answers: list[type[Proto]] = []
    for name in order.split():
        effects, entities = carry_out(participant, entities, commands[name])
        bodies = [type(effect.body) for effect in effects if isinstance(effect, Event)]
        answers += [body for body in bodies if body in row.answers]
    assert len(answers) == 1


def test_the_undos_are_commands_of_the_table_and_have_a_do_at_the_same_participant() -> None:
    for do, undo in UNDONE_BY.items():
        owners = [{row.participant for row in SAGA if row.command is command} for command in (do, undo)]
        assert owners[0] == owners[1] and len(owners[0]) == 1


def test_an_event_means_at_most_one_command_to_a_participant() -> None:
    pairs = [(row.participant, row.event) for row in SAGA]
    assert len(pairs) == len(set(pairs))


def test_every_participant_handles_every_command_of_its_rows() -> None:
    assert all(row.command in PARTICIPANTS[row.participant].handlers for row in SAGA)


def test_every_participant_consumes_just_its_rows_and_their_topics() -> None:
    for name in {row.participant for row in SAGA}:
        events = {row.event for row in SAGA if row.participant == name}
        commands = {row.command for row in SAGA if row.participant == name in ORCHESTRATED}
        participant = PARTICIPANTS[name]
        assert {cls for cls, _ in participant.consumes.values()} == events | commands
        assert set(participant.topics) == {saga.TOPIC_OF[event] for event in events}
        assert participant.consumer_group == name


def test_an_orchestrated_participant_hears_only_its_commands_in_a_group_of_its_own() -> None:
    for name, participant in TOLD.items():
        assert participant.topics == [saga.commands_topic(name)]
        assert participant.consumer_group == f"{name}-commands"
        assert participant.consumes.keys() == PARTICIPANTS[name].consumes.keys(), "so that dead letters can be replayed"


def test_the_topics_of_commands_are_those_that_are_made() -> None:
    assert set(COMMAND_TOPICS) == set(saga.COMMANDS.values()) == {t for p in TOLD.values() for t in p.topics}


@EVERY_ROW
def test_the_orchestrator_sends_just_what_the_participant_would_make_of_the_event_itself(row: Row) -> None:
    orchestrator = PARTICIPANTS["orchestrator"]
    if row.participant not in ORCHESTRATED:
        assert saga.full_name(row.command) not in orchestrator.public
        return
    _, translate = orchestrator.consumes[saga.full_name(row.event)]
    effects = decide(orchestrator, {}, translate(Received(SAMPLE_OF[row.event], "id", "/sagaproof/test", 0)))
    sent = [e.body for e in effects if isinstance(e, Event) and isinstance(e.body, row.command)]
    assert sent == [command_of(row)]
    topic = orchestrator.public[saga.full_name(row.command)]
    assert topic in TOLD[row.participant].topics
    _, itself = TOLD[row.participant].consumes[saga.full_name(row.command)]
    assert itself(Received(sent[0], "id", "/sagaproof/orchestrator", 0)) == command_of(row)


def test_the_orchestrator_hears_the_rows_and_the_answers_of_those_whom_it_commands() -> None:
    rows = [row for row in SAGA if row.participant in ORCHESTRATED]
    wanted = {event for row in rows for event in (row.event, *row.answers)}
    orchestrator = PARTICIPANTS["orchestrator"]
    assert set(orchestrator.consumes) == {saga.full_name(event) for event in wanted}
    assert set(orchestrator.topics) == {saga.TOPIC_OF[event] for event in wanted}


def test_every_public_event_is_published_by_a_participant_that_can_fold_it() -> None:
    for event, topic in saga.TOPIC_OF.items():
        owner = event.DESCRIPTOR.full_name.split(".")[1]
        assert event in PARTICIPANTS[owner].folds
        assert topic == {"order": "orders"}.get(owner, owner)


def test_every_answer_of_the_table_is_public() -> None:
    assert all(answer in saga.TOPIC_OF for row in SAGA for answer in row.answers)


def test_the_walk_reached_every_state_but_those_of_a_refusal() -> None:
    statuses = {
        getattr(state, "status", "") for walk in REACHABLE.values() for entities in walk for state in entities.values()
    }
    assert statuses >= {
        "reserved",
        "void",
        "released",
        "committed",
        "charged",
        "refunded",
        "shipped",
        "failed",
        "refused",
    }


def test_the_formula_of_an_ending_never_leads_back() -> None:
    names = [row.event.DESCRIPTOR.name for row in SAGA if row.participant == "order"]
    names += ["InventoryConfirmed", "PaymentCompleted"]
    for chosen in range(2 ** len(names)):
        facts = {name: Fact() for n, name in enumerate(names) if chosen >> n & 1}
        before = outcome(facts)
        for name in names:
            after = outcome({**facts, name: Fact()})
            # Which ending it is, is a matter of which facts can come together: see test_interleavings.
            assert after.ended if before.ended else after.status >= before.status


def test_the_log_lines_of_every_command_name_its_order() -> None:
    assert [saga.about(command_of(row)) for row in SAGA] == [{"order_id": ORDER.order_id}] * len(SAGA)
    assert saga.about(TimerFired(f"order/{ORDER.order_id}", "deadline")) == {"order_id": ORDER.order_id}
    assert saga.about(OpenStock(("product-1",))) == {}


def test_only_what_asks_for_no_answer_may_wait_for_others() -> None:
    waits = {row.event.DESCRIPTOR.name for row in SAGA if saga.full_name(row.event) in saga.unhurried(row.participant)}
    assert waits == {"Shipped"}
    assert saga.unhurried("order") == frozenset()
    assert PARTICIPANTS["inventory"].unhurried == saga.unhurried("inventory")
