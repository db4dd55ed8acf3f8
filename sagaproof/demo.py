"""`sagaproof demo`: the five endings of an order on the running shop, a crash in the middle of one, and the count.

It can be played again and again: users have new names each time, stock and money are added where a scene needs more
than there is, and the count is computed from what was there before. What a scene pauses goes on, whatever happens.
Raises CommandError when something does not end as it should.
"""

import contextlib
import time
from contextlib import ExitStack

from rich.console import Console
from shop.admin.v1 import service_pb2 as admin_pb2

from sagaproof.client import Gateway
from sagaproof.errors import CommandError, Unreachable
from sagaproof.rpc import Admin, Inventory, Payment
from sagaproof.running import Places
from sagaproof.stage import Stage

MOST_OF_ONE_PRODUCT = 1000
"""What one order may ask of a product."""

RESTART_S = 20.0
POLL_S = 0.1


def play(gateway: Gateway, places: Places, console: Console) -> None:
    """All scenes, and the count at the end."""
    started = time.monotonic()
    with ExitStack() as stack:
        inventory = stack.enter_context(Inventory(places.address("inventory")))
        payment = stack.enter_context(Payment(places.address("payment")))
        inventory_admin = stack.enter_context(Admin("inventory", places.admin_address("inventory")))
        payment_admin = stack.enter_context(Admin("payment", places.admin_address("payment")))
        stage = Stage(gateway, inventory, payment, console)
        stage.open()
        completed(stage)
        out_of_stock(stage)
        insufficient_funds(stage)
        shipment_failed(stage)
        cancelled_by_customer(stage, payment_admin)
        crash(stage, inventory_admin)
        stage.count()
    console.print(
        f"\nPlayed in {time.monotonic() - started:.0f} s. Look closer: sagaproof logs --order ORDER", style="dim"
    )


def completed(stage: Stage) -> None:
    stage.scene(
        "An order that completes",
        "Inventory reserves, payment charges, shipping ships. No service calls another: each hears on Kafka what the "
        "one before it has done.",
    )
    user = stage.customer("ann")
    stage.stock("product-1", 2)
    stage.expect(stage.order(user, "product-1", 2), "COMPLETED")


def out_of_stock(stage: Stage) -> None:
    stage.scene("More than there is", "Inventory says no. Nothing was taken yet, so there is nothing to undo.")
    product = min(stage.products().values(), key=lambda product: product.available)
    if product.available >= MOST_OF_ONE_PRODUCT:
        stage.say(f"Left out: an order may ask for {MOST_OF_ONE_PRODUCT:,} of a product, and there are more of each.")
        return
    user = stage.customer("bob")
    stage.expect(stage.order(user, product.product_id, product.available + 1), "CANCELLED", "OUT_OF_STOCK")


def insufficient_funds(stage: Stage) -> None:
    stage.scene("More than the customer has", "Payment says no, and inventory gives back what it had reserved.")
    user = stage.customer("cleo")
    quantity = max(25, stage.opened[user] // stage.price("product-3") + 1)
    stage.stock("product-3", quantity)
    stage.expect(stage.order(user, "product-3", quantity), "CANCELLED", "INSUFFICIENT_FUNDS")


def shipment_failed(stage: Stage) -> None:
    stage.scene(
        "A parcel that is too large",
        "Shipping takes 20 pieces and not one more. By then the money is charged: payment refunds it, and inventory "
        "releases the goods.",
    )
    user = stage.customer("dan")
    stage.stock("product-1", 21)
    stage.funds(user, 21 * stage.price("product-1"))
    stage.expect(stage.order(user, "product-1", 21), "CANCELLED", "SHIPMENT_FAILED")


def cancelled_by_customer(stage: Stage, payment: Admin) -> None:
    stage.scene(
        "A customer who changes her mind",
        "Cancelling is a race with shipping, which wins it within some 20 ms. To give her the time, payment is paused.",
    )
    user = stage.customer("eve")
    stage.stock("product-2", 1)
    payment.pause()
    try:
        order = stage.order(user, "product-2", 1)
        order.tell_until(lambda found: found.status == "AWAITING_PAYMENT")
        stage.gateway.cancel(order.order_id)
        stage.say("eve cancels, and shipping sees to it that nothing will be shipped.")
        order.tell_until(lambda found: any(entry.type == "ShipmentFailed" for entry in found.timeline))
    finally:
        payment.resume()
    stage.say("Payment goes on.")
    stage.expect(order, "CANCELLED", "CANCELLED_BY_CUSTOMER")


def crash(stage: Stage, inventory: Admin) -> None:
    stage.scene(
        "A crash in the middle of an order",
        "Inventory will be killed (SIGKILL) at the worst moment: the reservation is in its database, and nobody has "
        "been told. The event is there too, by the same transaction: its next life tells it, once.",
    )
    before = inventory.info()
    if not before.faults_allowed:
        stage.say("Left out: inventory does not allow faults here (FAULTS=1 does).")
        return
    user = stage.customer("fay")
    stage.stock("product-1", 1)
    inventory.kill_at("after-commit", RESERVES_ON[before.saga_mode])
    try:
        order = stage.order(user, "product-1", 1)
        order.tell_until(lambda found: bool(found.timeline))
        killed_at = time.monotonic()
        after = _next_life(inventory, before)
    finally:
        with contextlib.suppress(CommandError):
            inventory.clear_faults()
    stage.say(f"pid {before.pid} is dead; pid {after.pid} was up {time.monotonic() - killed_at:.1f} s later.")
    stage.expect(order, "COMPLETED")
    stage.say("InventoryConfirmed bears the time of the life that decided it; payment heard of it from the next one.")


RESERVES_ON = {"choreographed": "shop.order.v1.OrderCreated", "orchestrated": "shop.inventory.v1.ReserveInventory"}
"""By mode, the type of the message at which inventory reserves."""


def _next_life(inventory: Admin, before: admin_pb2.GetInfoResponse) -> admin_pb2.GetInfoResponse:
    """Wait until another process answers in its place."""
    deadline = time.monotonic() + RESTART_S
    while time.monotonic() < deadline:
        try:
            now = inventory.info()
            if now.pid != before.pid:
                return now
        except Unreachable:
            pass
        time.sleep(POLL_S)
    raise CommandError(f"inventory (pid {before.pid}) was killed and is not back after {RESTART_S:.0f} s")
