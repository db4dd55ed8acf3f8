"""What status lists and counts, as JSON: lists of orders and sagas, the saga table, the dashboard, events."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import BaseModel, ConfigDict, Field, JsonValue
from pydantic.alias_generators import to_camel
from shop.common.v1 import common_pb2
from shop.status.v1 import dashboard_pb2, lists_pb2

from gateway.documents import money, name_of, order_status
from gateway.models import Item, Money


class _View(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, serialize_by_alias=True)


class OrderSummary(_View):
    """An order in a list."""

    order_id: str
    user_id: str
    status: str
    reason: str | None
    reason_detail: str | None
    items: list[Item]
    total: Money | None
    delivery: str | None = Field(description="How far its parcel is, once it has shipped.")
    created_at: str
    updated_at: str
    seq: int


class SagaStep(_View):
    type: str
    service: str
    time: str
    since_previous_ms: float
    compensation: bool = Field(description="Whether it undoes what was done, or says that it has to be.")
    detail: str | None


class Saga(_View):
    """The saga of one order, step by step."""

    order_id: str
    user_id: str
    status: str
    reason: str | None
    reason_detail: str | None
    started_at: str
    duration_ms: float | None = Field(description="null while it is open.")
    steps: list[SagaStep]


class SagaRow(_View):
    """On `event`, `participant` carries out `command`, and answers with one of `answers`, or with nothing."""

    participant: str
    event: str
    topic: str
    command: str
    answers: list[str]
    command_topic: str | None = Field(description="Where the orchestrator sends the command; null where none does.")


class Topic(_View):
    name: str
    partitions: int


class SagaTable(_View):
    mode: str = Field(description="choreographed or orchestrated.")
    rows: list[SagaRow]
    topics: list[Topic]


class Latency(_View):
    """From an order's acceptance to its ending; each figure within 10 %."""

    orders: int
    p50_ms: float
    p95_ms: float
    p99_ms: float


class Minute(_View):
    begins_at: str
    accepted: int
    completed: int
    cancelled: int


class Dashboard(_View):
    accepted: int = Field(description="All orders ever accepted.")
    completed: int
    cancelled: int
    cancelled_by_reason: dict[str, int]
    open: dict[str, int] = Field(description="Orders that have not ended, by status.")
    open_is_partial: bool = Field(description="Whether there were too many open orders to count all of them.")
    revenue: list[Money] = Field(description="Of completed orders, one sum for each currency.")
    latency: Latency | None = Field(description="Of orders that ended in these minutes.")
    minutes: list[Minute] = Field(description="The last in which anything happened, the oldest first.")


class Event(_View):
    """A public event as it was published."""

    id: str
    type: str
    full_type: str
    time: str
    service: str
    topic: str
    key: str
    order_id: str | None
    causation_id: str | None
    trace_id: str | None
    data: JsonValue = Field(description="null for a type that this gateway does not know.")


def summary(order: lists_pb2.OrderSummary) -> OrderSummary:
    return OrderSummary(
        order_id=order.order_id,
        user_id=order.user_id,
        status=order_status(order.status),
        reason=_reason(order.reason),
        reason_detail=order.reason_detail or None,
        items=[
            Item(
                product_id=item.product_id,
                quantity=item.quantity,
                unit_price=money(item.unit_price) if item.HasField("unit_price") else None,
            )
            for item in order.items
        ],
        total=money(order.total) if order.HasField("total") else None,
        delivery=name_of(common_pb2.DeliveryStatus.DESCRIPTOR, order.delivery) if order.delivery else None,
        created_at=time_text(order.created_at),
        updated_at=time_text(order.updated_at),
        seq=order.seq,
    )


def saga(message: lists_pb2.Saga) -> Saga:
    return Saga(
        order_id=message.order_id,
        user_id=message.user_id,
        status=order_status(message.status),
        reason=_reason(message.reason),
        reason_detail=message.reason_detail or None,
        started_at=time_text(message.started_at),
        duration_ms=_ms(message.duration) if message.HasField("duration") else None,
        steps=[
            SagaStep(
                type=step.type,
                service=step.service,
                time=time_text(step.time),
                since_previous_ms=_ms(step.since_previous),
                compensation=step.compensation,
                detail=step.detail or None,
            )
            for step in message.steps
        ],
    )


def saga_table(message: lists_pb2.GetSagaTableResponse) -> SagaTable:
    return SagaTable(
        mode=message.mode,
        rows=[
            SagaRow(
                participant=row.participant,
                event=row.event,
                topic=row.topic,
                command=row.command,
                answers=list(row.answers),
                command_topic=row.command_topic or None,
            )
            for row in message.rows
        ],
        topics=[Topic(name=topic.name, partitions=topic.partitions) for topic in message.topics],
    )


def dashboard(message: dashboard_pb2.Dashboard) -> Dashboard:
    latency = message.latency
    return Dashboard(
        accepted=message.accepted,
        completed=message.completed,
        cancelled=message.cancelled,
        cancelled_by_reason={
            name_of(common_pb2.Reason.DESCRIPTOR, each.reason): each.orders for each in message.reasons
        },
        open={order_status(each.status): each.orders for each in message.open},
        open_is_partial=message.open_is_partial,
        revenue=[money(each) for each in message.revenue],
        latency=Latency(orders=latency.orders, p50_ms=latency.p50_ms, p95_ms=latency.p95_ms, p99_ms=latency.p99_ms)
        if latency.orders
        else None,
        minutes=[
            Minute(
                begins_at=time_text(minute.begins_at),
                accepted=minute.accepted,
                completed=minute.completed,
                cancelled=minute.cancelled,
            )
            for minute in message.minutes
        ],
    )


def time_text(time: Timestamp) -> str:
    return time.ToJsonString()


def _reason(reason: int) -> str | None:
    return name_of(common_pb2.Reason.DESCRIPTOR, reason) if reason else None


def _ms(duration: Duration) -> float:
    return duration.ToMicroseconds() / 1000
