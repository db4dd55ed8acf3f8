"""Dead letters as an operator needs them: found in any service, decoded, with what to do next and what to lose.

A dead letter is open until it is replayed or discarded. It belongs to the service, not to one of its replicas: they
share a database, so whichever answers is asked.
"""

import base64
import shlex
import uuid
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, cast

from shop.admin.v1 import service_pb2 as pb

from sagaproof import payloads
from sagaproof.errors import CommandError, Unreachable
from sagaproof.rpc import DEAD_LETTERS_PAGE, DEADLINE_S, Admin
from sagaproof.running import Places
from services.engine.messages import TIMER_TYPE, Undecodable, parse_time
from services.saga import SAGA, full_name

STATUSES = {
    "open": pb.DEAD_LETTER_STATUS_OPEN,
    "replayed": pb.DEAD_LETTER_STATUS_REPLAYED,
    "discarded": pb.DEAD_LETTER_STATUS_DISCARDED,
    "all": pb.DEAD_LETTER_STATUS_UNSPECIFIED,
}
_STATUS = {number: name for name, number in STATUSES.items()}

READ_MODELS = ("status", "marketing")
"""They are rebuilt from the topics, which do not have what was corrected by hand."""

LETTERS_MAX = 1000
"""As many of one service are read at most."""

_NO_FURTHER = "the order gets no further: its deadline stops it, what was taken is given back, and it ends CANCELLED"
_HANGS = "the order never ends, and {} stay as they are: rather replay it"
_LOST: dict[str, str] = {
    "ReserveInventory": _NO_FURTHER,
    "ChargePayment": _NO_FURTHER,
    "ShipOrder": _NO_FURTHER,
    "CommitReservation": "the order ends, but its pieces, which have left, stay reserved for ever: rather replay it",
    "ReleaseInventory": _HANGS.format("the reserved pieces"),
    "RefundPayment": _HANGS.format("what was charged, and what was reserved,"),
    "StopShipment": "the order goes on as if nobody had asked to stop it; if it is stuck, it stays so",
    "Notify": "the user is not told; the order goes on all the same",
}
"""Short name of a saga's command -> what becomes of the order if it is never carried out."""
_LOST_TO = {
    "order": "order never hears of it; where it decides how the order ends, the order's ending is never told",
    "orchestrator": "the commands that follow from it are not sent: the order may get no further",
    "status": "what /status shows of the order lacks it for good",
    "marketing": "the figures of marketing lack it for good",
}
"""The same by service, for what is no command of the saga there."""


@dataclass(frozen=True)
class Letter:
    """One dead letter of a service."""

    service: str
    raw: pb.DeadLetter

    @property
    def id(self) -> str:
        return self.raw.id

    @property
    def status(self) -> str:
        return _STATUS[self.raw.status]

    @property
    def since(self) -> datetime:
        return self.raw.time.ToDatetime(UTC)

    @property
    def type(self) -> str:
        """The full name that its header gives, '' if there is none."""
        return self.raw.headers.get("ce_type", b"").decode("utf-8", "replace")

    @cached_property
    def document(self) -> Any:
        """The payload as JSON's values, None where it cannot be decoded."""
        return payloads.to_document(self.type, self.raw.payload)

    @property
    def draft(self) -> Any:
        """What to begin a correction with: the document, else all fields of the type, with the order's id if known."""
        if self.document is not None:
            return self.document
        draft = payloads.skeleton(self.type)
        if self.order_id and isinstance(draft.get("order"), dict):
            draft["order"]["orderId"] = self.order_id
        return draft

    @property
    def order_id(self) -> str:
        """By its payload, else by its key; '' if it is of none, or nobody can tell."""
        key = self.raw.key.decode("utf-8", "replace")
        document = cast("dict[str, Any]", self.document if isinstance(self.document, dict) else {})
        order = cast("dict[str, Any]", document.get("order") or document)
        return str(order.get("orderId") or (key if _is_uuid(key) else ""))

    @property
    def place(self) -> str:
        """Where it stood: topic/partition/offset."""
        raw = self.raw
        return f"{raw.topic}/{raw.partition}/{raw.offset}" if raw.topic else "a timer of the service"

    @property
    def fault_of_headers(self) -> str:
        """Why no payload can help: a replay keeps the headers. '' if they are in order."""
        if not self.type:
            return "the header ce_type is missing"
        if self.type == TIMER_TYPE:
            return ""
        if self.type not in payloads.types():
            return f"ce_type is no type of ours: {self.type}"
        try:
            parse_time(self.raw.headers.get("ce_time", b""))
        except Undecodable as error:
            return str(error)
        return ""

    @property
    def fault_of_payload(self) -> str:
        """What is wrong with it by its type; '' if nothing is."""
        try:
            payloads.check(self.type, self.raw.payload)
        except payloads.Misfit as error:
            return str(error)
        except CommandError as error:
            return error.line
        return ""

    @property
    def if_discarded(self) -> str:
        """What it means that this service never handles it."""
        if self.type == TIMER_TYPE:
            return "the timer does not fire again: a deadline does not stop the order, a delivery makes no step"
        for row in SAGA:
            command = row.command.DESCRIPTOR
            if row.participant == self.service and self.type in (full_name(row.event), command.full_name):
                return _LOST.get(command.name, _LOST_TO["order"])
        return _LOST_TO.get(self.service, f"{self.service} never handles it")

    @property
    def next_lines(self) -> list[tuple[str, str]]:
        """What to type next, and why."""
        it = f"{self.service} {shlex.quote(self.id)}"
        replay = (f"sagaproof dlq replay {it}", "have it handled as it is, if the cause is gone")
        edit = (f"sagaproof dlq edit {it}", "correct its payload, and have it handled")
        discard = (f"sagaproof dlq discard {it}", self.if_discarded)
        story = (f"sagaproof events --order {self.order_id}", "what has become of the order")
        if self.status != "open":
            lines: list[tuple[str, str]] = []
        elif self.fault_of_headers:
            lines = [(discard[0], "a replay keeps the headers, which are at fault: publish it anew, then discard this")]
        elif self.fault_of_payload:
            lines = [edit, discard]
        else:
            lines = [replay, edit, discard]
        return [*lines, story] if self.order_id else lines

    def summary(self) -> dict[str, Any]:
        """As `list --json` has it."""
        return {
            "id": self.id,
            "service": self.service,
            "since": self.since.isoformat().replace("+00:00", "Z"),
            "type": self.type,
            "orderId": self.order_id or None,
            "cause": self.raw.cause,
            "status": self.status,
        }

    def as_json(self) -> dict[str, Any]:
        """Everything. `payload` is base64, `document` null where it cannot be decoded."""
        raw = self.raw
        place = {"topic": raw.topic, "partition": raw.partition, "offset": raw.offset} if raw.topic else None
        return {
            **self.summary(),
            "place": place,
            "key": raw.key.decode("utf-8", "backslashreplace"),
            "headers": {name: value.decode("utf-8", "backslashreplace") for name, value in sorted(raw.headers.items())},
            "payload": base64.b64encode(raw.payload).decode(),
            "document": self.document,
            "faultOfHeaders": self.fault_of_headers or None,
            "faultOfPayload": self.fault_of_payload or None,
            "ifDiscarded": self.if_discarded,
        }


@contextmanager
def desk(service: str, places: Places) -> Generator[Admin]:
    """The AdminService of the first replica that answers. `service` may be HOST:PORT too. Raises CommandError."""
    addresses = [service] if ":" in service else [places.admin_address(name) for name in places.replicas(service)]
    for n, address in enumerate(addresses, 1):
        with Admin(service, address) as admin:
            try:
                admin.service = admin.info(DEADLINE_S).service
            except Unreachable:
                if n == len(addresses):
                    raise
                continue
            yield admin
            return


def letters(admin: Admin, status: str) -> Iterator[Letter]:
    """Those of a status, by id, at most LETTERS_MAX."""
    after_id = ""
    for _ in range(LETTERS_MAX // DEAD_LETTERS_PAGE):
        page = admin.dead_letters(STATUSES[status], after_id)
        yield from (Letter(admin.service, raw) for raw in page)
        if len(page) < DEAD_LETTERS_PAGE:
            return
        after_id = page[-1].id


def letter(admin: Admin, letter_id: str) -> Letter:
    """The one with this id. Raises CommandError."""
    after_id = ""
    while page := admin.dead_letters(STATUSES["all"], after_id):
        for raw in page:
            if raw.id == letter_id:
                return Letter(admin.service, raw)
        after_id = page[-1].id
    raise CommandError(
        f"{admin.service} has no dead letter {letter_id}", [f"sagaproof dlq list {admin.service} --status all"]
    )


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False
