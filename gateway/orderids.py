"""Order ids: minted here before anything is sent, so that a repeated call is a duplicate and not a second order."""

from __future__ import annotations

import re
import uuid

import uuid_utils

# Fixed for ever: with another namespace a repeated Idempotency-Key would place a second order.
_NAMESPACE = uuid.UUID("5b1f5a52-6c0e-5d0e-9f4e-0d6f6a3c7b11")

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def mint(user_id: str, idempotency_key: str | None) -> str:
    """A UUIDv7, or with a key always the same UUIDv5 for the same user and key."""
    if idempotency_key is None:
        return str(uuid_utils.uuid7())
    # A user id has no control characters, so two different pairs never give the same name.
    return str(uuid.uuid5(_NAMESPACE, f"{user_id}\0{idempotency_key}"))


def canonical(text: str) -> str | None:
    """The id in its one spelling, or None if no order can have it."""
    lower = text.lower()
    return lower if _UUID.fullmatch(lower) else None
