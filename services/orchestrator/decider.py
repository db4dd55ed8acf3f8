"""All the business of the orchestrator: upon an event, send the commands that the table names; no rules of its own.

| event | commands |
|---|---|
| seen before | - |
| of a row of inventory, payment or shipping | those of the rows |
| another answer of theirs | -, but it says how the saga stands |

A command depends on nothing but its event: not on what was seen before, nor on what has succeeded. So on ShipmentFailed
it sends the release and the refund, whatever it knows of a reservation or a charge, and two requests to stop with
different reasons are both sent. Who gets a command that means nothing to him does nothing.
"""

from typing import Any, ClassVar

import msgspec
from google.protobuf.message import Message as Proto
from google.protobuf.timestamp_pb2 import Timestamp
from shop.orchestrator.v1 import events_pb2 as events
from shop.orchestrator.v1 import service_pb2 as api

from services import saga
from services.engine.participant import Effect, Event, Handler, Participant, Received, State, States, key
from services.saga import Fact, Outcome


class Step(Fact, frozen=True):
    """An event that came: when it happened, and the full names of the commands that were sent."""

    time_us: int = 0
    commands: tuple[str, ...] = ()


class SagaState(State, frozen=True):
    """saga/<order id>: the same for the same set of events, in whatever order they came.

    steps: by the short name of the event, with its reason if it has one
    """

    kind: ClassVar[str] = "saga"
    steps: dict[str, Step] = {}

    @property
    def outcome(self) -> Outcome:
        return saga.outcome({_event(name): step for name, step in self.steps.items()})


class Advance(msgspec.Struct, frozen=True):
    """The command that every event means to the orchestrator: take its saga one step on."""

    received: Received

    @property
    def order_id(self) -> str:
        event: Any = self.received.body
        return event.order.order_id


def keys_of_advance(command: Advance) -> list[str]:
    return [key(SagaState, command.order_id)]


def advance(states: States, command: Advance) -> list[Effect]:
    received = command.received
    name, fact = received.body.DESCRIPTOR.name, saga.fact_of(received.body)
    if _step(name, fact) in states.get(SagaState, command.order_id).steps:
        return []
    entity = key(SagaState, command.order_id)
    step = events.StepTaken(fact=name, reason=fact.reason, detail=fact.detail, time=_timestamp(received.time_us))
    return [Event(entity, step), *(Event(entity, body) for body in saga.commands_on(received))]


def taken(state: SagaState, event: events.StepTaken) -> SagaState:
    fact = saga.fact_of(event)
    step = Step(fact.reason, fact.detail, event.time.ToMicroseconds())
    return SagaState({**state.steps, _step(event.fact, fact): step})


def sent(state: SagaState, command: Proto) -> SagaState:
    """The command belongs to the step that was taken last."""
    name = next(reversed(state.steps), "")
    step = state.steps.get(name, Step())
    more = msgspec.structs.replace(step, commands=(*step.commands, command.DESCRIPTOR.full_name))
    return SagaState({**state.steps, name: more})


def _step(event: str, fact: Fact) -> str:
    return event if fact.reason == saga.NO_REASON else f"{event}/{fact.reason}"


def _event(step: str) -> str:
    return step.partition("/")[0]


def describe(order_id: str, state: SagaState) -> api.GetSagaResponse:
    """A saga as it is shown."""
    now = state.outcome
    steps = [
        api.SagaStep(
            event=_event(name),
            reason=step.reason,
            detail=step.detail,
            time=_timestamp(step.time_us),
            commands=step.commands,
        )
        for name, step in sorted(state.steps.items(), key=lambda item: (item[1].time_us, item[0]))
    ]
    return api.GetSagaResponse(order_id=order_id, status=now.status, reason=now.reason, detail=now.detail, steps=steps)


def _timestamp(time_us: int) -> Timestamp:
    return Timestamp(seconds=time_us // 1_000_000, nanos=time_us % 1_000_000 * 1000)


def participant() -> Participant:
    return Participant(
        name="orchestrator",
        topics=sorted({saga.TOPIC_OF[event] for event in saga.OF_INTEREST}),
        consumes={saga.full_name(event): (event, Advance) for event in saga.OF_INTEREST},
        handlers={Advance: Handler(keys_of_advance, advance)},
        folds={events.StepTaken: taken, **{row.command: sent for row in saga.ORCHESTRATED_ROWS}},
        states=(SagaState,),
        public=saga.COMMANDS,
        about=saga.about,
    )
