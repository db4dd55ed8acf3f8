"""A world as a history, so that the checks can read it: what each service has stored, and what the topics hold of it.

Those who only read along are not in the worlds: at an end they are given all that there is, in one of its orders.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from e2e.explored.machine import START, Given, Local, Machine, Records
from e2e.history import Accepted, Balance, History, Mode, Published, StockLevel
from e2e.simulated.scenario import START_US
from e2e.simulated.taking import all_of, published_as, shown_at_end, stored_by
from e2e.simulated.world import OPENING
from services.inventory.decider import Stock
from services.payment.decider import Account
from services.status.fold import StatusState


class Histories:
    """Of one situation.

    stock:    what each product opens with
    accepted: the orders, by the name of the request that places each
    """

    def __init__(
        self,
        mode: Mode,
        deadline_s: float,
        stock: Mapping[str, int],
        accepted: Mapping[str, Accepted],
        records: Records,
    ) -> None:
        self._mode: Mode = mode
        self._deadline_us = round(deadline_s * 1_000_000)
        self._stock = stock
        self._accepted = accepted
        self._records = records

    def of(self, locals_: Mapping[str, Local], answered: Iterable[str]) -> History:
        """`answered`: names of requests. Where a service is not there, what it knows is not in the history."""
        history = History(self._mode, self._deadline_us, START_US)
        for name in answered:
            if name in self._accepted:
                history.accepted[self._accepted[name].order_id] = self._accepted[name]
        for name, local in locals_.items():
            history.stored += stored_by(name, local.store)
            offsets: dict[tuple[str, int], int] = {}
            for number in local.said:
                record = published_as(self._records.all[number])
                place = record.topic, record.partition
                offsets[place] = offset = offsets.get(place, -1) + 1
                history.published.append(_at(record, offset))
        if "inventory" in locals_:
            for product, level in all_of(locals_["inventory"].store, Stock):
                history.stock[product] = StockLevel(self._stock[product], 0, level.available, level.reserved)
        if "payment" in locals_:
            for user, account in all_of(locals_["payment"].store, Account):
                history.accounts[user] = Balance(OPENING.balance_minor, 0, account.balance_minor)
        if "status" in locals_:
            for order_id, state in all_of(locals_["status"].store, StatusState):
                history.statuses[order_id] = shown_at_end(state)
        return history


def _at(record: Published, offset: int) -> Published:
    """Where the first copies of what was said stand."""
    return msgspec.structs.replace(record, offset=offset)


def read_along(machines: Sequence[Machine], records: Records, locals_: Mapping[str, Local]) -> dict[str, Local]:
    """Each machine after the other is given all that the topics hold for it, one record at a time."""
    found = dict(locals_)
    for machine in machines:
        said = [number for local in found.values() for number in local.said if machine.hears(records.all[number])]
        local = machine.after(machine.first, START)
        for number in said:
            local = machine.after(local, Given("read", (number,)))
        found[machine.name] = machine.locals[local]
    return found
