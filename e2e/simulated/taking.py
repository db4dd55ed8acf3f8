"""A simulated shop at rest, as a history."""

from collections.abc import Iterator, Mapping, Sequence

from shop.common.v1.common_pb2 import Reason

from e2e.history import (
    Balance,
    FaultSpan,
    History,
    Poisoned,
    Published,
    StatusAtEnd,
    StockLevel,
    Stored,
)
from e2e.simulated.broker import Broker
from e2e.simulated.customers import Customers, reason_of, status_of
from e2e.simulated.scenario import Scenario
from e2e.simulated.world import OPENING, Service
from services.engine.batch import decode_state
from services.engine.messages import Record, Undecodable, parse_time
from services.engine.participant import S
from services.engine.store import Store
from services.inventory.decider import Stock
from services.payment.decider import Account
from services.status.fold import StatusState

ALL_EVENTS = 1_000_000


def take(
    scenario: Scenario,
    services: Mapping[str, Service],
    broker: Broker,
    customers: Customers,
    faults: Sequence[FaultSpan],
    poisoned: Sequence[Poisoned],
    now_us: int,
) -> History:
    """All that customers saw, topics hold and services keep."""
    return History(
        mode=scenario.mode,
        deadline_us=round(scenario.deadline_s * 1_000_000),
        ended_us=now_us,
        accepted=customers.accepted,
        observed=customers.observed,
        published=[published_as(record) for log in broker.logs.values() for record in log],
        stored=[stored for service in services.values() for stored in stored_by(service.name, service.store)],
        stock={
            product: StockLevel(
                scenario.stock[product], customers.restocked.get(product, 0), stock.available, stock.reserved
            )
            for product, stock in all_of(services["inventory"].store, Stock)
        },
        accounts={
            user: Balance(OPENING.balance_minor, customers.deposited.get(user, 0), account.balance_minor)
            for user, account in all_of(services["payment"].store, Account)
        },
        statuses={order_id: shown_at_end(state) for order_id, state in all_of(services["status"].store, StatusState)},
        poisoned=list(poisoned),
        faults=list(faults),
    )


def shown_at_end(state: StatusState) -> StatusAtEnd:
    """What status says of an order."""
    now = state.outcome
    return StatusAtEnd(status_of(now.status), reason_of(Reason.Value(now.reason)), len(state.seen))


def published_as(record: Record) -> Published:
    """A record, as a history has it."""
    headers = record.headers

    def header(name: str) -> str:
        return headers.get(name, b"").decode("utf-8", "replace")

    return Published(
        record.topic,
        record.partition,
        record.offset,
        record.key.decode(),
        header("ce_type"),
        header("ce_id"),
        header("ce_causationid"),
        header("ce_source").rpartition("/")[2],
        _time_us(headers.get("ce_time", b"")),
        record.value,
    )


def _time_us(header: bytes) -> int:
    """0 of what does not say when it happened."""
    try:
        return parse_time(header)
    except Undecodable:
        return 0


def stored_by(service: str, store: Store) -> Iterator[Stored]:
    """All events of a service's store, in order."""
    for event in store.events("", 0, ALL_EVENTS):
        yield Stored(
            service,
            event.seq,
            event.entity,
            event.version,
            event.type,
            event.message_id,
            event.cause_id,
            event.topic,
            event.key,
            event.time_us,
            event.payload,
        )


def all_of(store: Store, kind: type[S]) -> Iterator[tuple[str, S]]:
    """Every entity of a kind, by its id."""
    for entity, row in store.entities(f"{kind.kind}/").items():
        yield entity.partition("/")[2], decode_state(kind, row.state)
