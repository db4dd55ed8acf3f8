"""Any gRPC call of any service without its proto files: what there is to call comes from the server, by reflection.

JSON goes in and out (the proto3 mapping: camelCase, 64-bit integers as strings). A text field named `json` holds JSON
by the project's convention, and is shown as what it holds.
"""

import json
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Self, cast

import grpc
from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from sagaproof.errors import CommandError, Unreachable
from sagaproof.rpc import DEADLINE_S, in_one_line, open_channel

REBUILD_DEADLINE_S = 600.0
"""A call may take long (Rebuild folds every event); whether the server is there is found out before, and quickly."""

CONNECT_S = 2.0
_TYPES = {
    FieldDescriptor.TYPE_DOUBLE: "double",
    FieldDescriptor.TYPE_FLOAT: "float",
    FieldDescriptor.TYPE_INT64: "int64",
    FieldDescriptor.TYPE_UINT64: "uint64",
    FieldDescriptor.TYPE_INT32: "int32",
    FieldDescriptor.TYPE_FIXED64: "fixed64",
    FieldDescriptor.TYPE_FIXED32: "fixed32",
    FieldDescriptor.TYPE_BOOL: "bool",
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_BYTES: "base64",
    FieldDescriptor.TYPE_UINT32: "uint32",
    FieldDescriptor.TYPE_SFIXED32: "sfixed32",
    FieldDescriptor.TYPE_SFIXED64: "sfixed64",
    FieldDescriptor.TYPE_SINT32: "sint32",
    FieldDescriptor.TYPE_SINT64: "sint64",
}


@dataclass(frozen=True)
class Method:
    """One method that a listener offers."""

    address: str
    descriptor: MethodDescriptor

    @property
    def service(self) -> str:
        return self.descriptor.containing_service.full_name

    @property
    def name(self) -> str:
        return self.descriptor.name

    @property
    def request(self) -> str:
        """The fields of the request as an outline, for example `{productId: string, quantity: int32}`."""
        return _outline(self.descriptor.input_type)

    def as_json(self) -> dict[str, str]:
        return {"service": self.service, "method": self.name, "address": self.address, "request": self.request}


class Listeners:
    """The gRPC listeners of one service: its public one and, where it can be reached, its admin one."""

    def __init__(self, service: str, addresses: Sequence[str]) -> None:
        """Raises Unreachable if none of the addresses answers, Refused if one has no reflection."""
        self.service = service
        self._stack = ExitStack()
        self._channels: dict[str, grpc.Channel] = {}
        self.methods: list[Method] = []
        for address in addresses:
            channel = self._stack.enter_context(open_channel(address, retry=False))
            try:
                grpc.channel_ready_future(channel).result(timeout=CONNECT_S)
            except grpc.FutureTimeoutError:
                continue
            self._channels[address] = channel
            with in_one_line(service, address):
                self.methods += [Method(address, method) for method in _methods(channel)]
        if not self._channels:
            self._stack.close()
            where = " or ".join(addresses)
            raise Unreachable(f"nothing answers at {where} ({service}): start it with `make run`")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def find(self, name: str) -> Method:
        """By its name or `package.Service/Method`; case does not matter. Raises CommandError naming what there is."""
        wanted = name.replace("/", ".").lower()
        ours_first = sorted(self.methods, key=lambda method: method.service.startswith("grpc."))
        for method in ours_first:
            if wanted in (method.name.lower(), method.descriptor.full_name.lower()):
                return method
        known = ", ".join(dict.fromkeys(method.name for method in ours_first))
        raise CommandError(f"{self.service} has no method {name!r}; it has {known}")

    def call(self, method: Method, request: str) -> Generator[dict[str, Any]]:
        """Call it with a JSON object (an array of them where it takes a stream). Raises CommandError."""
        descriptor = method.descriptor
        messages = _requests(method, request)
        answers = GetMessageClass(descriptor.output_type)
        path = f"/{method.service}/{method.name}"
        channel = self._channels[method.address]
        encode, decode = GetMessageClass(descriptor.input_type).SerializeToString, answers.FromString
        streaming = bool(descriptor.client_streaming), bool(descriptor.server_streaming)
        with in_one_line(self.service, method.address):
            if streaming == (False, False):
                unary = channel.unary_unary(path, request_serializer=encode, response_deserializer=decode)
                yield _as_json(unary(messages[0], timeout=REBUILD_DEADLINE_S))
                return
            # A stream of requests stays open behind the given ones for as long as answers are read.
            done = threading.Event()
            stream = channel.stream_stream(path, request_serializer=encode, response_deserializer=decode)
            try:
                for answer in stream(_then_wait(messages, done, wait=streaming[0] and streaming[1])):
                    yield _as_json(answer)
            finally:
                done.set()


def _then_wait(messages: Sequence[Message], done: threading.Event, *, wait: bool) -> Iterator[Message]:
    yield from messages
    if wait:
        done.wait()


def _methods(channel: grpc.Channel) -> Iterator[MethodDescriptor]:
    """All methods but reflection's own. The pool asks the server for what it does not know yet."""
    database = ProtoReflectionDescriptorDatabase(grpc.intercept_channel(channel, _Deadline()))
    pool = DescriptorPool(database)
    for name in database.get_services():
        if not name.startswith("grpc.reflection."):
            found: ServiceDescriptor = pool.FindServiceByName(name)
            yield from found.methods


class _Deadline(grpc.StreamStreamClientInterceptor):
    """Reflection's client sets no deadline of its own."""

    def intercept_stream_stream(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return continuation(client_call_details._replace(timeout=DEADLINE_S), request_iterator)


def _requests(method: Method, text: str) -> list[Message]:
    make = GetMessageClass(method.descriptor.input_type)
    try:
        given = json.loads(text)
        many = cast("list[Any]", given if isinstance(given, list) and method.descriptor.client_streaming else [given])
        return [json_format.ParseDict(one, make()) for one in many]
    except json.JSONDecodeError as error:
        raise CommandError(f"the request is not JSON: {error}", [f"{method.name} takes {method.request}"]) from None
    except (json_format.ParseError, TypeError, AttributeError) as error:
        line = " ".join(str(error).split())
        raise CommandError(f"the request does not fit: {line}", [f"{method.name} takes {method.request}"]) from None


def _as_json(message: Message) -> dict[str, Any]:
    shown = json_format.MessageToDict(message, always_print_fields_with_no_presence=True)
    return _unfolded(shown)


def _unfolded(value: Any) -> Any:
    """The same, with texts named `json` as what they hold."""
    if isinstance(value, list):
        return [_unfolded(each) for each in cast("list[Any]", value)]
    if isinstance(value, dict):
        named = cast("dict[str, Any]", value)
        return {name: _unfolded(_held(each) if name == "json" else each) for name, each in named.items()}
    return value


def _held(value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) and value else value
    except json.JSONDecodeError:
        return value


def _outline(message: Any, above: tuple[str, ...] = ()) -> str:
    if message.full_name in above:
        return "{...}"
    fields = [f"{field.json_name}: {_kind(field, (*above, message.full_name))}" for field in message.fields]
    return "{" + ", ".join(fields) + "}"


def _kind(field: FieldDescriptor, above: tuple[str, ...]) -> str:
    if field.message_type is None:
        values = [value.name for value in field.enum_type.values] if field.enum_type else []
        kind = " | ".join(values) or _TYPES[field.type]
    elif field.message_type.full_name.startswith("google.protobuf."):
        kind = field.message_type.name
    else:
        kind = _outline(field.message_type, above)
    return f"[{kind}]" if field.is_repeated else kind
