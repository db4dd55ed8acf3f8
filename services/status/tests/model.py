"""The status read model on a real store and without a broker: events in, its reading side out."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from uuid import uuid4

from google.protobuf.message import Message as Proto
from shop.common.v1.common_pb2 import Reason
from shop.inventory.v1.events_pb2 import InventoryConfirmed, InventoryRejected
from shop.order.v1.events_pb2 import OrderCancelled, OrderCompleted, OrderCreated
from shop.payment.v1.events_pb2 import PaymentCompleted
from shop.shipping.v1.events_pb2 import Shipped

from services import saga
from services.engine.mailbox import Mailbox
from services.engine.messages import Record, encode_headers
from services.engine.rpc import Commands
from services.engine.shadow import Shadow
from services.engine.sqlite import SqliteStore
from services.status.fold import participant
from services.tests.shop import order, priced

START_MS = 1_767_268_800_000
"""When the first order of a test is placed: 2026-01-01 12:00 UTC."""


def order_id(ms: int, number: int = 0) -> str:
    """The id of an order that was placed so long after START_MS."""
    digits = f"{START_MS + ms:012x}"
    return f"{digits[:8]}-{digits[8:]}-7000-8000-{number:012x}"


def story(an_id: str, ending: str = "COMPLETED", user: str = "ada", steps: int = 99) -> list[Proto]:
    """The first events of an order that ends so; open where there are fewer steps than it takes."""
    accepted = order({"product-1": 1}, an_id, user)
    known = priced(accepted)
    if ending == "COMPLETED":
        events: list[Proto] = [
            OrderCreated(order=accepted),
            InventoryConfirmed(order=known),
            PaymentCompleted(order=known, amount=known.total),
            Shipped(order=known, tracking_number="SP-1"),
            OrderCompleted(order=known),
        ]
    else:
        events = [
            OrderCreated(order=accepted),
            InventoryRejected(order=accepted, detail="none left"),
            OrderCancelled(order=accepted, reason=Reason.REASON_OUT_OF_STOCK, detail="none left"),
        ]
    return events[:steps]


class Model:
    def __init__(self, folder: Path) -> None:
        self.store = SqliteStore(str(folder / "status.db"))
        self.commands = Commands(Mailbox(), self.store)
        self._fold = Shadow(participant(), self.store)
        self._offset = 0

    def see(self, events: Iterable[Proto], *, ms: int = 0, step_ms: float = 5, partition: int = 0) -> list[str]:
        """Handles these events, the first of which happened so long after START_MS; their message ids."""
        records = [
            self._record(event, START_MS * 1000 + round(1000 * (ms + number * step_ms)), partition)
            for number, event in enumerate(events)
        ]
        self.fold(records)
        return [record.headers["ce_id"].decode() for record in records]

    def fold(self, records: Sequence[Record]) -> None:
        self._fold.fold(records)

    def _record(self, event: Proto, time_us: int, partition: int) -> Record:
        carried = getattr(event, "order", None)
        key = carried.order_id if carried is not None else "product-1"
        headers = encode_headers(
            message_id=str(uuid4()),
            type_name=saga.full_name(type(event)),
            source=saga.full_name(type(event)).split(".")[1],
            time_us=time_us,
            traceparent=f"00-{'a' * 32}-{'b' * 16}-01",
            cause_id="cause",
        )
        self._offset += 1
        topic = saga.TOPIC_OF[type(event)]
        return Record(topic, partition, self._offset, key.encode(), dict(headers), event.SerializeToString())

    def close(self) -> None:
        self.store.close()
