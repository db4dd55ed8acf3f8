"""RPCs, counted and timed by method and code; each with a span where traces are switched on and the caller has one."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.message import Message as Proto

from services.engine import metrics
from services.engine.rpc import Context, current_traceparent, traceparent

if TYPE_CHECKING:
    from services.engine.tracing import Spans

_count = cache(metrics.RPCS.labels)  # as many as there are methods and codes
_seconds = cache(metrics.RPC_SECONDS.labels)


class Observed(grpc.aio.ServerInterceptor):
    """The outermost of a server's interceptors. Calls of methods that there are not are not counted."""

    def __init__(self, spans: "Spans | None" = None) -> None:
        self._spans = spans

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any
    ) -> "grpc.RpcMethodHandler[Any, Any]":
        handler = await continuation(handler_call_details)
        method: str = handler_call_details.method.removeprefix("/")
        if handler and handler.unary_unary:
            return handler._replace(unary_unary=self._unary(method, handler.unary_unary))
        if handler and handler.stream_stream:
            return handler._replace(stream_stream=_stream(method, handler.stream_stream))
        return handler

    def _unary(self, method: str, servicer: Callable[[Proto, Context], Awaitable[Proto]]) -> Any:
        async def observed(request: Proto, context: Context) -> Proto:
            began_s = time.perf_counter()
            span = self._spans.begin_rpc(traceparent(context)) if self._spans is not None else None
            token = current_traceparent.set(span.traceparent) if span is not None else None
            code = "UNKNOWN"
            try:
                response = await servicer(request, context)
                code = _code(context, "OK")
                return response
            except BaseException:
                code = _code(context, "UNKNOWN")
                raise
            finally:
                _count(method, code).inc()
                _seconds(method).observe(time.perf_counter() - began_s)
                if span is not None and token is not None:
                    current_traceparent.reset(token)
                    span.end(method, code)

        return observed


def _stream(method: str, servicer: Callable[[AsyncIterator[Proto], Context], AsyncIterator[Proto]]) -> Any:
    async def observed(incoming: AsyncIterator[Proto], context: Context) -> AsyncIterator[Proto]:
        code = "CANCELLED"  # how a stream ends whose reader goes away
        try:
            async for response in servicer(incoming, context):
                yield response
            code = _code(context, "OK")
        except Exception:
            code = _code(context, "UNKNOWN")
            raise
        finally:
            _count(method, code).inc()

    return observed


def _code(context: Context, default: str) -> str:
    """What the servicer has set, if it did."""
    untyped: Any = context
    code: Any = untyped.code()
    if isinstance(code, grpc.StatusCode):
        return code.name
    for known in grpc.StatusCode:
        if code and known.value[0] == code:
            return known.name
    return default
