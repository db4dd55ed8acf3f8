"""What is left of a shop when a test has failed: everything that can be read of it, as files that need no shop.

reproduce.txt          the command that runs the test again
failure.txt            what the test said
logs/                  of every process
topics/orders.jsonl    the records of a topic, decoded
stores/order.events.jsonl, order.entities.jsonl, order.dead-letters.jsonl
history.json           the history that was checked, or what can be read now: `python -m e2e.report history.json`
missing.txt            what did not answer
"""

from __future__ import annotations

import re
import shutil
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, cast

import grpc
import msgspec
from confluent_kafka import KafkaException
from google.protobuf.json_format import MessageToDict
from shop.admin.v1 import service_pb2 as admin
from shop.admin.v1.service_pb2_grpc import AdminServiceStub

from e2e.checks.facts import decode
from e2e.history import History, Published, Stored
from e2e.reading import Addresses, Kafka, Part, add, complete, holdings, levels, published, shown, stored
from e2e.recorder import DEADLINE_US
from services.topics import TOPICS

WITHIN_S = 60.0
"""For all of it; what is not read by then is missing."""
ANSWERS_WITHIN_S = 10.0
"""Whoever does not answer a first question is left out."""
ENTITIES_MAX = 500
"""Of a service: those that changed last."""
LETTERS_MAX = 1_000
LOG_MAX_BYTES = 20_000_000
"""Of one log; its end is kept."""
NAME_MAX = 120
FAILURES = (grpc.RpcError, KafkaException, TimeoutError, OSError)


_AT_END: Mapping[str, Callable[[str], Iterator[Part]]] = {"inventory": levels, "payment": holdings, "status": shown}
"""What a history has besides records and events."""


class Shop(Protocol):
    """What a bundle needs of a real shop."""

    def addresses(self) -> Addresses: ...

    def logs(self) -> str:
        """The end of what each process said."""
        ...


def keep(folder: Path, reproduce: str, failure: str, history: History | None, shop: Shop | None) -> None:
    """Writes it all; an earlier bundle of the same test is replaced."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "reproduce.txt").write_text(reproduce)
    (folder / "failure.txt").write_text(failure)
    missing = list[str]()
    if shop is not None:
        _logs(folder / "logs", shop)
        found = _Left(folder, missing)
        found.read(shop)
        history = history or found.history
    elif history is not None:
        _topics(folder / "topics", history.published)
        _stores(folder / "stores", history.stored)
    if history is not None:
        (folder / "history.json").write_bytes(msgspec.json.encode(history))
    if missing:
        (folder / "missing.txt").write_text("".join(f"{line}\n" for line in missing))


def folder_name(test: str) -> str:
    """Of a test, for any file system."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", test.removesuffix("]")).strip("-.")[-NAME_MAX:]


class _Left:
    """Reads a shop of which parts may be gone, into files and a history."""

    def __init__(self, folder: Path, missing: list[str]) -> None:
        self._folder = folder
        self._missing = missing
        self._deadline = time.monotonic() + WITHIN_S
        self.history = History("choreographed", DEADLINE_US, time.time_ns() // 1000)

    def read(self, shop: Shop) -> None:
        try:
            addresses = shop.addresses()
        except (*FAILURES, AssertionError) as error:
            self._missing.append(f"the shop's addresses: {error}")
            return
        self._try("topics", lambda: self._read_topics(addresses.kafka))
        for service, address in addresses.admin.items():
            self._try(f"store of {service} at {address}", lambda s=service, a=address: self._read_store(s, a))
        complete(self.history)

    def _try(self, what: str, read: Callable[[], None]) -> bool:
        if time.monotonic() > self._deadline:
            self._missing.append(f"{what}: no time was left for it")
            return False
        try:
            read()
        except FAILURES as error:
            self._missing.append(f"{what}: {' '.join(str(error).split())}")
            return False
        return True

    def _read_end(self, service: str, address: str) -> None:
        for part in _AT_END[service](address):
            add(self.history, part)

    def _read_topics(self, kafka: Kafka) -> None:
        servers = kafka if isinstance(kafka, str) else str(kafka["bootstrap.servers"])
        host, _, port = servers.partition(",")[0].rpartition(":")
        socket.create_connection((host, int(port)), ANSWERS_WITHIN_S).close()
        self.history.published = list(published(kafka, [topic.name for topic in TOPICS]))
        _topics(self._folder / "topics", self.history.published)

    def _read_store(self, service: str, address: str) -> None:
        with grpc.insecure_channel(address) as channel:
            stub = AdminServiceStub(channel)
            info = stub.GetInfo(admin.GetInfoRequest(), timeout=ANSWERS_WITHIN_S, wait_for_ready=True)
            folder = self._folder / "stores"
            rows = list(stored(service, address))
            self.history.stored += rows
            if service == "order":
                self.history.mode = "orchestrated" if info.saga_mode == "orchestrated" else "choreographed"
            _stores(folder, rows)
            _lines(folder / f"{service}.entities.jsonl", self._entities(stub, rows))
            request = admin.ListDeadLettersRequest(limit=LETTERS_MAX)
            letters = stub.ListDeadLetters(request, timeout=WITHIN_S).dead_letters
            _lines(folder / f"{service}.dead-letters.jsonl", (MessageToDict(letter) for letter in letters))

    @staticmethod
    def _entities(stub: AdminServiceStub, rows: list[Stored]) -> Iterator[dict[str, Any]]:
        changed = dict.fromkeys(row.entity for row in reversed(rows))
        names = [name for name in changed if not name.startswith("dead-letter/")][:ENTITIES_MAX]
        get = cast("Any", stub.GetEntity)
        waiting = [get.future(admin.GetEntityRequest(entity=name), timeout=WITHIN_S) for name in names]
        for name, answer in zip(names, waiting, strict=True):
            found = answer.result()
            yield {"entity": name, "version": found.version, "state": msgspec.json.decode(found.json)}


def _logs(folder: Path, shop: Shop) -> None:
    folder.mkdir()
    home: Path | None = getattr(shop, "home", None)
    if home is None or not (home / "logs").is_dir():
        (folder / "all.log").write_text(shop.logs())
        return
    for log in [*(home / "logs").glob("*"), home / "run.log"]:
        if log.is_file():
            with log.open("rb") as file:
                file.seek(max(0, log.stat().st_size - LOG_MAX_BYTES))
                (folder / log.name).write_bytes(file.read())


def _topics(folder: Path, records: Iterable[Published]) -> None:
    by_topic = dict[str, list[Published]]()
    for record in records:
        by_topic.setdefault(record.topic, []).append(record)
    for topic, found in by_topic.items():
        _lines(folder / f"{topic}.jsonl", map(_decoded, found))


def _stores(folder: Path, rows: Iterable[Stored]) -> None:
    by_service = dict[str, list[Stored]]()
    for row in rows:
        by_service.setdefault(row.service, []).append(row)
    for service, found in by_service.items():
        _lines(folder / f"{service}.events.jsonl", map(_decoded, found))


def _decoded(row: Published | Stored) -> dict[str, Any]:
    """With the payload as JSON, where it can be decoded; else its bytes stay, in base64."""
    fields: dict[str, Any] = msgspec.to_builtins(row)
    body = decode(row.type, row.payload)[1]
    if body is not None:
        del fields["payload"]
        fields["body"] = MessageToDict(body)
    return fields


def _lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for row in rows:
            file.write(msgspec.json.encode(row) + b"\n")
