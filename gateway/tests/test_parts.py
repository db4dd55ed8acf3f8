"""The parts that can be tried alone."""

from __future__ import annotations

import json
import logging

import pytest

from gateway import orderids, trace
from gateway.backends import FieldViolation
from gateway.bodies import json_path
from gateway.breaker import Breaker
from gateway.logs import JsonFormatter
from gateway.services import json_path_of
from gateway.settings import Settings, SettingsError, read_settings


def test_an_open_circuit_lets_one_probe_through_for_each_cool_down() -> None:
    now = 0.0
    breaker = Breaker(failures=2, cooldown_s=10, clock=lambda: now)
    breaker.failed()
    assert breaker.allows()
    breaker.failed()
    assert not breaker.allows()
    now = 10.0
    assert breaker.would_allow()
    assert [breaker.allows(), breaker.allows()] == [True, False]
    breaker.failed()
    now = 15.0
    assert not breaker.allows()
    now = 20.0
    assert breaker.allows()
    breaker.succeeded()
    assert [breaker.allows(), breaker.allows()] == [True, True]


def test_a_success_in_between_keeps_the_circuit_closed() -> None:
    breaker = Breaker(failures=2, cooldown_s=10)
    for _ in range(5):
        breaker.failed()
        breaker.succeeded()
    assert breaker.allows()


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\n",
        "garbage",
    ],
)
def test_an_invalid_traceparent_begins_a_new_trace(header: str | None) -> None:
    first, second = trace.continued(header), trace.continued(header)
    assert first != second
    assert "4bf92f3577b34da6" not in first.lower()
    assert trace.continued(first)[3:35] == first[3:35]


def test_a_derived_order_id_never_changes() -> None:
    assert orderids.mint("user-1", "key-1") == "0a08bdab-3d70-54b4-9d26-0516aa98a2d0"
    assert orderids.mint("user-1k", "ey-1") != orderids.mint("user-1", "key-1")
    assert orderids.mint("user-1", None) != orderids.mint("user-1", None)


@pytest.mark.parametrize(
    "text", ["", "x", "{0198f0a2-7c1d-7e55-9d0b-3f1c2a5b6d7e}", "0198f0a27c1d7e559d0b3f1c2a5b6d7e"]
)
def test_only_the_usual_spelling_of_an_id_is_one(text: str) -> None:
    assert orderids.canonical(text) is None


@pytest.mark.parametrize(
    ("field", "path"),
    [
        ("orders[3].items[0].product_id", "items[0].productId"),
        ("items[12].quantity", "items[12].quantity"),
        ("delivery_address", "deliveryAddress"),
        ("orders[0]", "body"),
        ("", "body"),
    ],
)
def test_a_field_of_the_proto_becomes_a_field_of_the_json(field: str, path: str) -> None:
    assert json_path_of(FieldViolation(field, "")) == path


def test_a_path_of_odd_names_can_be_shown() -> None:
    assert json_path(("items", 0, "x" * 1000, "\ud800")) == f"items[0].{'x' * 100}.?"


def test_settings_come_from_the_environment_and_ignore_the_rest_of_it() -> None:
    settings = read_settings({"PORT": "1234", "MAX_WATCHERS": "7", "PATH": "/bin", "HOST": ""})
    assert (settings.port, settings.max_watchers, settings.host) == (1234, 7, "127.0.0.1")
    assert read_settings({}) == Settings()


def test_a_wrong_setting_is_told_in_one_line() -> None:
    with pytest.raises(SettingsError, match=r"^PORT='0': .*greater than or equal to 1$"):
        read_settings({"PORT": "0"})


def test_a_log_line_is_one_json_object_with_its_exception() -> None:
    error = ValueError("a\nb")
    record = logging.LogRecord("x", logging.ERROR, "f", 1, "hello %s", ("you",), (ValueError, error, None))
    record.fields = {"order_id": "42"}
    line = JsonFormatter().format(record)
    assert "\n" not in line
    shown = json.loads(line)
    assert (shown["message"], shown["order_id"], shown["level"]) == ("hello you", "42", "ERROR")
    assert shown["exception"].endswith("ValueError: a\nb")
