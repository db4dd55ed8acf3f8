"""Everything the gateway can be told from outside, read once from the environment and validated.

Each field is the environment variable of the same name in capitals. Every queue, wait and limit of the gateway is here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

# A gRPC target as it is: host:port, or dns:///name:port for round robin over all addresses of a name.
Address = Annotated[str, Field(pattern=r"^\S+$")]
Seconds = Annotated[float, Field(gt=0, le=3600)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]


_SERVICES = ("order", "inventory", "payment", "shipping", "notification", "status", "marketing")


class SettingsError(Exception):
    """A variable of the environment is not valid; the text is one line for people."""


class Settings(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=str.upper, populate_by_name=True)

    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 8080
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    order_address: Address = "127.0.0.1:9051"
    inventory_address: Address = "127.0.0.1:9052"
    payment_address: Address = "127.0.0.1:9053"
    status_address: Address = "127.0.0.1:9056"
    marketing_address: Address = "127.0.0.1:9057"

    # What clients may send. The largest well-formed order (1,000 entries with 64-character ids) is 100 KB of JSON.
    max_body_bytes: Count = 262_144
    max_head_bytes: Count = 16_384
    max_connections: Count = 4_096
    head_timeout_s: Seconds = 10
    body_timeout_s: Seconds = 10

    # Placing orders: concurrent requests are joined into one call.
    max_waiting_orders: Count = 5_000
    max_calls_in_flight: Count = 4
    # A further call starts beside a slow one only when an order has waited this long.
    join_patience_s: Seconds = 0.02
    place_attempt_s: Seconds = 3
    place_deadline_s: Seconds = 10

    # Reading and cancelling.
    read_attempt_s: Seconds = 1
    read_deadline_s: Seconds = 4

    # A circuit opens after so many failed calls to a service in a row, and lets one call through per cool-down.
    circuit_failures: Count = 8
    circuit_cooldown_s: Seconds = 1

    # Watching.
    max_watchers: Count = 2_000
    max_watchers_per_order: Count = 50
    # Of the live events, and of the live dashboard.
    max_followers: Count = 200
    slow_client_s: Seconds = 10
    keepalive_s: Seconds = 15
    first_answer_s: Seconds = 2

    # The console: its files, as its build has made them, and whether it may operate the shop.
    console_dist: Path = Path(__file__).resolve().parent.parent / "web" / "dist"
    console_admin: bool = False
    # Each process and its AdminService: order=127.0.0.1:9151,order-1=127.0.0.1:10151,...
    admin_addresses: Annotated[str, Field(pattern=r"^([a-z0-9-]+=[^\s,=]+(,[a-z0-9-]+=[^\s,=]+)*)?$")] = ",".join(
        f"{name}=127.0.0.1:{port}" for port, name in enumerate(_SERVICES, 9151)
    )
    # To learn that the broker is away takes a service 2 s.
    admin_attempt_s: Seconds = 3

    # OpenTelemetry's own variables; whatever else there is of them, its SDK reads by itself.
    otel_traces_exporter: Literal["none", "otlp", "console"] | None = None
    otel_exporter_otlp_endpoint: str = ""
    otel_exporter_otlp_traces_endpoint: str = ""
    otel_exporter_otlp_protocol: Literal["http/protobuf"] = "http/protobuf"
    otel_exporter_otlp_traces_protocol: Literal["http/protobuf"] = "http/protobuf"
    otel_sdk_disabled: bool = False
    otel_bsp_max_queue_size: Annotated[int, Field(ge=512, le=1_000_000)] = 16_384

    # SIGTERM: requests that are still running after this are cut off.
    shutdown_s: Seconds = 3

    @property
    def admin_processes(self) -> dict[str, str]:
        """Process -> address of its AdminService."""
        pairs = (each.partition("=") for each in self.admin_addresses.split(",") if each)
        return {name: address for name, _, address in pairs}

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


def read_settings(environ: Mapping[str, str]) -> Settings:
    """The settings; raises SettingsError with one line that names the variable."""
    names = {name.upper() for name in Settings.model_fields}
    try:
        return Settings.model_validate({name: value for name, value in environ.items() if name in names and value})
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        raise SettingsError(f"{problem['loc'][0]}={problem['input']!r}: {problem['msg']}") from None
