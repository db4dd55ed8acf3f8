"""Records that nobody can decode, and who must find that out."""

from collections.abc import Mapping

from e2e.simulated.broker import Broker
from e2e.simulated.scenario import Poison
from e2e.simulated.world import Service
from services.engine.messages import Record, encode_headers
from services.saga import PUBLIC

_WITHOUT = {"no-type": "ce_type", "no-id": "ce_id", "no-time": "ce_time"}


def poison(broker: Broker, fault: Poison, order_id: str, now_us: int) -> Record:
    """Puts the record where an event of its type would stand."""
    headers = dict(
        encode_headers(
            message_id=f"poison-{fault.type}-{now_us}",
            type_name=fault.type,
            source="nobody",
            time_us=now_us,
            traceparent="",
            cause_id="",
        )
    )
    headers.pop(_WITHOUT.get(fault.kind, ""), None)
    value = b"" if fault.kind == "empty" else b"\xff"
    return broker.append(PUBLIC[fault.type], order_id.encode(), headers, value)


def services_that_bury(fault: Poison, topic: str, services: Mapping[str, Service]) -> list[str]:
    """Whoever reads the topic; but a type that one does not know is not even looked into, if it can be told."""
    for_all = fault.kind in ("empty", "no-type")
    return sorted(
        name
        for name, service in services.items()
        if topic in service.participant.topics and (for_all or fault.type in service.participant.consumes)
    )
