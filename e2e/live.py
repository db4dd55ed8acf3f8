"""Checks a shop that runs, or explains one of its orders: from wherever its broker and its services can be reached.

`python -m e2e.live ASKED`, in an image of the services, is the same from inside a cluster: `ASKED` is an `Asked` as
JSON, how to reach Kafka is in the environment as for the services, and what comes of it is `Said`, a JSON line each.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import grpc
import msgspec
from confluent_kafka import KafkaException

from e2e.explain import explain as explained
from e2e.large import Filed, Verdict
from e2e.large.one import OfOrder
from e2e.large.spill import Spill
from e2e.reading import Addresses
from e2e.recorder import NotAtRest, read
from services.engine.kafka_access import AccessRefused, KafkaSettings
from services.engine.settings import read as read_settings
from services.topics import TOPICS

SECOND_US = 1_000_000

Told = Callable[[str], None]


class NotKnown(Exception):
    """What is asked cannot be said: a part of the shop does not answer, or it is not at rest. One line."""


class Asked(msgspec.Struct, frozen=True):
    """What to do. `order_id`: the order to explain; '' to check everything. By service: where it listens."""

    public: dict[str, str]
    admin: dict[str, str]
    rest_within_s: float
    deadline_s: float
    order_id: str = ""


class Said(msgspec.Struct, frozen=True, omit_defaults=True):
    """One of: how far it is, why nothing can be said, the verdict, an order's story ('' if there is no such order)."""

    told: str | None = None
    not_known: str | None = None
    verdict: Verdict | None = None
    story: str | None = None


def check(shop: Addresses, *, rest_within_s: float, deadline_s: float, tell: Told) -> Verdict:
    """Of all that ever happened there. Raises NotKnown. tell: is given a line for each part that has been read"""
    with tempfile.TemporaryDirectory(prefix="sagaproof-check-") as folder, _unreadable():
        filed = Filed(Spill(Path(folder)), round(deadline_s * SECOND_US))
        read(shop, _topics(), filed, rest_within_s=rest_within_s, tell=tell)
        return filed.check(tell)


def explain(shop: Addresses, order_id: str, *, deadline_s: float) -> str:
    """The order's story; '' if there is no such order. Raises NotKnown."""
    keeper = OfOrder(order_id, round(deadline_s * SECOND_US))
    with _unreadable():
        read(shop, _topics(), keeper, rest_within_s=0.0)
    return explained(keeper.history, order_id, keeper.wrong) if keeper.done() else ""


def _topics() -> list[str]:
    return [topic.name for topic in TOPICS]


@contextmanager
def _unreadable() -> Generator[None]:
    try:
        yield
    except NotAtRest as error:
        raise NotKnown(f"{error}; while orders are placed there is always something under way") from error
    except (grpc.RpcError, KafkaException, TimeoutError) as error:
        why = f"{error.code().name}: {error.details()}" if isinstance(error, grpc.Call) else error
        raise NotKnown(f"a part of the shop does not answer: {why}") from error


def main(arguments: Sequence[str]) -> int:
    asked = msgspec.json.decode(arguments[0], type=Asked)
    settings = read_settings(KafkaSettings)
    shop = Addresses(settings.kafka, asked.public, asked.admin)
    try:
        settings.check_access()
        if asked.order_id:
            _say(Said(story=explain(shop, asked.order_id, deadline_s=asked.deadline_s)))
        else:
            within_s, deadline_s = asked.rest_within_s, asked.deadline_s
            found = check(shop, rest_within_s=within_s, deadline_s=deadline_s, tell=lambda line: _say(Said(told=line)))
            _say(Said(verdict=found))
    except (NotKnown, AccessRefused) as error:
        _say(Said(not_known=str(error)))
    return 0


def _say(what: Said) -> None:
    print(msgspec.json.encode(what).decode(), flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
