"""Deterministic ids: doing the same work twice yields the same ids, so that duplicates can be dropped everywhere."""

import re
from hashlib import blake2b

_UUID_HEAD = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}(?=-)")


def message_id(service: str, cause_id: str, command: str, index: int) -> str:
    """The id of the `index`-th event that `service` decided on `command`, which message `cause_id` gave: a UUIDv8.

    `index` counts within that one decision, never within a batch, which another run would cut elsewhere.
    It begins as its cause does, so that the ids of one order, whose own is a UUIDv7, are near each other and near those
    of its time: an index of ids grows at its end, and not all over. The rest, 74 bits, is a hash.
    """
    digits = blake2b(f"{service}/{cause_id}/{command}/{index}".encode(), digest_size=16).hexdigest()
    found = _UUID_HEAD.search(cause_id)
    head = found[0] if found else f"{digits[19:27]}-{digits[27:31]}"
    return f"{head}-8{digits[:3]}-{'89ab'[int(digits[3], 16) & 3]}{digits[4:7]}-{digits[7:19]}"


def timer_id(entity: str, name: str, version: int) -> str:
    """The id of a timer's message; `version` is the entity's when the timer was started."""
    return f"timer/{entity}/{name}/{version}"


def child_traceparent(parent: str, message_id: str) -> str:
    """The W3C traceparent of a message: its cause's trace, or a new one, with a span of its own."""
    digits = message_id.replace("-", "")
    if len(parent) != 55:
        return f"00-{digits}-{digits[16:]}-01"
    return f"{parent[:36]}{digits[16:]}{parent[52:]}"
