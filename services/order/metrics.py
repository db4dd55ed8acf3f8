"""Sagas in figures: how many began, how they ended, how long they took. Counted by order, which decides both.

With replicas each counts what it decided itself: add them up.
"""

from collections.abc import Mapping, Sequence
from functools import cache

from prometheus_client import Counter, Histogram
from shop.order.v1.events_pb2 import OrderCancelled, OrderCompleted, OrderCreated

from services.engine.participant import State
from services.engine.store import NewEvent
from services.order.decider import OrderState
from services.saga import full_name

SAGA_BUCKETS_S = (0.005, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)

ACCEPTED = Counter("sagaproof_sagas_accepted", "Orders that were accepted.")
ENDED = Counter(
    "sagaproof_sagas_ended", "Orders that have ended, by status, and by reason where cancelled.", ["status", "reason"]
)
SECONDS = Histogram(
    "sagaproof_saga_seconds",
    "Time from an order's acceptance to its ending in seconds, by status: what a customer waits.",
    ["status"],
    buckets=SAGA_BUCKETS_S,
)

_CREATED = full_name(OrderCreated)
_ENDINGS = {full_name(OrderCompleted): "COMPLETED", full_name(OrderCancelled): "CANCELLED"}
_ended = cache(ENDED.labels)
_seconds = {status: SECONDS.labels(status) for status in _ENDINGS.values()}


def on_events(events: Sequence[NewEvent], states: Mapping[str, State]) -> None:
    """Of one batch that was committed."""
    accepted = 0
    for event in events:
        if event.type == _CREATED:
            accepted += 1
        elif event.type in _ENDINGS:
            status, state = _ENDINGS[event.type], states[event.entity]
            assert isinstance(state, OrderState)
            reason = state.outcome.reason.removeprefix("REASON_") if status == "CANCELLED" else ""
            _ended(status, reason).inc()
            if state.accepted_us:  # orders of before it was kept have none
                _seconds[status].observe((event.time_us - state.accepted_us) / 1_000_000)
    if accepted:
        ACCEPTED.inc(accepted)
