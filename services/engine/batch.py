"""Deciding a batch in memory: messages and the states that they need in, everything that one transaction writes out.

Pure but for the answers that it collects. A message that cannot be decided is dead-lettered and leaves no other trace;
those before and after it in the batch are not touched.
"""

import logging
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import Any

import msgspec
from shop.admin.v1.events_pb2 import DeadLettered
from shop.admin.v1.service_pb2 import DeadLetterStatus, ReplayDeadLetterResponse

from services.engine import ids
from services.engine.messages import Answer, Message, Record, timer_record, type_name
from services.engine.participant import (
    Event,
    Fold,
    Participant,
    Refusal,
    Reply,
    S,
    StartTimer,
    State,
    States,
    StopTimer,
    TimerFired,
)
from services.engine.store import Changes, DeadLetter, NewEvent, NewLogged, StateRow, Timer

CAUSE_MAX = 2000
"""Characters of a dead letter's cause that are kept."""

log = logging.getLogger(__name__)


@cache
def _decoder(kind: type[State]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def decode_state(kind: type[S], state: str) -> S:
    """A stored state as its class."""
    return _decoder(kind).decode(state)


def encode_state(state: State) -> str:
    return msgspec.json.encode(state).decode()


class Batch:
    """One run over a batch's messages. Used once: a retried transaction starts with a new one.

    changes: what to write
    answers: what to tell waiting RPCs after the commit
    to_publish: Kafka keys whose unmarked rows must be published now: of new events, and of inbox hits
    states:  entities that changed, with their new state
    `changes` are whole after `finish`.
    """

    def __init__(
        self,
        participant: Participant,
        seen: set[str],
        rows: Mapping[str, StateRow],
        entities: Sequence[str],
        now_us: int,
    ) -> None:
        self._participant = participant
        self._seen = seen
        self._versions = {entity: row.version for entity, row in rows.items()}
        self._states = {entity: self._decode(entity, rows.get(entity)) for entity in entities}
        self._before = dict(self._states) if participant.indexes else self._states
        self._read = States(self._states)
        self.changes = Changes(now_us)
        self.answers: list[tuple[Answer, Reply | Refusal | Exception]] = []
        self.to_publish: set[str] = set()
        self.states: dict[str, State] = {}
        self.duplicates = 0

    def decide(self, message: Message) -> None:
        """Handles one message; never raises for what the message holds."""
        if self._is_stopped_timer(message):
            return
        if message.record is not None and not message.replay:
            if message.id in self._seen:
                self.duplicates += 1
                self.to_publish.add(message.record.key.decode("utf-8", "replace"))
                return
            self._seen.add(message.id)
        try:
            answer = self._handle(message)
        except Exception as error:  # noqa: BLE001 a bug or CannotHappen: it concerns this message alone
            self._refuse(message, error)
            return
        if message.record is not None:
            self.changes.inbox.add(message.id)
            if self._participant.keeps_log:
                self.changes.log.append(logged(message, message.record))
        if message.replay:
            self.changes.replayed.append(message.replay)
            answer = Reply(ReplayDeadLetterResponse(status=DeadLetterStatus.DEAD_LETTER_STATUS_REPLAYED))
        if message.answer is not None:
            unanswered = RuntimeError(f"{message.type} was not answered")
            self.answers.append((message.answer, unanswered if answer is None else answer))

    def finish(self) -> None:
        """Writes down how each entity is at the end of the batch: once, however often it has changed."""
        for entity, state in self.states.items():
            self.changes.states[entity] = StateRow(self._versions[entity], encode_state(state))
        indexes = self._participant.indexes
        if indexes is None:
            return
        for entity, state in self.states.items():
            before, after = list(indexes(self._before[entity])), list(indexes(state))
            if before != after:
                self.changes.unindexed.extend((row, entity) for row in before if row not in after)
                self.changes.indexed.extend((row, entity) for row in after if row not in before)

    def dead_letter(self, letter_id: str, record: Record, cause: str) -> None:
        """Keeps a record that cannot be handled, once, and lets its partition move on."""
        if letter_id in self._seen:
            return
        self._seen.add(letter_id)
        self.changes.inbox.add(letter_id)
        cause = cause[:CAUSE_MAX]
        now_us = self.changes.time_us
        topic = f"{self._participant.name}.dlq"
        body = DeadLettered(
            id=letter_id,
            cause=cause,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            key=record.key,
            headers=record.headers,
            payload=record.value,
        )
        message_id = ids.message_id(self._participant.name, letter_id, "DeadLetter", 0)
        event = NewEvent(
            f"dead-letter/{letter_id}",
            1,
            type_name(body),
            message_id,
            letter_id,
            topic,
            letter_id,
            body.SerializeToString(deterministic=True),
            "",
            now_us,
        )
        self.changes.dead_letters.append((DeadLetter(letter_id, "open", cause, record, now_us), event))
        self.to_publish.add(letter_id)
        log.warning("dead letter", extra={"dead_letter_id": letter_id, "cause": cause, "key": _text(record.key)})

    def _is_stopped_timer(self, message: Message) -> bool:
        """Whether an earlier message of this batch has stopped or moved the timer that fires here."""
        timer = message.command
        if not isinstance(timer, TimerFired) or message.replay:
            return False
        name = (timer.entity, timer.name)
        return name in self.changes.stopped or name in self.changes.timers

    def _handle(self, message: Message) -> Reply | Refusal | None:
        participant = self._participant
        command = message.command
        answer: Reply | Refusal | None = None
        states: dict[str, State] = {}
        versions: dict[str, int] = {}
        events: list[NewEvent] = []
        timers: list[StartTimer | StopTimer] = []
        # The decider reads the states as they were before this message, however far it has come: hence the list.
        for effect in list(participant.handlers[type(command)].decide(self._read, command)):
            if isinstance(effect, (Event, Fold)):
                entity = effect.entity
                if entity in states:
                    state, version = states[entity], versions[entity] + 1
                else:
                    state, version = self._states[entity], self._versions.get(entity, 0) + 1
                states[entity] = participant.folds[type(effect.body)](state, effect.body)
                versions[entity] = version
                if isinstance(effect, Event):
                    events.append(self._new_event(message, effect, version, len(events)))
            elif isinstance(effect, (Reply, Refusal)):
                answer = effect
            else:
                timers.append(effect)
        if isinstance(answer, Refusal) and states:
            raise RuntimeError(f"{type(command).__name__} was refused and changed {sorted(states)}")
        self._states.update(states)
        self._versions.update(versions)
        self.states.update(states)
        self.changes.events.extend(events)
        for event in events:
            if event.topic is not None:
                self.to_publish.add(event.key)
        self._set_timers(message, timers)
        return answer

    def _new_event(self, message: Message, event: Event, version: int, index: int) -> NewEvent:
        participant = self._participant
        name = type_name(event.body)
        message_id = ids.message_id(participant.name, message.id, type(message.command).__name__, index)
        return NewEvent(
            event.entity,
            version,
            name,
            message_id,
            message.id,
            participant.public.get(name),
            event.entity.partition("/")[2],
            event.body.SerializeToString(),
            ids.child_traceparent(message.traceparent, message_id),
            self.changes.time_us,
        )

    def _set_timers(self, message: Message, effects: Sequence[StartTimer | StopTimer]) -> None:
        changes = self.changes
        if isinstance(message.command, TimerFired) and not message.replay:
            changes.stopped.add((message.command.entity, message.command.name))
        for effect in effects:
            if isinstance(effect, StopTimer):
                changes.stopped.add((effect.entity, effect.name))
                changes.timers.pop((effect.entity, effect.name), None)
            else:
                due_us = changes.time_us + round(effect.after_s * 1_000_000)
                version = self._versions.get(effect.entity, 0)
                timer = Timer(effect.entity, effect.name, version, due_us, message.traceparent)
                changes.timers[effect.entity, effect.name] = timer

    def _refuse(self, message: Message, error: Exception) -> None:
        cause = f"{type(error).__name__}: {error}"
        if message.answer is not None:
            log.error("command failed", exc_info=error, extra={"cause_id": message.id, "type": message.type})
            self.answers.append((message.answer, error))
            return
        log.warning("cannot be decided", exc_info=error, extra={"cause_id": message.id, "type": message.type})
        self._seen.discard(message.id)
        if message.record is None:
            timer: TimerFired = message.command
            self.changes.stopped.add((timer.entity, timer.name))
            self.dead_letter(message.id, timer_record(message), cause)
        else:
            self.dead_letter(message.id, message.record, cause)

    def _decode(self, entity: str, row: StateRow | None) -> State:
        kind = self._participant.kinds[entity.partition("/")[0]]
        return kind() if row is None else decode_state(kind, row.state)


def logged(message: Message, record: Record) -> NewLogged:
    """An event as a read model's event log keeps it."""
    headers = record.headers
    return NewLogged(
        message.id,
        message.type,
        _text(record.key),
        _service(headers.get("ce_source", b"")),
        message.time_us,
        _text(headers.get("ce_causationid", b"")),
        message.traceparent,
        record.value,
    )


@lru_cache(maxsize=64)
def _service(source: bytes) -> str:
    return _text(source).rpartition("/")[2]


def _text(key: bytes) -> str:
    return key.decode("utf-8", "replace")
