"""What is held against every state, every world and every end, and by what.

A state of one service, as it is reached: the checks that need no other service (`OF_A_STATE`); what a service that was
killed has not published yet, nobody misses. A world: rules about where an order stands with several services at once.
A world at rest, in which every order must have ended: all checks but that of what customers watched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from shop.common.v1.common_pb2 import OrderStatus

from e2e.checks import CHECKS, check
from e2e.checks.facts import short
from e2e.explored.histories import Histories, read_along
from e2e.explored.machine import Local, Machine, Records, Wrong
from e2e.explored.worlds import Shop, World
from services.engine.batch import decode_state
from services.engine.participant import S, key
from services.inventory.decider import Reservation
from services.order.decider import OrderState
from services.payment.decider import Charge
from services.shipping.decider import Shipment

OF_A_STATE: Mapping[str, Sequence[str]] = {
    "inventory": ("stock", "effects-once", "dead-letters"),
    "payment": ("money", "effects-once", "dead-letters"),
}
OF_ANY_STATE = ("effects-once", "dead-letters")
AT_AN_END = tuple(name for name in CHECKS if name != "watches")
DECIDERS = ("order", "inventory", "payment", "shipping")
"""In the order of the fields of a `Standing`."""
SHIPPED = ("shipped", "refused")
HELD = ("reserved", "committed")


class Standing(NamedTuple):
    """Of one order: what the order service has said of its end, and its reservation, charge and shipment."""

    ending: str
    reservation: str
    charge: str
    shipment: str


class Held:
    """The rules over one situation. Whatever was found right is not looked at again."""

    def __init__(self, histories: Histories, orders: Sequence[str], records: Records) -> None:
        self._histories = histories
        self._orders = orders
        self._records = records
        self._standings: dict[tuple[str, int], tuple[str, ...]] = {}
        self._right: set[tuple[tuple[str, ...], ...]] = set()
        self._ends: set[tuple[object, ...]] = set()

    @property
    def histories(self) -> int:
        """How many different ones there were at the ends."""
        return len(self._ends)

    def state(self, name: str, local: Local) -> None:
        history = self._histories.of({name: local}, ())
        _hold(check(history, OF_A_STATE.get(name, OF_ANY_STATE)))

    def world(self, shop: Shop, along: Sequence[Machine], world: World) -> None:
        standing = tuple(self._standing(machine, world[n]) for n, machine in enumerate(shop.machines))
        if standing not in self._right:
            by_name = dict(zip((machine.name for machine in shop.machines), standing, strict=True))
            for n, order in enumerate(self._orders):
                _must_be_possible(order, Standing(*(by_name[name][n] for name in DECIDERS)))
            self._right.add(standing)
        if shop.is_at_rest(world):
            self._end(shop, along, world)

    def _end(self, shop: Shop, along: Sequence[Machine], world: World) -> None:
        locals_ = {machine.name: machine.locals[world[n]] for n, machine in enumerate(shop.machines)}
        answered = shop.answered(world)
        seen = (tuple(answered), *((local.content.events, local.said) for local in locals_.values()))
        if seen in self._ends:
            return
        _hold(check(self._histories.of(read_along(along, self._records, locals_), answered), AT_AN_END))
        self._ends.add(seen)

    def _standing(self, machine: Machine, local: int) -> tuple[str, ...]:
        """Of each order, in a word."""
        found = self._standings.get((machine.name, local))
        if found is None:
            state = machine.locals[local]
            found = tuple(_stands(machine.name, state, order) for order in self._orders)
            self._standings[machine.name, local] = found
        return found


def _stands(name: str, local: Local, order_id: str) -> str:
    match name:
        case "inventory":
            return _state(local, Reservation, order_id).status
        case "payment":
            return _state(local, Charge, order_id).status
        case "shipping":
            return _state(local, Shipment, order_id).status
        case "order":
            ended = _state(local, OrderState, order_id).outcome
            return short(OrderStatus.Name(ended.status)) if ended.ended else "open"
        case _:
            return ""


def _state(local: Local, kind: type[S], order_id: str) -> S:
    row = local.store.entity(key(kind, order_id))
    return kind() if row is None else decode_state(kind, row.state)


def _must_be_possible(order_id: str, now: Standing) -> None:
    """Shipping decides: from then on an order is not undone; and it has ended only when that is so everywhere."""
    kept = now.reservation in HELD and now.charge == "charged"
    undone = now.reservation not in HELD and now.charge != "charged" and now.shipment not in SHIPPED
    if now.shipment in SHIPPED and not kept:
        raise Wrong(
            f"standing: order {order_id} is shipped, its reservation {now.reservation}, its charge {now.charge}"
        )
    if now.ending == "COMPLETED" and now.shipment not in SHIPPED:
        raise Wrong(f"standing: order {order_id} is completed, and its shipment {now.shipment}")
    if now.ending == "CANCELLED" and not undone:
        raise Wrong(f"standing: order {order_id} is cancelled, and {now}")


def _hold(violations: Sequence[object]) -> None:
    if violations:
        raise Wrong("\n".join(map(str, violations)))
