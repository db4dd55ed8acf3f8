"""What every row of the saga table must do, made from the table: a new row is held to it without a test of its own.

Each command of a participant is given in every sequence of its commands that can happen, its own repetition included.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import pytest
from google.protobuf.message import Message as Proto
from shop.order.v1.service_pb2 import PlaceOrderRequest
from shop.payment.v1.events_pb2 import PaymentFailed
from shop.payment.v1.service_pb2 import DepositRequest
from shop.shipping.v1.events_pb2 import ShipmentFailed

from services.engine.participant import CannotHappen, Received, State
from services.saga import ORCHESTRATED, SAGA, Row, full_name
from services.tests.given import decide, fold
from services.tests.shop import ORDER, ORDER_ID, PARTICIPANTS, SAMPLE_OF, USER_ID, usd

LENGTH = 3
"""Commands before the one that is looked at. No participant has more than three states on one way."""
FAILURES = (PaymentFailed, ShipmentFailed)
"""Events after which what was done has to be undone."""

Entities = Mapping[str, State]


def name(row: Row) -> str:
    return f"{row.participant}-{row.event.DESCRIPTOR.name}"


def command_of(row: Row) -> Any:
    """What the row's event means to its participant."""
    cls, translate = PARTICIPANTS[row.participant].consumes[full_name(row.event)]
    assert cls is row.event
    return translate(Received(SAMPLE_OF[row.event], f"id-{row.event.DESCRIPTOR.name}", "/sagaproof/test", 1_000_000))


BEFORE: Mapping[str, Sequence[Any]] = {
    "order": [PlaceOrderRequest(order_id=ORDER_ID, user_id=USER_ID, items=ORDER.items)],
    "payment": [DepositRequest(request_id="d-1", user_id=USER_ID, amount=usd(500))],
}
"""What has happened to a participant before: an order is placed, and there is an account."""


def begun(participant: str) -> Entities:
    """At the start of an order's saga."""
    commands = [*PARTICIPANTS[participant].at_start, *BEFORE.get(participant, ())]
    entities = given(participant, {}, commands)
    assert entities is not None
    return entities


def given(participant: str, entities: Entities, commands: Sequence[Any]) -> Entities | None:
    """After these; None if one of them cannot happen there."""
    for command in commands:
        try:
            effects = decide(PARTICIPANTS[participant], entities, command)
        except CannotHappen:
            return None
        entities = fold(PARTICIPANTS[participant], entities, effects)
    return entities


def ways(row: Row) -> list[Sequence[Any]]:
    """All sequences of at most `LENGTH` commands of the participant."""
    commands = [command_of(other) for other in SAGA if other.participant == row.participant]
    return [way for length in range(LENGTH + 1) for way in product(commands, repeat=length)]


def shared(entities: Entities) -> Entities:
    """What orders share, such as stock and accounts: entities that are not of this order alone."""
    return {entity: state for entity, state in entities.items() if ORDER_ID not in entity}


@pytest.mark.parametrize("row", SAGA, ids=name)
def test_repeating_the_command_of_a_row_says_and_changes_nothing(row: Row) -> None:
    command, seen = command_of(row), 0
    for way in ways(row):
        entities = given(row.participant, begun(row.participant), [*way, command])
        if entities is not None:
            assert decide(PARTICIPANTS[row.participant], entities, command) == [], [type(c).__name__ for c in way]
            seen += 1
    assert seen, "it can never happen"


UNDONE: list[tuple[Row, Row]] = [
    (do, undo)
    for undo in SAGA
    if undo.event in FAILURES and undo.participant in ORCHESTRATED
    for do in SAGA
    if do.participant == undo.participant and do.event not in FAILURES and do.answers
]
"""What is done, and how the same participant undoes it."""


def pair(rows: tuple[Row, Row]) -> str:
    do, undo = rows
    return f"{do.command.DESCRIPTOR.name}-{name(undo)}"


def test_every_failure_has_something_to_undo() -> None:
    assert {undo.event for _, undo in UNDONE} == set(FAILURES)


@pytest.mark.parametrize("rows", UNDONE, ids=pair)
def test_a_failure_after_the_command_takes_back_all_that_it_took(rows: tuple[Row, Row]) -> None:
    do, undo = (command_of(row) for row in rows)
    start = begun(rows[0].participant)
    done = given(rows[0].participant, start, [do])
    undone = given(rows[0].participant, start, [do, undo])
    assert done is not None
    assert undone is not None
    assert shared(done) != shared(start), "there is nothing to take back"
    assert shared(undone) == shared(start)


@pytest.mark.parametrize("rows", UNDONE, ids=pair)
def test_an_undo_that_comes_before_its_do_leaves_nothing_to_be_done(rows: tuple[Row, Row]) -> None:
    do, undo = (command_of(row) for row in rows)
    start = begun(rows[0].participant)
    voided = given(rows[0].participant, start, [undo])
    assert voided is not None
    assert decide(PARTICIPANTS[rows[0].participant], voided, do) == []
    assert shared(voided) == shared(start)


@pytest.mark.parametrize("rows", UNDONE, ids=pair)
def test_an_undo_takes_back_once_however_often_it_comes(rows: tuple[Row, Row]) -> None:
    do, undo = (command_of(row) for row in rows)
    for commands in ([do, undo], [undo], [undo, do], [do, undo, do]):
        entities = given(rows[0].participant, begun(rows[0].participant), commands)
        assert entities is not None
        assert decide(PARTICIPANTS[rows[0].participant], entities, undo) == []


def test_the_commands_of_all_rows_have_samples() -> None:
    missing: list[type[Proto]] = [row.event for row in SAGA if row.event not in SAMPLE_OF]
    assert missing == []
