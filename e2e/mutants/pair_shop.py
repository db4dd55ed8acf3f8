"""A shop in which two replicas of every service work at the same time, on one PostgreSQL and a broker in memory.

Each is given its share of the partitions. Often one loses its share with the records in hand: then the other gets them
again, and both handle them, or each some of them. Both get the same requests, as by a client that has lost patience.
Now and then one dies, and is started again.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any, cast

from shop.common.v1.common_pb2 import OrderItem
from shop.order.v1.service_pb2 import CancelOrderRequest, PlaceOrderRequest

from e2e.history import Accepted, Balance, History, StockLevel
from e2e.mutants.pairs import Meeting, OneAtATime, Replica
from e2e.simulated.broker import Broker, BrokerPublisher, Member
from e2e.simulated.scenario import START_US
from e2e.simulated.taking import all_of, published_as, shown_at_end, stored_by
from e2e.simulated.world import OPENING, Clock, Killed, participants
from services.engine.faults import Fault
from services.engine.messages import Message, Record, type_name
from services.engine.participant import Participant, Reply
from services.inventory.decider import Stock
from services.payment.decider import Account
from services.saga import Mode
from services.status.fold import StatusState

ORDERS = 16
DEADLINE_S = 30.0
STOCK = {"product-1": 40, "product-2": 9}
USERS = ("ann", "bob")
REQUESTS_AT_ONCE = 8
ROUNDS_MAX = 400
POINTS = ("after-commit", "amid-publish", "before-mark")
KILLED_SHARE, REBALANCED_SHARE, SAME_SHARE = 0.3, 0.8, 0.3
"""Of all rounds, those in which one dies, and one loses its partitions; of these, those in which both do the same."""
HEARD_WITHIN_S = 5.0
ALL = 100_000


class Wrong(Exception):
    """`check` has found something."""

    def __init__(self, check_name: str, said: str) -> None:
        super().__init__(said)
        self.check = check_name


class Shop:
    """Some orders, from the first request until nothing is left to do.

    database: gives each service the URL of a database that is new and has all tables
    stack:    closes what was opened
    """

    def __init__(self, mode: Mode, database: Callable[[str], str], seed: int, stack: ExitStack) -> None:
        self._choose = random.Random(seed)
        self._clock = Clock(START_US)
        self._broker = Broker()
        self._lock = threading.Lock()
        self.accepted: dict[str, Accepted] = {}
        self.replicas: dict[str, tuple[Replica, Replica]] = {}
        self._members: dict[str, list[Member]] = {}
        self._mode: Mode = mode
        for each in participants(mode, tuple(STOCK.items()), DEADLINE_S):
            url, meeting = database(each.name), Meeting()
            pair = tuple(self._replica(each, url, meeting, stack) for _ in range(2))
            self.replicas[each.name] = cast("tuple[Replica, Replica]", pair)
            first = self._broker.group(each.topics)
            self._members[each.name] = [first, self._broker.join(first)]
            for replica in self.replicas[each.name]:
                replica.engine.start()

    def _replica(self, participant: Participant, url: str, meeting: Meeting, stack: ExitStack) -> Replica:
        publisher = OneAtATime(BrokerPublisher(self._broker, participant.name, {}), self._lock)
        replica = Replica(participant, url, meeting, publisher, self._clock)
        stack.callback(replica.store.close)
        if participant.name == "status":
            replica.store.listen(replica.hear)
            if not replica.told.wait(HEARD_WITHIN_S):
                raise Wrong("heard", "a replica does not listen")
        return replica

    def run(self) -> None:
        """Raises Wrong if a loop ends by an error."""
        requests = list(self._requests())
        for _ in range(ROUNDS_MAX):
            self._clock.now_us += 1000
            batch, requests = requests[:REQUESTS_AT_ONCE], requests[REQUESTS_AT_ONCE:]
            idle = True
            for name in self.replicas:
                commands = batch if name == "order" else []
                if commands or any(member.unread for member in self._members[name]):
                    idle = False
                    self._both(name, commands)
            if idle and not requests and not self._pass():
                return
        raise Wrong("ends-once", f"there is something to do after {ROUNDS_MAX} rounds")

    def _requests(self) -> Iterator[tuple[str, Any]]:
        for n in range(ORDERS):
            order_id = f"01977420-dc00-7000-8000-{n:012x}"
            pieces = self._choose.choice((1, 1, 2, 3, 21))
            products = self._choose.sample(tuple(STOCK), self._choose.randint(1, 2))
            yield (
                order_id,
                PlaceOrderRequest(
                    order_id=order_id,
                    user_id=self._choose.choice(USERS),
                    items=[OrderItem(product_id=product, quantity=pieces) for product in products],
                    delivery_address="1 Road",
                    accepted_us=self._clock.now_us,
                ),
            )
            if n % 3 == 0:
                yield order_id, CancelOrderRequest(order_id=order_id)

    def _all(self, member: Member) -> list[Record]:
        records: list[Record] = []
        while member.unread:
            records += member.take(self._choose, ALL)
        return records

    def _both(self, name: str, commands: Sequence[tuple[str, Any]]) -> None:
        """Each replica handles a batch, at the same time."""
        choose, pair, members = self._choose, self.replicas[name], self._members[name]
        if choose.random() < KILLED_SHARE:
            choose.choice(pair).faults.arm(Fault(choose.choice(POINTS), "kill"))
        taken = [self._all(member) for member in members]
        if choose.random() < REBALANCED_SHARE:
            stays, goes = choose.sample((0, 1), 2)
            self._broker.leave(members[goes])
            taken[stays] = self._all(members[stays])
            late = taken[goes] if choose.random() < SAME_SHARE else self._some(taken[goes])
            again = taken[stays] if late == taken[goes] else [each for each in taken[stays] if each not in late]
            self._at_once(name, pair, (again, late) if stays == 0 else (late, again), commands)
            self._at_once(name, pair, (taken[stays], []) if stays == 0 else ([], taken[stays]), ())
            members[stays].done(taken[stays])
            members[goes] = self._broker.join(members[stays])
        else:
            self._at_once(name, pair, (taken[0], taken[1]), commands)
            for member, records in zip(members, taken, strict=True):
                member.done(records)
        for member in members:
            member.commit()

    def _some(self, records: Sequence[Record]) -> list[Record]:
        """Those of some partitions."""
        places = sorted({(record.topic, record.partition) for record in records})
        chosen = self._choose.sample(places, (len(places) + 1) // 2)
        return [record for record in records if (record.topic, record.partition) in chosen]

    def _at_once(
        self,
        name: str,
        pair: tuple[Replica, Replica],
        shares: tuple[list[Record], list[Record]],
        commands: Sequence[tuple[str, Any]],
    ) -> None:
        errors: list[BaseException] = []

        def handle(replica: Replica, records: list[Record]) -> None:
            try:
                replica.engine.cycle(records, [self._message(*command) for command in commands])
                replica.engine.mark()
            except Killed:
                replica.restart()
            except BaseException as error:  # noqa: BLE001 whatever the mutant has led to
                errors.append(error)

        threads = [threading.Thread(target=handle, args=each) for each in zip(pair, shares, strict=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise Wrong("runs-on", f"{name}: {type(errors[0]).__name__}: {' '.join(str(errors[0]).split())}")

    def _message(self, order_id: str, body: Any) -> Message:
        def answer(result: Any) -> None:
            if isinstance(result, Exception):
                raise result
            if isinstance(result, Reply) and isinstance(body, PlaceOrderRequest):
                items = {item.product_id: item.quantity for item in body.items}
                self.accepted[order_id] = Accepted(order_id, body.user_id, items, self._clock.now_us)

        return Message(order_id, body, type_name(body), answer=answer)

    def _pass(self) -> bool:
        """Time passes to the next timer, which both replicas of its service fire; whether there was one."""
        due_us = {name: pair[0].store.next_timer_us() for name, pair in self.replicas.items()}
        coming_us = min((due for due in due_us.values() if due is not None), default=None)
        if coming_us is None:
            return False
        self._clock.now_us = max(self._clock.now_us, coming_us)
        for name, pair in self.replicas.items():
            due = due_us[name]
            if due is not None and due <= self._clock.now_us:
                for replica in pair:
                    replica.engine.look_for_timers()
                self._at_once(name, pair, ([], []), ())
        return True

    def history(self) -> History:
        stores = {name: pair[0].store for name, pair in self.replicas.items()}
        return History(
            self._mode,
            round(DEADLINE_S * 1_000_000),
            self._clock.now_us,
            accepted=self.accepted,
            published=[published_as(record) for log in self._broker.logs.values() for record in log],
            stored=[stored for name, store in stores.items() for stored in stored_by(name, store)],
            stock={
                product: StockLevel(STOCK[product], 0, level.available, level.reserved)
                for product, level in all_of(stores["inventory"], Stock)
            },
            accounts={
                user: Balance(OPENING.balance_minor, 0, account.balance_minor)
                for user, account in all_of(stores["payment"], Account)
            },
            statuses={order_id: shown_at_end(state) for order_id, state in all_of(stores["status"], StatusState)},
        )

    def all_is_heard(self) -> None:
        """Waits until each replica of status has heard of what the other has changed. Raises Wrong."""
        one, other = self.replicas["status"]
        deadline = time.monotonic() + HEARD_WITHIN_S
        while left := (one.changed - other.heard) | (other.changed - one.heard):
            if time.monotonic() > deadline:
                raise Wrong("heard", f"status: a replica was not told of {min(left)}, which the other has changed")
            time.sleep(0.02)  # between two looks at a condition
