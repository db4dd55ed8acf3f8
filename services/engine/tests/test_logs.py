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


def lines(program: str) -> list[dict[str, Any]]:
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=True).stdout
    return [json.loads(line) for line in out.splitlines()]


def test_a_line_is_an_object_that_says_when_who_and_what() -> None:
    handled, broke = lines(PROGRAM)
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


BATCHES = """
import logging
from services.engine import logs
from services.engine.tests.toy import Add, Answers, rpc
logs.set_up("order", "order-0", "INFO")
messages = [rpc(Add(name, 1), name, Answers()) for name in ("o-1", "o-2", "")]
about = lambda command: {"order_id": command.name} if command.name else {}
logs.handled(messages, about)
logs.handled([], about)
logging.getLogger().setLevel("WARNING")
logs.handled(messages, about)
"""


def test_a_batch_is_one_line_that_names_what_each_message_is_about() -> None:
    [line] = lines(BATCHES)
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "INFO",
        "service": "order",
        "instance": "order-0",
        "message": "handled",
        "handled": {"Add": ["o-1", "o-2", ""]},
    }
