"""Mutants of how an order is undone: tombstones, commits and releases, refunds, the race with shipping."""

from e2e.mutants.mutant import Edit, Mutant
from services.saga import Mode

INVENTORY = "services/inventory/decider.py"
PAYMENT = "services/payment/decider.py"
SHIPPING = "services/shipping/decider.py"
ORCHESTRATOR = "services/orchestrator/decider.py"
SAGA = "services/saga.py"
BOTH: tuple[Mode, ...] = ("choreographed", "orchestrated")

_STOPPED = "            return [Event(entity, events.ShipmentFailed(order=order, reason=command.reason))]\n"

# The orchestrator hears of an order before it hears of its end: from it, no release comes before its reservation.
MUTANTS = (
    Mutant(
        "A release of nothing leaves no tombstone",
        "ends-once",
        [
            Edit(
                INVENTORY,
                "            return [Event(entity, events.InventoryReleased(order=order))]\n",
                "            return []\n",
            )
        ],
    ),
    Mutant(
        "Reserving does not heed the release's tombstone",
        "all-or-nothing",
        [
            Edit(
                INVENTORY,
                'if states.get(Reservation, order.order_id).status != "none":',
                'if states.get(Reservation, order.order_id).status not in ("none", "void"):',
            )
        ],
    ),
    Mutant(
        "A second release gives the pieces back again",
        "effects-once",
        [
            Edit(
                INVENTORY,
                '        case "reserved":\n            released = ',
                '        case "reserved" | "released":\n            released = ',
            )
        ],
        BOTH,
    ),
    Mutant(
        "A release says so and gives nothing back",
        "all-or-nothing",
        [Edit(INVENTORY, "released=released)), *returned]", "released=released))]")],
    ),
    Mutant(
        "A commit is not done",
        "all-or-nothing",
        [Edit(INVENTORY, "events.StockCommitted(order=order)), *dispatched]", "events.StockCommitted(order=order))]")],
    ),
    Mutant(
        "A commit is not answered",
        "ends-once",
        [
            Edit(
                INVENTORY,
                'case "committed":\n            return []\n        case "reserved":\n            dispatched',
                'case "committed" | "reserved":\n            return []\n        case "other":\n            dispatched',
            )
        ],
    ),
    Mutant(
        "A refund without a charge leaves no tombstone",
        "ends-once",
        [
            Edit(
                PAYMENT,
                "            return [Event(entity, events.PaymentRefunded(order=order, amount=nothing))]\n",
                "            del nothing\n            return []\n",
            )
        ],
        BOTH,
    ),
    Mutant(
        "Charging does not heed the refund's tombstone",
        "all-or-nothing",
        [
            Edit(
                PAYMENT,
                'if states.get(Charge, order.order_id).status != "none":',
                'if states.get(Charge, order.order_id).status not in ("none", "void"):',
            )
        ],
        BOTH,
    ),
    Mutant(
        "A refund without a charge pays money",
        "money",
        [Edit(PAYMENT, "nothing = Money(amount_minor=0,", "nothing = Money(amount_minor=100,")],
    ),
    Mutant(
        "A refund does not reach the account",
        "money",
        [Edit(PAYMENT, "                Event(key(Account, before.user_id), credited),\n", "")],
    ),
    Mutant(
        "A failed shipment is not refunded",
        "ends-once",
        [Edit(SAGA, '    Row("payment", ShipmentFailed, RefundPayment, (PaymentRefunded,)),\n', "")],
        BOTH,
    ),
    Mutant(
        "A parcel is shipped after its cancellation",
        "all-or-nothing",
        [
            Edit(
                SHIPPING,
                'if states.get(Shipment, order.order_id).status != "none":',
                'if states.get(Shipment, order.order_id).status in ("shipped", "refused"):',
            )
        ],
        BOTH,
    ),
    Mutant(
        "A cancellation after the parcel has left is accepted",
        "all-or-nothing",
        [
            Edit(
                SHIPPING,
                f'        case "none":\n{_STOPPED}        case "shipped":\n',
                f'        case "none" | "shipped":\n{_STOPPED}        case "other":\n',
            )
        ],
        BOTH,
    ),
    Mutant(
        "A stop before the parcel is packed leaves no tombstone",
        "ends-once",
        [
            Edit(
                SHIPPING,
                _STOPPED,
                "            return []\n",
            )
        ],
    ),
    Mutant(
        "A refusal to stop is not said",
        "ends-once",
        [
            Edit(
                SHIPPING,
                "[Event(entity, events.CancellationRefused(order=Order.FromString(before.order)))]",
                "[]",
            )
        ],
    ),
    Mutant(
        "The orchestrator sends only the release when a shipment failed",
        "ends-once",
        [Edit(ORCHESTRATOR, "for body in saga.commands_on(received))", "for body in saga.commands_on(received)[:1])")],
        ("orchestrated",),
    ),
    Mutant(
        "The orchestrator refunds only what it has seen paid",
        "ends-once",
        [
            Edit(
                ORCHESTRATOR,
                "for body in saga.commands_on(received))]",
                'for body in saga.commands_on(received) if body.DESCRIPTOR.name != "RefundPayment"'
                ' or "PaymentCompleted" in states.get(SagaState, command.order_id).steps)]',
            )
        ],
        ("orchestrated",),
    ),
)
