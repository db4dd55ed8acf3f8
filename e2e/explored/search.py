"""The walk: from the first world on, all that can be reached, the nearest first, each once.

So the way to the first world that is wrong is the shortest there is.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from e2e.explored.machine import Wrong
from e2e.explored.worlds import Shop, Step, World

TOLD_EVERY_S = 5.0
LOOKED_EVERY = 256
"""Worlds between two looks at the clock."""


@dataclass
class Walk:
    """What was seen.

    depth: steps from the first world to the farthest
    ends:  worlds at rest
    whole: every world was visited; or else the bound came first
    wrong: what the last world was found guilty of; `path` leads there, step by step
    """

    worlds: int = 0
    steps: int = 0
    depth: int = 0
    ends: int = 0
    took_s: float = 0.0
    whole: bool = True
    wrong: str = ""
    path: list[str] = field(default_factory=list[str])


@dataclass
class Bound:
    """Where a walk stops: at so many worlds, or after so many seconds."""

    worlds: int = 10_000_000
    seconds: float = 1e9


def walk(
    shop: Shop,
    crashes: int,
    hold: Callable[[World], None],
    bound: Bound,
    tell: Callable[[Walk], None] = lambda _: None,
) -> Walk:
    """`hold` is given every world, and raises Wrong; so does what a step leads to."""
    walked, began_s = Walk(), time.monotonic()
    told_s = began_s
    came_from: dict[World, World | None] = {}
    world: World | None = None
    try:
        start = shop.start(crashes)
        came_from[start] = None
        layer = [start]
        while layer:
            walked.depth += 1
            following: list[World] = []
            for world in layer:
                hold(world)
                walked.worlds += 1
                at_rest = shop.is_at_rest(world)
                walked.ends += at_rest
                before = walked.steps
                for _, after in shop.following(world):
                    walked.steps += 1
                    if after not in came_from:
                        came_from[after] = world
                        following.append(after)
                _must_go_on(at_rest or walked.steps > before)
                if not walked.worlds % LOOKED_EVERY:
                    now_s = time.monotonic()
                    walked.took_s = now_s - began_s
                    if walked.worlds >= bound.worlds or walked.took_s >= bound.seconds:
                        walked.whole = False
                        return walked
                    if now_s - told_s > TOLD_EVERY_S:
                        told_s = now_s
                        tell(walked)
            layer = following
    except Wrong as error:
        walked.wrong = error.cause
        walked.path = _path(shop, came_from, world)
        if error.step is not None:
            walked.path.append(shop.tell(Step(*error.step)))
    walked.took_s = time.monotonic() - began_s
    return walked


def _must_go_on(goes_on: bool) -> None:
    if not goes_on:
        raise Wrong("stuck: nothing more can happen, and there is something to do")


def _path(shop: Shop, came_from: dict[World, World | None], world: World | None) -> list[str]:
    steps: list[str] = []
    while world is not None:
        before = came_from[world]
        if before is not None:
            steps.append(next(shop.tell(step) for step, after in shop.following(before) if after == world))
        world = before
    return steps[::-1]
