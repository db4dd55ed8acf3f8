"""The services' gRPC listeners as the commands see them: channels, deadlines, and errors as one line for the user.

A call that finds nobody there is tried again for about a second, with the same request and so the same request id: a
deposit whose answer was lost is not made twice.
"""

import json
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Self, cast

import grpc
from google.protobuf import json_format
from google.protobuf.message import Message
from google.rpc import error_details_pb2  # pyright: ignore[reportMissingTypeStubs]
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from shop.admin.v1 import service_pb2 as admin_pb2
from shop.admin.v1 import service_pb2_grpc as admin_grpc
from shop.common.v1 import common_pb2
from shop.inventory.v1 import service_pb2 as inventory_pb2
from shop.inventory.v1 import service_pb2_grpc as inventory_grpc
from shop.payment.v1 import service_pb2 as payment_pb2
from shop.payment.v1 import service_pb2_grpc as payment_grpc

from sagaproof.errors import CommandError, Refused, Unreachable

DEADLINE_S = 5.0
HEALTH_S = 2.0
DEAD_LETTERS_PAGE = 50
"""Each may be a megabyte."""

_RETRY: dict[str, Any] = {
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.1s",
                "maxBackoff": "0.9s",
                "backoffMultiplier": 3,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ]
}


def open_channel(address: str, *, retry: bool = True) -> grpc.Channel:
    """A channel to HOST:PORT. Proxies of the environment are not used; connecting is tried again quickly."""
    options: list[tuple[str, str | int]] = [
        ("grpc.enable_http_proxy", 0),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 500),
        ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    ]
    if retry:
        options.append(("grpc.service_config", json.dumps(_RETRY)))
    else:
        options.append(("grpc.enable_retries", 0))
    return grpc.insecure_channel(address, options=options)


@contextmanager
def in_one_line(service: str, address: str) -> Generator[None]:
    """Turn a gRPC error inside into the CommandError that its user reads."""
    try:
        yield
    except grpc.RpcError as error:
        raise explained(error, service, address) from None


def explained(error: grpc.RpcError, service: str, address: str) -> CommandError:
    """The one line for a failed call, with the fields at fault where the answer names them."""
    if not isinstance(error, grpc.Call):
        return Unreachable(f"{service} at {address}: {error}")
    code, text = error.code(), error.details() or ""
    if code is grpc.StatusCode.UNAVAILABLE:
        return Unreachable(f"nothing answers at {address} ({service}): start it with `make run`")
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return Unreachable(f"{service} at {address} did not answer in time; `sagaproof health` shows how it is")
    fields = _fields(error)
    if all(description in text for _, description in fields):
        fields = []
    details = [f"{field}: {description}" for field, description in fields]
    return Refused(f"{service} refused: {code.name}: {text}".rstrip(": "), details)


def _fields(error: grpc.Call) -> list[tuple[str, str]]:
    status = cast("Any", rpc_status.from_call(error))  # pyright: ignore[reportUnknownMemberType]
    bad = error_details_pb2.BadRequest()
    for detail in status.details if status else ():
        if detail.Unpack(bad):
            return [(violation.field, violation.description) for violation in bad.field_violations]
    return []


def message_json(message: Message) -> str:
    """A message as one line of JSON (proto3's mapping), every field in it."""
    return json_format.MessageToJson(message, always_print_fields_with_no_presence=True, indent=None)


class Inventory:
    """Inventory's public listener."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._channel = open_channel(address)
        self._stub = inventory_grpc.InventoryServiceStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def restock(self, product: str, quantity: int, request_id: str) -> inventory_pb2.Product:
        request = inventory_pb2.RestockRequest(request_id=request_id, product_id=product, quantity=quantity)
        with in_one_line("inventory", self._address):
            return self._stub.Restock(request, timeout=DEADLINE_S).product


class Payment:
    """Payment's public listener."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._channel = open_channel(address)
        self._stub = payment_grpc.PaymentServiceStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def deposit(self, user: str, amount_minor: int, currency: str, request_id: str) -> payment_pb2.Account:
        amount = common_pb2.Money(amount_minor=amount_minor, currency=currency)
        request = payment_pb2.DepositRequest(request_id=request_id, user_id=user, amount=amount)
        with in_one_line("payment", self._address):
            return self._stub.Deposit(request, timeout=DEADLINE_S).account

    def balance(self, user: str) -> common_pb2.Money:
        with in_one_line("payment", self._address):
            request = payment_pb2.GetAccountRequest(user_id=user)
            return self._stub.GetAccount(request, timeout=DEADLINE_S).account.balance


class Admin:
    """The AdminService of one service. Not tried again: whoever asks wants to know how it is now."""

    def __init__(self, service: str, address: str) -> None:
        self.service = service
        self._address = address
        self._channel = open_channel(address, retry=False)
        self._stub = admin_grpc.AdminServiceStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def info(self, within_s: float = HEALTH_S) -> admin_pb2.GetInfoResponse:
        """While the broker is away, it takes some 2 s until a service says where it stands in its topics."""
        with in_one_line(self.service, self._address):
            return self._stub.GetInfo(admin_pb2.GetInfoRequest(), timeout=within_s)

    def pause(self) -> None:
        with in_one_line(self.service, self._address):
            self._stub.Pause(admin_pb2.PauseRequest(), timeout=DEADLINE_S)

    def resume(self) -> None:
        with in_one_line(self.service, self._address):
            self._stub.Resume(admin_pb2.ResumeRequest(), timeout=DEADLINE_S)

    def kill_at(self, point: str, message_type: str) -> None:
        """Have it killed (SIGKILL, once) at a named point of its loop, in a batch with a message of this type."""
        self.inject(admin_pb2.Fault(point=point, action=admin_pb2.FAULT_ACTION_KILL, message_type=message_type))

    def inject(self, fault: admin_pb2.Fault) -> list[admin_pb2.Fault]:
        """Arm a fault; all that are armed then."""
        with in_one_line(self.service, self._address):
            return list(self._stub.InjectFault(admin_pb2.InjectFaultRequest(fault=fault), timeout=DEADLINE_S).faults)

    def clear_faults(self) -> None:
        with in_one_line(self.service, self._address):
            self._stub.ClearFaults(admin_pb2.ClearFaultsRequest(), timeout=DEADLINE_S)

    def dead_letters(self, status: admin_pb2.DeadLetterStatus, after_id: str) -> list[admin_pb2.DeadLetter]:
        """A page of them by their ids, from the one behind `after_id` on; of any status if it is UNSPECIFIED."""
        request = admin_pb2.ListDeadLettersRequest(status=status, after_id=after_id, limit=DEAD_LETTERS_PAGE)
        with in_one_line(self.service, self._address):
            return list(self._stub.ListDeadLetters(request, timeout=DEADLINE_S).dead_letters)

    def replay(self, letter_id: str, payload: bytes | None) -> None:
        """Have a dead letter handled again, with another payload if there is one."""
        request = admin_pb2.ReplayDeadLetterRequest(id=letter_id, payload=payload)
        with in_one_line(self.service, self._address):
            self._stub.ReplayDeadLetter(request, timeout=DEADLINE_S)

    def discard(self, letter_id: str) -> admin_pb2.DeadLetterStatus:
        """Mark a dead letter as not to be replayed; how it is then."""
        request = admin_pb2.DiscardDeadLetterRequest(id=letter_id)
        with in_one_line(self.service, self._address):
            return self._stub.DiscardDeadLetter(request, timeout=DEADLINE_S).status


def health(service: str, address: str, aspect: str) -> bool:
    """What `grpc.health.v1` says of `readiness` or `liveness`. Raises CommandError if it says nothing."""
    with open_channel(address, retry=False) as channel, in_one_line(service, address):
        stub: Any = health_pb2_grpc.HealthStub(channel)
        answer: health_pb2.HealthCheckResponse = stub.Check(
            health_pb2.HealthCheckRequest(service=aspect), timeout=HEALTH_S
        )
        return answer.status == health_pb2.HealthCheckResponse.SERVING
