"""Logs: one JSON object a line, with what the caller adds. In a process of its own, since it takes over all logging."""

import json
import subprocess
import sys
from typing import Any

PROGRAM = """
import logging
from services.engine import logs
logs.set_up("order", "order-0", "INFO")
log = logging.getLogger("a")
log.debug("not shown")
log.info("handled %d", 3, extra={"order_id": "o-1", "odd": {1, }, "text": "line\\nbreak"})
try:
    1 / 0
except ZeroDivisionError:
    log.exception("it broke")
"""


def lines() -> list[dict[str, Any]]:
    out = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=20, check=True).stdout
    return [json.loads(line) for line in out.splitlines()]


def test_a_line_is_an_object_that_says_when_who_and_what() -> None:
    handled, broke = lines()
    assert handled.pop("time").endswith("Z")
    assert handled == {
        "level": "INFO",
        "service": "order",
        "instance": "order-0",
        "message": "handled 3",
        "order_id": "o-1",
        "odd": [1],
        "text": "line\nbreak",
    }
    assert (broke["level"], broke["message"]) == ("ERROR", "it broke")
    assert "ZeroDivisionError" in broke["exception"]
