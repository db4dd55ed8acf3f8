"""The gateway's lists, dashboard and events as types: what the commands read of them."""

from datetime import datetime

import msgspec

from sagaproof.documents import Document, Item, Money


class Listed(Document, frozen=True):
    """An order in a list."""

    order_id: str
    user_id: str
    status: str
    created_at: datetime
    items: tuple[Item, ...] = ()
    reason: str | None = None
    total: Money | None = None


class Orders(Document, frozen=True):
    """A page of `/orders`."""

    items: tuple[Listed, ...]


class Step(Document, frozen=True):
    """One step of a saga."""

    type: str
    service: str
    since_previous_ms: float
    compensation: bool
    detail: str | None = None


class Saga(Document, frozen=True):
    """The saga of an order."""

    order_id: str
    user_id: str
    status: str
    started_at: datetime
    steps: tuple[Step, ...]
    reason: str | None = None
    duration_ms: float | None = None


class Sagas(Document, frozen=True):
    """A page of `/sagas`."""

    items: tuple[Saga, ...]


class Event(Document, frozen=True):
    """An event of the event log."""

    id: str
    type: str
    time: datetime
    service: str
    key: str


class Events(Document, frozen=True):
    """A page of `/events`."""

    items: tuple[Event, ...]


class Latency(Document, frozen=True, rename={"p50_ms": "p50Ms", "p95_ms": "p95Ms", "p99_ms": "p99Ms"}):
    """From the POST to the ending."""

    orders: int
    p50_ms: float
    p95_ms: float
    p99_ms: float


class Minute(Document, frozen=True):
    """What happened in a minute."""

    begins_at: datetime
    accepted: int
    completed: int
    cancelled: int


class Dashboard(Document, frozen=True):
    """`/dashboard`: the shop in figures."""

    accepted: int
    completed: int
    cancelled: int
    cancelled_by_reason: dict[str, int]
    open: dict[str, int]
    open_is_partial: bool
    revenue: tuple[Money, ...]
    minutes: tuple[Minute, ...]
    latency: Latency | None = None


orders_decoder = msgspec.json.Decoder(Orders)
sagas_decoder = msgspec.json.Decoder(Sagas)
events_decoder = msgspec.json.Decoder(Events)
event_decoder = msgspec.json.Decoder(Event)
dashboard_decoder = msgspec.json.Decoder(Dashboard)
