"""The golden bytes of every event and every sent command: what has been released must decode and fold for ever.

`python -m services.tests.golden` adds the events that `proto/golden/events.json` does not have yet, from the samples.
It never changes an entry: one that no longer fits is a broken promise to everybody who has such events stored.
"""

from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message as Proto
from google.protobuf.message_factory import GetMessageClass

from services.saga import ORCHESTRATED, full_name
from services.tests.shop import SAMPLES

PROTO = Path(__file__).parents[2] / "proto"
FILE = PROTO / "golden" / "events.json"


class Golden(msgspec.Struct, frozen=True):
    """An event as it was first released: its bytes in hex, and what they say."""

    hex: str
    json: dict[str, Any]


def read() -> dict[str, Golden]:
    """The golden events by the full name of their type."""
    return msgspec.json.decode(FILE.read_bytes(), type=dict[str, Golden]) if FILE.exists() else {}


def event_types() -> dict[str, type[Proto]]:
    """By its full name, every message of every package's `events.proto`, and of a `commands.proto` that is sent."""
    names = [f"{file.parts[-3]}.v1.events_pb2" for file in sorted(PROTO.glob("shop/*/v1/events.proto"))]
    names += [f"{package}.v1.commands_pb2" for package in ORCHESTRATED]
    files = [import_module(f"shop.{name}").DESCRIPTOR for name in names]
    classes = [GetMessageClass(message) for file in files for message in file.message_types_by_name.values()]
    return {full_name(cls): cls for cls in classes}


def as_json(event: Proto) -> dict[str, Any]:
    return MessageToDict(event)


def write_missing() -> list[str]:
    """Adds an entry for each event that has none; returns their names."""
    golden = read()
    fresh = {full_name(type(sample)): sample for sample in SAMPLES if full_name(type(sample)) not in golden}
    for name, sample in fresh.items():
        golden[name] = Golden(sample.SerializeToString(deterministic=True).hex(), as_json(sample))
    if fresh:
        FILE.parent.mkdir(exist_ok=True)
        FILE.write_bytes(msgspec.json.format(msgspec.json.encode(golden, order="sorted"), indent=2) + b"\n")
    return sorted(fresh)


if __name__ == "__main__":
    print("added:", ", ".join(write_missing()) or "nothing")
