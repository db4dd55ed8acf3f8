"""Deterministic ids: doing the same work twice yields the same ids, so that duplicates can be dropped everywhere."""

from uuid import UUID, uuid5

_NAMESPACE = UUID("5a6a7c1e-0d6c-5d0a-9b1f-3c1f6d2f8e10")


def message_id(service: str, cause_id: str, command: str, index: int) -> str:
    """The id of the `index`-th event that `service` decided on `command`, which message `cause_id` gave.

    `index` counts within that one decision, never within a batch, which another run would cut elsewhere.
    """
    return str(uuid5(_NAMESPACE, f"{service}/{cause_id}/{command}/{index}"))


def timer_id(entity: str, name: str, version: int) -> str:
    """The id of a timer's message; `version` is the entity's when the timer was started."""
    return f"timer/{entity}/{name}/{version}"


def child_traceparent(parent: str, message_id: str) -> str:
    """The W3C traceparent of a message: its cause's trace, or a new one, with a span of its own."""
    digits = message_id.replace("-", "")
    if len(parent) != 55:
        return f"00-{digits}-{digits[:16]}-01"
    return f"{parent[:36]}{digits[:16]}{parent[52:]}"
