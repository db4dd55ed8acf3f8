"""A situation in a mode, put together and walked."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from e2e.explored.held import Held
from e2e.explored.histories import Histories
from e2e.explored.machine import Machine, Records
from e2e.explored.search import Bound, Walk, walk
from e2e.explored.situations import ALONG, DEADLINE_S, PARTICIPANTS, PRODUCT, Situation
from e2e.explored.worlds import Shop
from e2e.simulated.world import participants
from services.saga import Mode


class Explored(NamedTuple):
    """states: of all machines; runs: of the engine; histories: different ones at the ends."""

    walk: Walk
    states: int
    runs: int
    histories: int


def explore(
    situation: Situation, mode: Mode, crashes: int, bound: Bound, tell: Callable[[Walk], None] = lambda _: None
) -> Explored:
    stock = {PRODUCT: situation.stock}
    records = Records()
    histories = Histories(mode, DEADLINE_S, stock, situation.accepted(), records)
    held = Held(histories, situation.order_ids, records)
    made = {each.name: each for each in participants(mode, tuple(stock.items()), DEADLINE_S)}
    requests = situation.requests()
    machines = [Machine(made[name], records, requests, held.state) for name in PARTICIPANTS if name in made]
    along = [Machine(made[name], records, {}, held.state) for name in ALONG]
    shop = Shop(machines, records, situation.order_ids, situation.asking, situation.late, situation.whole_batches)
    walked = walk(shop, crashes, lambda world: held.world(shop, along, world), bound, tell)
    states = sum(len(machine.locals) for machine in machines)
    return Explored(walked, states, sum(machine.runs for machine in machines), held.histories)
