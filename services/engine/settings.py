"""A service's settings, all from the environment and read in one place."""

import os
import sys
from collections.abc import Mapping
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta

from services.engine.kafka_access import KafkaSettings

Port = Annotated[int, Meta(ge=1, le=65535)]
T = TypeVar("T", bound=msgspec.Struct)


class EngineSettings(KafkaSettings, frozen=True, rename="upper", kw_only=True):
    """Each field is the environment variable of the same name in upper case; those of Kafka are in kafka_access.py.

    instance:     a stable name of this replica, for static membership: service and ordinal
    database_url: `sqlite:///PATH` or `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`
    host:         where gRPC and HTTP listen; admin_host: where the AdminService does
    faults:       whether faults may be injected
    database_wait_s: how long a start waits for a database that is not there, or not migrated yet
    grpc_connection_age_s: clients are asked to connect anew after that, and so find replicas that have come since
    inbox_keep_s: how long ids are kept; at least the longest time after which a message may come again
    otel_...:     OpenTelemetry's own variables; whatever else there is of them, its SDK reads by itself
    """

    database_url: str
    instance: str
    grpc_port: Port
    admin_port: Port
    http_port: Port
    host: str = "127.0.0.1"
    admin_host: str = "127.0.0.1"
    saga_mode: Literal["choreographed", "orchestrated"] = "choreographed"
    faults: bool = False
    database_wait_s: Annotated[float, Meta(ge=0, le=3600)] = 0.0
    grpc_connection_age_s: Annotated[float, Meta(ge=1)] | None = None
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    inbox_keep_s: Annotated[float, Meta(gt=0)] = 7 * 86_400.0
    otel_traces_exporter: Literal["", "none", "otlp", "console"] = ""
    otel_exporter_otlp_endpoint: str = ""
    otel_exporter_otlp_traces_endpoint: str = ""
    otel_exporter_otlp_protocol: Literal["", "http/protobuf"] = ""
    otel_exporter_otlp_traces_protocol: Literal["", "http/protobuf"] = ""
    otel_sdk_disabled: bool = False
    otel_bsp_max_queue_size: Annotated[int, Meta(ge=512)] = 16_384

    @property
    def traces(self) -> Literal["otlp", "console"] | None:
        """Where spans go to; None if traces are off, as they are by default."""
        named = self.otel_traces_exporter
        if self.otel_sdk_disabled or named == "none":
            return None
        if named == "console":
            return "console"
        given = named or self.otel_exporter_otlp_endpoint or self.otel_exporter_otlp_traces_endpoint
        return "otlp" if given else None


def read(cls: type[T], environment: Mapping[str, str] = os.environ) -> T:
    """The settings of type `cls`; ends the process with one line where one is missing or wrong."""
    names = {field.encode_name for field in msgspec.structs.fields(cls)}
    given = {name: value for name, value in environment.items() if name in names}
    try:
        return msgspec.convert(given, cls, strict=False)
    except msgspec.ValidationError as error:
        sys.exit(f"wrong settings in the environment: {error}")
