"""The AdminService of every process, for the console's `/admin` calls."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import grpc
from shop.admin.v1 import service_pb2 as pb
from shop.admin.v1 import service_pb2_grpc as admin_grpc

from gateway import problems
from gateway.backends import Backend, Patience, RefusedError, RequestT, ResponseT, UnavailableError
from gateway.breaker import Breaker
from gateway.metrics import Metrics
from gateway.problems import ProblemError, invalid
from gateway.settings import Settings

_PAGE = 200
"""Dead letters asked for at once, of the 1,000 that a service may give."""


class Desk:
    """To be made inside a running event loop. A process is named as `sagaproof health` does: order, order-1."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        def backend(name: str, address: str) -> Backend:
            breaker = Breaker(settings.circuit_failures, settings.circuit_cooldown_s)
            return Backend(f"{name}-admin", address, breaker, metrics)

        self._backends: Mapping[str, Backend] = {
            name: backend(name, address) for name, address in settings.admin_processes.items()
        }
        self._stubs = {name: admin_grpc.AdminServiceStub(each.channel) for name, each in self._backends.items()}
        # Nothing is tried again: an operator wants to know how it is now.
        self._patience = Patience(settings.admin_attempt_s, settings.admin_attempt_s, tries_again=False)

    @property
    def processes(self) -> list[str]:
        return list(self._backends)

    async def close(self) -> None:
        for backend in self._backends.values():
            await backend.channel.close()

    async def infos(self) -> dict[str, pb.GetInfoResponse | str]:
        """Of each process how it is, or why nobody knows."""
        return dict(zip(self.processes, await asyncio.gather(*map(self._info, self.processes)), strict=True))

    async def _info(self, process: str) -> pb.GetInfoResponse | str:
        try:
            return await self._call(process, self._stub(process).GetInfo, pb.GetInfoRequest())
        except ProblemError as error:
            return error.detail

    async def dead_letters(self, service: str, status: pb.DeadLetterStatus) -> list[pb.DeadLetter]:
        """Of a service, by whichever of its replicas answers. Raises ProblemError if none does."""
        last: ProblemError | None = None
        for process in self._replicas(service):
            try:
                return await self._dead_letters(process, status)
            except ProblemError as error:
                last = error
        raise last or invalid("service", f"there is none that is named {service}")

    async def _dead_letters(self, process: str, status: pb.DeadLetterStatus) -> list[pb.DeadLetter]:
        request = pb.ListDeadLettersRequest(status=status, limit=_PAGE)
        return list((await self._call(process, self._stub(process).ListDeadLetters, request)).dead_letters)

    def _replicas(self, service: str) -> list[str]:
        return [name for name in self.processes if name == service or name.startswith(f"{service}-")]

    @property
    def services(self) -> list[str]:
        """Each once, however many replicas it has."""
        return [name for name in self.processes if not name.rpartition("-")[2].isdecimal()]

    async def replay(self, service: str, letter_id: str, payload: bytes | None) -> None:
        request = pb.ReplayDeadLetterRequest(id=letter_id, payload=payload)
        await self._call(service, self._stub(service).ReplayDeadLetter, request)

    async def discard(self, service: str, letter_id: str) -> None:
        request = pb.DiscardDeadLetterRequest(id=letter_id)
        await self._call(service, self._stub(service).DiscardDeadLetter, request)

    async def pause(self, process: str) -> None:
        await self._call(process, self._stub(process).Pause, pb.PauseRequest())

    async def resume(self, process: str) -> None:
        await self._call(process, self._stub(process).Resume, pb.ResumeRequest())

    async def inject(self, process: str, fault: pb.Fault) -> None:
        await self._call(process, self._stub(process).InjectFault, pb.InjectFaultRequest(fault=fault))

    async def clear_faults(self, process: str) -> None:
        await self._call(process, self._stub(process).ClearFaults, pb.ClearFaultsRequest())

    def _stub(self, process: str) -> admin_grpc.AdminServiceAsyncStub:
        stub = self._stubs.get(process)
        if stub is None:
            raise invalid("process", f"there is none that is named {process}")
        return stub

    async def _call(
        self, process: str, method: grpc.aio.UnaryUnaryMultiCallable[RequestT, ResponseT], request: RequestT
    ) -> ResponseT:
        try:
            return await self._backends[process].call(method, request, self._patience)
        except UnavailableError as error:
            raise ProblemError(problems.UNAVAILABLE, f"{process} does not answer.", retry_after_s=1) from error
        except RefusedError as error:
            raise ProblemError(_KINDS.get(error.code, problems.REFUSED), error.message or error.code.name) from None


_KINDS = {
    grpc.StatusCode.INVALID_ARGUMENT: problems.INVALID,
    grpc.StatusCode.NOT_FOUND: problems.UNKNOWN_THING,
    grpc.StatusCode.PERMISSION_DENIED: problems.FORBIDDEN,
}
