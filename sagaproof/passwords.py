"""Passwords that are made here, in a file that only its owner may read."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path


def password_of(path: Path, role: str) -> str:
    """The role's password, made at its first use."""
    known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    if role not in known:
        known[role] = secrets.token_urlsafe(24)
        write_private(path, json.dumps(known))
    return known[role]


def write_private(path: Path, text: str) -> None:
    """Replace the file whole; only its owner may read it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.writing")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    new.replace(path)
