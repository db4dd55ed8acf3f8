"""Folding all events of a service again, and comparing with the states that it has stored."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from services.engine.batch import decode_state, encode_state
from services.engine.messages import type_name
from services.engine.participant import Participant
from services.engine.store import Changes, Snapshot, StateRow, Store, StoredEvent


@dataclass
class Rebuilt:
    """different: of the entities whose stored state is not the fold of their events, what it is; None if nothing."""

    entities: int = 0
    events: int = 0
    different: dict[str, StateRow | None] = field(default_factory=dict[str, StateRow | None])


def rebuild(participant: Participant, store: Store, repair: bool = False) -> Rebuilt:
    """Compares inside one snapshot, while the service runs. With `repair` the service waits, and all is put right."""
    if not repair:
        with store.snapshot() as snapshot:
            return _compare(participant, snapshot)
    with store.transaction() as transaction:
        transaction.keep_others_out()
        with store.snapshot() as snapshot:
            result = _compare(participant, snapshot)
        right = {entity: row for entity, row in result.different.items() if row is not None}
        transaction.write(Changes(0, states=right))
        transaction.drop_states([entity for entity, row in result.different.items() if row is None])
        return result


def _compare(participant: Participant, snapshot: Snapshot) -> Rebuilt:
    result = Rebuilt()
    stored = dict(snapshot.states())
    for entity, row in _folded(participant, snapshot, result):
        result.entities += 1
        found = stored.pop(entity, None)
        if not same(found, row):
            result.different[entity] = row
    for entity in stored:  # a state without any event
        result.different[entity] = None
    return result


def _folded(participant: Participant, snapshot: Snapshot, result: Rebuilt) -> Iterator[tuple[str, StateRow]]:
    folds = {type_name_of(cls): (cls, fold) for cls, fold in participant.folds.items()}

    def entity_of(event: StoredEvent) -> str:
        return event.entity

    for entity, events in groupby(snapshot.events(), key=entity_of):
        kind = participant.kinds.get(entity.partition("/")[0])
        if kind is None:  # dead letters have events and no state
            continue
        state: Any = kind()
        version = 0
        for event in events:
            cls, fold = folds[event.type]
            state = fold(state, cls.FromString(event.payload))
            version = event.version
            result.events += 1
        yield entity, StateRow(version, encode_state(decode_state(kind, encode_state(state))))


def same(stored: StateRow | None, right: StateRow | None) -> bool:
    """Whether both say the same, however they are written down."""
    if stored is None or right is None or stored.version != right.version:
        return stored is right
    if stored.state == right.state:
        return True
    try:
        return json.loads(stored.state) == json.loads(right.state)
    except ValueError:  # what is stored is no JSON at all
        return False


def type_name_of(cls: type[Any]) -> str:
    """The full name of a generated class."""
    return type_name(cls())
