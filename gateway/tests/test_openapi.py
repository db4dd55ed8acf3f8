"""Schemathesis: every call, with good and bad input, answers as the OpenAPI document says.

Against the doubles, or against the gateway that GATEWAY_URL names.
"""

# schemathesis' types are not complete.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUntypedFunctionDecorator=false
from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from gateway.app import create_app
from gateway.settings import Settings

REAL = os.environ.get("GATEWAY_URL")


@pytest.fixture(scope="session")
def base_url() -> Iterator[str]:
    if REAL:
        yield REAL
        return
    with subprocess.Popen(
        [sys.executable, "-m", "gateway.tests.serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as stack:
        assert stack.stdout
        yield stack.stdout.readline().strip()
        stack.communicate(timeout=10)


application = create_app(Settings()).app
assert isinstance(application, FastAPI)
# Not schemathesis' from_fixture: 4.32 does not get along with pytest 9.2.
# Without those that go on for ever.
schema = schemathesis.openapi.from_dict(application.openapi()).exclude(path_regex="^/(events|dashboard)/stream$")


@schema.parametrize()
@settings(max_examples=60 if REAL else 200, deadline=None)
def test_every_call_answers_as_its_documentation_says(case: schemathesis.Case[Any], base_url: str) -> None:
    response = case.call(base_url=base_url, timeout=30)
    # What no schema can say: the catalogue, which keys were used before, and which cursors were given out.
    beyond_schema = response.status_code == 422 and (
        (case.path == "/order" and (REAL or "key-reused" in response.text)) or '"field":"cursor"' in response.text
    )
    case.validate_response(response, excluded_checks=[positive_data_acceptance] if beyond_schema else [])


def test_every_failure_that_is_documented_has_an_example(base_url: str) -> None:
    document = httpx.get(f"{base_url}/openapi.json", trust_env=False).json()
    for path, operations in document["paths"].items():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                content = response.get("content", {})
                if status >= "400":
                    assert content["application/problem+json"]["examples"], (path, status)
                elif status in ("200", "202") and "application/json" in content:
                    assert "example" in content["application/json"], (path, status)
