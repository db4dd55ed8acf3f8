"""Rows on disk, filed by name and number: what is too much for memory is written once, and read a file at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

HELD_MAX_BYTES = 16_000_000
"""Of rows that are not written yet, over all files."""
READ_BYTES = 1_000_000
_SIZE_BYTES = 4

T = TypeVar("T")


class Spill:
    """Files of rows in a folder of its own, which must be empty. Rows of a file come back in the order they went in."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[str, bytearray] = {}
        self._held_bytes = 0
        self._encoder = msgspec.msgpack.Encoder()
        self.added_bytes = 0

    def add(self, name: str, number: int, row: object) -> None:
        data = self._encoder.encode(row)
        held = self._held.setdefault(f"{name}-{number}", bytearray())
        held += len(data).to_bytes(_SIZE_BYTES, "big")
        held += data
        self._held_bytes += _SIZE_BYTES + len(data)
        self.added_bytes += _SIZE_BYTES + len(data)
        if self._held_bytes > HELD_MAX_BYTES:
            self._write()

    def rows(self, name: str, number: int, kind: type[T]) -> Iterator[T]:
        """All that was added to this file; none if nothing was."""
        self._write()
        path = self._folder / f"{name}-{number}"
        if not path.exists():
            return
        decoder = msgspec.msgpack.Decoder(kind)
        with path.open("rb", READ_BYTES) as file:
            while size := file.read(_SIZE_BYTES):
                yield decoder.decode(file.read(int.from_bytes(size, "big")))

    def clear(self) -> None:
        """Forgets everything."""
        self._held.clear()
        self._held_bytes = self.added_bytes = 0
        for path in self._folder.iterdir():
            path.unlink()

    def _write(self) -> None:
        for name, held in self._held.items():
            with (self._folder / name).open("ab") as file:  # opened each time: there may be more files than may be open
                file.write(held)
        self._held.clear()
        self._held_bytes = 0
