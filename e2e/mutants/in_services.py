"""Mutants of the services: stock and money, endings, what users are told and shown."""

from e2e.mutants.mutant import Edit, Mutant
from services.saga import Mode

INVENTORY = "services/inventory/decider.py"
PAYMENT = "services/payment/decider.py"
SHIPPING = "services/shipping/decider.py"
ORDER = "services/order/decider.py"
NOTIFICATION = "services/notification/decider.py"
STATUS = "services/status/fold.py"
SAGA = "services/saga.py"
BOTH: tuple[Mode, ...] = ("choreographed", "orchestrated")

STOCK_AND_MONEY = (
    Mutant(
        "More is sold than there is",
        "stock",
        [Edit(INVENTORY, "or available < quantity:", "or available + 5 < quantity:")],
    ),
    Mutant(
        "Only the first product of an order is reserved",
        "all-or-nothing",
        [Edit(INVENTORY, "        for item in order.items\n    ]\n", "        for item in order.items[:1]\n    ]\n")],
    ),
    Mutant(
        "A restock is answered and not done",
        "stock",
        [Edit(INVENTORY, "        Event(key(Stock, product.product_id), replenished),\n", "")],
    ),
    Mutant(
        "A return leaves the pieces reserved",
        "stock",
        [
            Edit(
                INVENTORY,
                "state.available + event.quantity, state.reserved - event.quantity)",
                "state.available + event.quantity, state.reserved)",
            )
        ],
    ),
    Mutant(
        "An account is overdrawn",
        "money",
        [Edit(PAYMENT, " or account.balance_minor < order.total.amount_minor:", ":")],
    ),
    Mutant(
        "A charge does not reach the account",
        "money",
        [Edit(PAYMENT, "        Event(key(Account, order.user_id), debited),\n", "")],
    ),
    Mutant(
        "A deposit is answered and not done",
        "money",
        [Edit(PAYMENT, "        Event(key(Account, command.user_id), credit),\n", "")],
    ),
)

ENDING = (
    Mutant(
        "An order ends at every fact after its ending",
        "ends-once",
        [Edit(ORDER, "if after.ended and not state.outcome.ended:", "if after.ended:")],
        BOTH,
    ),
    Mutant(
        "No fact is recorded after the ending",
        "ends-once",
        [Edit(ORDER, "    if name in state.facts:\n", "    if name in state.facts or state.outcome.ended:\n")],
    ),
    Mutant(
        "A shipment that failed later takes the reason over from the payment",
        "ends-once",
        [
            Edit(
                SAGA,
                '    if "PaymentFailed" in facts:\n',
                '    if "PaymentFailed" in facts and "ShipmentFailed" not in facts:\n',
            )
        ],
    ),
    Mutant(
        "An order ends before its pieces are back",
        "all-or-nothing",
        [Edit(SAGA, '(released and "PaymentFailed" in facts)', '("PaymentFailed" in facts)')],
    ),
    Mutant(
        "The deadline fires after the ending",
        "ends-once",
        [
            Edit(ORDER, ", StopTimer(entity, DEADLINE)]", "]"),
            Edit(
                ORDER, '    if over or "REASON_TIMED_OUT" in state.asked:', '    if "REASON_TIMED_OUT" in state.asked:'
            ),
        ],
    ),
    Mutant(
        "The deadline fires at once",
        "ends-once",
        [Edit(ORDER, "StartTimer(entity, DEADLINE, policy.deadline_s)", "StartTimer(entity, DEADLINE, 0.0)")],
        BOTH,
    ),
    Mutant(
        "Payment does not say that a charge failed, and no deadline fires",
        "ends-once",
        [
            Edit(
                PAYMENT,
                "        return [*effects, Event(entity, events.PaymentFailed(order=order, detail=detail))]\n",
                "        del detail\n        return effects\n",
            ),
            Edit(ORDER, '    return [_ask(state, command.entity_id, "REASON_TIMED_OUT")]\n', "    return []\n"),
        ],
    ),
    Mutant(
        "A user is not told of a cancelled order",
        "ends-once",
        [
            Edit(
                NOTIFICATION,
                "    order_id = command.order.order_id\n    if command.about",
                '    order_id = command.order.order_id\n    if command.about == "OrderCancelled" or command.about',
            )
        ],
    ),
)

READING = (
    Mutant(
        "The last event wins in what is shown of an order",
        "watches",
        [
            Edit(
                SAGA,
                "    if _COMPENSATIONS & facts.keys():\n",
                "    if next(reversed(facts), None) in _COMPENSATIONS:\n",
            )
        ],
        BOTH,
    ),
    Mutant(
        "Status depends on the order in which events come",
        "watches",
        [
            Edit(
                STATUS,
                "        return saga.outcome(self.seen)\n",
                "        return saga.outcome(dict(list(self.seen.items())[-3:]))\n",
            )
        ],
    ),
    Mutant(
        "Status takes up nothing after an ending",
        "read-models",
        [
            Edit(
                STATUS,
                "    if command.name in known:\n",
                '    if command.name in known or "OrderCancelled" in known or "OrderCompleted" in known:\n',
            )
        ],
        BOTH,
    ),
    Mutant(
        "Status takes all steps of a delivery for one",
        "read-models",
        [Edit(STATUS, '        name = f"{name}/{suffix(event)}"\n', "        pass\n")],
    ),
    Mutant(
        "A step of the delivery is left out",
        "ends-once",
        [
            Edit(
                SHIPPING,
                '    "DELIVERY_STATUS_PENDING": "DELIVERY_STATUS_IN_TRANSIT",\n',
                '    "DELIVERY_STATUS_PENDING": "DELIVERY_STATUS_OUT_FOR_DELIVERY",\n',
            )
        ],
    ),
)

MUTANTS = (*STOCK_AND_MONEY, *ENDING, *READING)
