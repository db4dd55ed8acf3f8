"""A small shop for tests: the catalogue that comes with sagaproof, all participants, and a sample of every event."""

from collections.abc import Mapping

from google.protobuf.message import Message as Proto
from google.protobuf.timestamp_pb2 import Timestamp
from shop.admin.v1.events_pb2 import DeadLettered
from shop.common.v1.common_pb2 import DeliveryStatus, Money, Order, OrderItem, Reason
from shop.inventory.v1 import commands_pb2 as inventory_commands
from shop.inventory.v1 import events_pb2 as inventory_events
from shop.notification.v1 import events_pb2 as notification_events
from shop.orchestrator.v1 import events_pb2 as orchestrator_events
from shop.order.v1 import events_pb2 as order_events
from shop.payment.v1 import commands_pb2 as payment_commands
from shop.payment.v1 import events_pb2 as payment_events
from shop.shipping.v1 import commands_pb2 as shipping_commands
from shop.shipping.v1 import events_pb2 as shipping_events

from services import catalogue
from services.engine.participant import Participant
from services.inventory import decider as inventory
from services.marketing import fold as marketing
from services.notification import decider as notification
from services.orchestrator import decider as orchestrator
from services.order import decider as order_service
from services.payment import decider as payment
from services.shipping import decider as shipping
from services.status import fold as status

ORDER_ID = "0190c0de-0000-7000-8000-000000000001"
USER_ID = "ada"
CATALOGUE = catalogue.read("")

PARTICIPANTS: Mapping[str, Participant] = {
    participant.name: participant
    for participant in (
        order_service.participant(order_service.Policy(), CATALOGUE),
        inventory.participant(CATALOGUE),
        payment.participant(payment.Opening()),
        shipping.participant(shipping.Policy()),
        notification.participant(),
        orchestrator.participant(),
        status.participant(),
        marketing.participant(),
    )
}

TOLD: Mapping[str, Participant] = {
    participant.name: participant
    for participant in (
        inventory.participant(CATALOGUE, "orchestrated"),
        payment.participant(payment.Opening(), "orchestrated"),
        shipping.participant(shipping.Policy(), "orchestrated"),
    )
}
"""Those who take commands from the orchestrator, as they are in orchestrated mode."""


def usd(amount_minor: int) -> Money:
    return Money(amount_minor=amount_minor, currency="USD")


def order(pieces: Mapping[str, int], order_id: str = ORDER_ID, user_id: str = USER_ID) -> Order:
    """An order as it is accepted: product -> pieces, no price yet."""
    items = [OrderItem(product_id=product_id, quantity=quantity) for product_id, quantity in pieces.items()]
    return Order(order_id=order_id, user_id=user_id, items=items, delivery_address="1 Analytical Row")


def priced(accepted: Order) -> Order:
    """The same order as inventory passes it on."""
    return inventory.price(CATALOGUE, accepted)


ORDER = order({"product-1": 2, "product-2": 1})
PRICED = priced(ORDER)

SAMPLES: tuple[Proto, ...] = (
    order_events.OrderCreated(order=ORDER, request_hash=b"\x01\x02", accepted_us=1_700_000_000_000_000),
    order_events.OrderCancellationRequested(order=ORDER, reason=Reason.REASON_CANCELLED_BY_CUSTOMER),
    order_events.OrderCompleted(order=PRICED),
    order_events.OrderCancelled(order=PRICED, reason=Reason.REASON_SHIPMENT_FAILED, detail="PARCEL_TOO_LARGE"),
    order_events.FactRecorded(fact="ShipmentFailed", reason=Reason.REASON_SHIPMENT_FAILED, detail="PARCEL_TOO_LARGE"),
    inventory_events.InventoryConfirmed(order=PRICED),
    inventory_events.InventoryRejected(order=ORDER, detail="product-1: 2 wanted, 1 available"),
    inventory_events.InventoryReleased(order=PRICED, released=ORDER.items),
    inventory_events.StockReplenished(product_id="product-1", quantity=7, request_id="r-1"),
    inventory_events.StockCommitted(order=PRICED),
    inventory_events.StockOpened(product_id="product-1", quantity=100),
    inventory_events.StockReserved(product_id="product-1", quantity=2, order_id=ORDER_ID),
    inventory_events.StockReturned(product_id="product-1", quantity=2, order_id=ORDER_ID),
    inventory_events.StockDispatched(product_id="product-1", quantity=2, order_id=ORDER_ID),
    inventory_events.RestockAccepted(request_id="r-1", product_id="product-1", quantity=7),
    payment_events.PaymentCompleted(order=PRICED, amount=PRICED.total),
    payment_events.PaymentFailed(order=PRICED, detail="10997 asked, 5 in the account"),
    payment_events.PaymentRefunded(order=PRICED, amount=PRICED.total),
    payment_events.AccountOpened(user_id=USER_ID, balance=usd(100_000)),
    payment_events.AccountDebited(user_id=USER_ID, amount=PRICED.total, order_id=ORDER_ID),
    payment_events.AccountCredited(user_id=USER_ID, amount=PRICED.total, order_id=ORDER_ID),
    payment_events.DepositAccepted(request_id="d-1", user_id=USER_ID, amount=usd(500)),
    shipping_events.Shipped(order=PRICED, tracking_number="SP-0123456789AB"),
    shipping_events.ShipmentFailed(order=PRICED, reason=Reason.REASON_SHIPMENT_FAILED, detail="PARCEL_TOO_LARGE"),
    shipping_events.CancellationRefused(order=PRICED),
    shipping_events.DeliveryProgressed(
        order=PRICED, status=DeliveryStatus.DELIVERY_STATUS_IN_TRANSIT, tracking_number="SP-0123456789AB"
    ),
    orchestrator_events.StepTaken(
        fact="ShipmentFailed",
        reason=Reason.REASON_SHIPMENT_FAILED,
        detail="PARCEL_TOO_LARGE",
        time=Timestamp(seconds=1_700_000_000, nanos=123_456_000),
    ),
    inventory_commands.ReserveInventory(order=ORDER),
    inventory_commands.CommitReservation(order=PRICED),
    inventory_commands.ReleaseInventory(order=PRICED),
    payment_commands.ChargePayment(order=PRICED),
    payment_commands.RefundPayment(order=PRICED),
    shipping_commands.ShipOrder(order=PRICED),
    shipping_commands.StopShipment(order=ORDER, reason=Reason.REASON_CANCELLED_BY_CUSTOMER),
    notification_events.NotificationSent(order=PRICED, about="Shipped", text="Your order is on its way."),
    DeadLettered(
        id="orders/0/7",
        cause="Undecodable: the record is empty",
        topic="orders",
        partition=0,
        offset=7,
        key=b"k",
        headers={"ce_id": b"i"},
        payload=b"\xff",
    ),
)
"""One of every event, public and private, and of every command that is sent, with every field set."""

SAMPLE_OF: Mapping[type[Proto], Proto] = {type(sample): sample for sample in SAMPLES}
