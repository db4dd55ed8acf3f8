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
from services.engine.messages import Record, parse_time
from services.engine.participant import S
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
        published=[_published(record) for log in broker.logs.values() for record in log],
        stored=[stored for service in services.values() for stored in _stored(service)],
        stock={
            product: StockLevel(
                scenario.stock[product], customers.restocked.get(product, 0), stock.available, stock.reserved
            )
            for product, stock in _all(services["inventory"], Stock)
        },
        accounts={
            user: Balance(OPENING.balance_minor, customers.deposited.get(user, 0), account.balance_minor)
            for user, account in _all(services["payment"], Account)
        },
        statuses={
            order_id: StatusAtEnd(
                status_of(state.outcome.status), reason_of(Reason.Value(state.outcome.reason)), len(state.seen)
            )
            for order_id, state in _all(services["status"], StatusState)
        },
        poisoned=list(poisoned),
        faults=list(faults),
    )


def _published(record: Record) -> Published:
    headers = record.headers
    time = headers.get("ce_time", b"")
    return Published(
        record.topic,
        record.partition,
        record.offset,
        record.key.decode(),
        headers.get("ce_type", b"").decode(),
        headers.get("ce_id", b"").decode(),
        headers.get("ce_causationid", b"").decode(),
        headers.get("ce_source", b"").decode().rpartition("/")[2],
        parse_time(time) if time else 0,
        record.value,
    )


def _stored(service: Service) -> Iterator[Stored]:
    for event in service.store.events("", 0, ALL_EVENTS):
        yield Stored(
            service.name,
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


def _all(service: Service, kind: type[S]) -> Iterator[tuple[str, S]]:
    for entity, row in service.store.entities(f"{kind.kind}/").items():
        yield entity.partition("/")[2], decode_state(kind, row.state)
