"""Calls to the services: a deadline, retries with capped and jittered backoff, and a circuit breaker for each service.

Every call that goes through here may be repeated: reads, cancellation, and orders whose id the gateway minted. A failed
call ends as one of two exceptions: `RefusedError` (the service has answered, asking again would not help) or
`UnavailableError` (no answer that counts; if something was sent, it may have been carried out).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import grpc
from google.rpc import error_details_pb2, status_pb2  # pyright: ignore[reportMissingTypeStubs]
from grpc import aio

from gateway import trace
from gateway.breaker import Breaker
from gateway.metrics import Metrics

RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")

_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 0.5

_DEFINITE = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)

CHANNEL_OPTIONS: Sequence[tuple[str, str | int]] = (
    ("grpc.lb_policy_name", "round_robin"),
    # A restarted service is found within about a second.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # A pod that comes back has another address: its name is looked up again as often as that, and not every 30 s.
    ("grpc.dns_min_time_between_resolutions_ms", 500),
    # A peer that vanished without a word during a call is noticed within 15 s; it matters for the watch stream. Servers
    # must allow it (grpc.http2.min_ping_interval_without_data_ms), or they break the stream from time to time.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
)


class FieldViolation(NamedTuple):
    """A field as a proto path, for example `items[0].product_id`, and what is wrong with it."""

    field: str
    message: str


class RefusedError(Exception):
    """The service refused for good."""

    def __init__(self, code: grpc.StatusCode, message: str, violations: Sequence[FieldViolation] = ()) -> None:
        super().__init__(f"{code.name}: {message}")
        self.code = code
        self.message = message
        self.violations = violations


class UnavailableError(Exception):
    """The service gave no answer in time. With `sent`, the request may have been carried out all the same."""

    def __init__(self, service: str, sent: bool, cause: str) -> None:
        super().__init__(f"{service} does not answer: {cause}")
        self.service = service
        self.sent = sent


@dataclass(frozen=True)
class Patience:
    """How long one attempt may take, and all of them with the pauses between; whether there is more than one."""

    attempt_s: float
    deadline_s: float
    tries_again: bool = True


class Backend:
    """One service: its channel, its circuit, and the way to call it."""

    def __init__(self, name: str, address: str, breaker: Breaker, metrics: Metrics) -> None:
        self.name = name
        self.channel = aio.insecure_channel(address, options=CHANNEL_OPTIONS)
        self.breaker = breaker
        self._circuit_open = metrics.circuit_open.labels(name)
        self._retries = metrics.retries.labels(name)

    async def call(
        self, method: aio.UnaryUnaryMultiCallable[RequestT, ResponseT], request: RequestT, patience: Patience
    ) -> ResponseT:
        """The service's answer. Raises RefusedError or UnavailableError.

        With the circuit open nothing is sent and the call fails at once; a call that is already on its way when the
        circuit opens waits for its turn to probe, within its deadline.
        """
        with trace.calling(self.name, type(request).__name__.removesuffix("Request")):
            return await self._call(method, request, patience)

    async def _call(
        self, method: aio.UnaryUnaryMultiCallable[RequestT, ResponseT], request: RequestT, patience: Patience
    ) -> ResponseT:
        clock = asyncio.get_running_loop().time
        deadline = clock() + patience.deadline_s
        sent, cause, longest_pause_s = False, "the circuit is open", _FIRST_PAUSE_S
        while True:
            if self.breaker.allows():
                try:
                    response = await method(
                        request, timeout=min(patience.attempt_s, deadline - clock()), metadata=trace.metadata()
                    )
                except aio.AioRpcError as error:
                    if error.code() in _DEFINITE:
                        self._succeeded()
                        raise RefusedError(error.code(), error.details() or "", violations_of(error)) from None
                    sent, cause = True, f"{error.code().name}: {error.details()}"
                    self._failed()
                else:
                    self._succeeded()
                    return response
            elif not sent:
                raise UnavailableError(self.name, sent=False, cause=cause)
            pause_s = random.uniform(_FIRST_PAUSE_S / 2, longest_pause_s)
            if not patience.tries_again or clock() + pause_s >= deadline:
                raise UnavailableError(self.name, sent=sent, cause=cause)
            await asyncio.sleep(pause_s)
            longest_pause_s = min(longest_pause_s * 2, _LONGEST_PAUSE_S)
            self._retries.inc()

    def _succeeded(self) -> None:
        self.breaker.succeeded()
        self._circuit_open.set(0)

    def _failed(self) -> None:
        self.breaker.failed()
        self._circuit_open.set(self.breaker.is_open)


def violations_of(error: aio.AioRpcError) -> list[FieldViolation]:
    """The `google.rpc.BadRequest` field violations in the error's details; empty if it has none."""
    violations: list[FieldViolation] = []
    for key, value in error.trailing_metadata():
        if key != "grpc-status-details-bin" or not isinstance(value, bytes):
            continue
        for detail in status_pb2.Status.FromString(value).details:
            bad_request = error_details_pb2.BadRequest()
            if detail.Unpack(bad_request):
                violations += [FieldViolation(each.field, each.description) for each in bad_request.field_violations]
    return violations
