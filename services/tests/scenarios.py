"""The ways in which an order can end, and what has to be ordered for each."""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from google.protobuf.message import Message as Proto
from shop.common.v1.common_pb2 import OrderItem
from shop.order.v1.service_pb2 import PlaceOrderRequest

from services.saga import Mode
from services.tests.explorer import Local, Saga
from services.tests.shop import ORDER_ID, PARTICIPANTS, USER_ID
from services.topics import ORCHESTRATED

Ending = tuple[str, str, str]
COMPLETED = ("COMPLETED", "UNSPECIFIED", "")
BY_CUSTOMER = ("CANCELLED", "CANCELLED_BY_CUSTOMER", "")
TIMED_OUT = ("CANCELLED", "TIMED_OUT", "")
TOO_LARGE = ("CANCELLED", "SHIPMENT_FAILED", "PARCEL_TOO_LARGE")
OUT_OF_STOCK = ("CANCELLED", "OUT_OF_STOCK", "product-1: 101 wanted, 100 available")
NO_FUNDS = (
    "CANCELLED",
    "INSUFFICIENT_FUNDS",
    "2,499.75 USD asked, 1,000.00 USD in the account",
)


class Scenario(NamedTuple):
    """What is ordered; how it ends undisturbed; the least number of worlds that a full exploration in one mode sees."""

    pieces: Mapping[str, int]
    ending: Ending
    worlds_min: int


SCENARIOS = {
    "completed": Scenario({"product-1": 2, "product-2": 1}, COMPLETED, 6000),
    "out of stock": Scenario({"product-1": 101}, OUT_OF_STOCK, 350),
    "insufficient funds": Scenario({"product-3": 25}, NO_FUNDS, 1500),
    "parcel too large": Scenario({"product-1": 21}, TOO_LARGE, 2000),
}


class Coordination(NamedTuple):
    """The modes that the saga may be in, and how it is explored: see `Saga`."""

    modes: Sequence[Mode]
    eager: bool = False
    without: AbstractSet[str] = frozenset()


COORDINATIONS = {
    "choreographed": Coordination(("choreographed",)),
    "orchestrated": Coordination(("orchestrated",)),
    # Notification hears the same in both modes and is heard by nobody: it would only multiply the worlds.
    "switched at will": Coordination(("choreographed", "orchestrated"), eager=True, without={"notification"}),
}


def saga_of(
    pieces: Mapping[str, int],
    *,
    modes: Sequence[Mode] = ("choreographed",),
    eager: bool = False,
    without: AbstractSet[str] = frozenset(),
    cancel: bool = False,
    deadline: bool = False,
    deaf: AbstractSet[tuple[str, type[Proto]]] = frozenset(),
    check: Callable[[Local, Local], None] = lambda _, __: None,
) -> Saga:
    """One order of these pieces, with all participants that have a part in it, but for `without`: see `Saga`."""
    items = [OrderItem(product_id=product_id, quantity=quantity) for product_id, quantity in pieces.items()]
    request = PlaceOrderRequest(order_id=ORDER_ID, user_id=USER_ID, items=items)
    names = ["order", *ORCHESTRATED, "notification"]
    if "orchestrated" in modes:
        names.append("orchestrator")
    participants = [PARTICIPANTS[name] for name in names if name not in without]
    return Saga(participants, [request], check, modes=modes, eager=eager, cancel=cancel, deadline=deadline, deaf=deaf)
