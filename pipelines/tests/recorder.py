"""What a function asks of Dagger's engine, noted instead of sent: the real client, with nobody at the other end.

Everything above the wire is dagger-io's own: types, arguments, defaults, and objects turned into ids. An id is answered
with a name for what led to it, so that a whole graph can be read from its end.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pytest
from dagger.client import _core


class Call(NamedTuple):
    """One step of a chain: a field of the engine's API, and its arguments with every id replaced by its chain."""

    name: str
    arguments: Mapping[str, Any]


Chain = tuple[Call, ...]
Recording = list[Chain]
"""Every chain whose end was asked for, in order."""


class Engine:
    """Answers what ends a chain; what it is to say is in `says`, by the field's name."""

    def __init__(self, **says: Any) -> None:
        self.says: dict[str, Any] = {"exitCode": 0, "combinedOutput": "said", "publish": "image@sha256:0", **says}
        self.asked: Recording = []
        self._ids: dict[str, Chain] = {}

    async def execute(self, context: _core.Context) -> Any:
        await context.resolve_ids()
        chain = self._chain(context)
        self.asked.append(chain)
        end = chain[-1].name
        if end in ("id", "sync"):
            name = f"id-{len(self._ids)}"
            self._ids[name] = chain[:-1]
            return name
        return self.says[end]

    def install(self, monkeypatch: pytest.MonkeyPatch) -> "Engine":
        async def execute(context: _core.Context, _kind: Any = None) -> Any:
            return await self.execute(context)

        monkeypatch.setattr(_core.Context, "execute", execute)
        return self

    def _chain(self, context: _core.Context) -> Chain:
        calls: list[Call] = []
        for field in context.selections:
            if field.name == "node":
                calls += self._ids.get(field.args["id"], (Call("node", field.args),))
            else:
                calls.append(Call(field.name, {name: self._value(value) for name, value in field.args.items()}))
        return tuple(calls)

    def _value(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._value(each) for each in several(value)]
        return self._ids.get(value, value) if isinstance(value, str) else value


def several(value: Any) -> list[Any]:
    """A list as it is, anything else as the only one."""
    return list[Any](value) if isinstance(value, list) else [value]  # pyright: ignore[reportUnknownArgumentType]


def every_call(chain: Chain) -> Iterator[Call]:
    """Of a chain, and of all chains in its arguments."""
    for call in chain:
        for value in call.arguments.values():
            for each in several(value):
                if isinstance(each, tuple):
                    yield from every_call(each)  # pyright: ignore[reportUnknownArgumentType]
        yield call


def named(chain: Chain, name: str) -> list[Call]:
    return [call for call in every_call(chain) if call.name == name]
