"""Runs inside a cluster, with nothing but Python: customers who order at `gateway:8080` until SIGTERM.

They never try again. A line of JSON for each order: id, user, time and the milliseconds that it took; or the error that
the client has seen.
"""

import http.client
import json
import signal
import sys
import threading
import time
import uuid
from types import FrameType
from typing import Any

PAUSE_S = 0.05
ANSWER_WITHIN_S = 20

stopping, lock = threading.Event(), threading.Lock()


def order() -> None:
    while not stopping.wait(PAUSE_S):
        user, began_s = f"user-{uuid.uuid4()}", time.time()
        line: dict[str, Any] = {"user": user, "atUs": int(began_s * 1e6)}
        try:
            line["id"] = place(user)
        except (OSError, http.client.HTTPException, RuntimeError) as error:
            line["error"] = f"{type(error).__name__}: {error}"
        with lock:
            print(json.dumps({**line, "ms": round((time.time() - began_s) * 1000)}), flush=True)


def place(user: str) -> str:
    """The id of the order. Raises RuntimeError for any other answer."""
    gateway = http.client.HTTPConnection("gateway", 8080, timeout=ANSWER_WITHIN_S)
    try:
        body = json.dumps({"userId": user, "items": [{"productId": "product-1", "quantity": 1}]})
        gateway.request("POST", "/order", body, {"content-type": "application/json"})
        answer = gateway.getresponse()
        text = answer.read().decode()
    finally:
        gateway.close()
    if answer.status != 202:
        raise RuntimeError(f"{answer.status} {text}")
    return json.loads(text)["orderId"]


def stop(_number: int, _frame: FrameType | None) -> None:
    stopping.set()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)
    threads = [threading.Thread(target=order) for _ in range(int(sys.argv[1]))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
