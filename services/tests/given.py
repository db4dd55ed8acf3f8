"""Given events, when a command, then effects: a participant's handlers and folds, without an engine."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

import pytest

from services.engine.participant import (
    CannotHappen,
    Effect,
    Event,
    Fold,
    Participant,
    Refusal,
    S,
    State,
    States,
    key,
)

Entities = Mapping[str, State]


def state_of(participant: Participant, entities: Entities, entity: str) -> State:
    """An entity's state; that of one to which nothing has happened, if it is not there."""
    kinds = {kind.kind: kind for kind in participant.states}
    return entities[entity] if entity in entities else kinds[entity.partition("/")[0]]()


def decide(participant: Participant, entities: Entities, command: Any) -> list[Effect]:
    """What the participant decides; like in the engine, only the entities that it named can be read or changed."""
    handler = participant.handlers[type(command)]
    named = {entity: state_of(participant, entities, entity) for entity in handler.keys(command)}
    effects = list(handler.decide(States(named), command))
    for effect in effects:
        if isinstance(effect, Event | Fold) and effect.entity not in named:
            raise KeyError(effect.entity)
    return effects


def fold(participant: Participant, entities: Entities, effects: Iterable[Effect]) -> dict[str, State]:
    after = dict(entities)
    for effect in effects:
        if isinstance(effect, Event | Fold):
            state = state_of(participant, after, effect.entity)
            after[effect.entity] = participant.folds[type(effect.body)](state, effect.body)
    return after


class Given:
    """A participant to which some events have happened."""

    def __init__(self, participant: Participant, events: Iterable[Effect]) -> None:
        self._participant = participant
        self._entities = fold(participant, {}, events)

    def when(self, command: Any) -> "When":
        effects = decide(self._participant, self._entities, command)
        return When(effects, fold(self._participant, self._entities, effects))

    def cannot(self, command: Any) -> None:
        with pytest.raises(CannotHappen):
            decide(self._participant, self._entities, command)


class When:
    """What a command led to."""

    def __init__(self, effects: Sequence[Effect], after: Entities) -> None:
        self.effects = effects
        self._after = after

    def then(self, *effects: Effect) -> "When":
        assert list(self.effects) == list(effects)
        return self

    def then_refused(self, code: int, field: str = "") -> None:
        """A refusal with this code and field, and nothing beside it."""
        assert [(type(effect), *effect[::2]) for effect in self.effects] == [(Refusal, code, field)]

    def state(self, kind: type[S], entity_id: str) -> S:
        state = self._after.get(key(kind, entity_id), kind())
        assert isinstance(state, kind)
        return state


def given(participant: Participant, *events: Effect) -> Given:
    return Given(participant, events)


class Cell(NamedTuple):
    """One cell of a table state x command -> effects, next state; `then` None is "cannot happen"."""

    state: str
    command: Any
    then: Sequence[Effect] | None = ()
    following: str = ""

    @property
    def place(self) -> tuple[str, str]:
        return self.state, type(self.command).__name__

    def __str__(self) -> str:
        return "-".join(self.place)


class Table:
    """One kind of entity: what has happened to it in each state, and what each command does there."""

    def __init__(
        self, participant: Participant, kind: type[State], entity_id: str, histories: Mapping[str, Iterable[Effect]]
    ) -> None:
        self._participant = participant
        self._entity = key(kind, entity_id)
        self._histories = histories

    def holds(self, cell: Cell) -> None:
        before = fold(self._participant, {}, self._histories[cell.state])
        assert self._status(before) == cell.state
        if cell.then is None:
            Given(self._participant, self._histories[cell.state]).cannot(cell.command)
            return
        effects = decide(self._participant, before, cell.command)
        assert effects == list(cell.then)
        assert self._status(fold(self._participant, before, effects)) == cell.following

    def is_complete(self, cells: Sequence[Cell]) -> None:
        """Every command in every state, and each only once."""
        commands = {command for _, command in (cell.place for cell in cells)}
        assert sorted(cell.place for cell in cells) == sorted(product(self._histories, commands))

    def _status(self, entities: Entities) -> str:
        state: Any = state_of(self._participant, entities, self._entity)
        return state.status
