"""One check of the dead-letter topics: they hold what was poisoned, once, and nothing else that is still open."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from e2e.checks import hops
from e2e.checks.facts import Event, Facts
from e2e.checks.violation import Violation

_wrong = partial(Violation, "dead-letters")

Letter = tuple[str, str, int, int]
"""Service, and topic, partition and offset of the record that it could not handle."""


def dead_letters(facts: Facts) -> Iterator[Violation]:
    """Each poisoned record is a dead letter of each service that must refuse it, and no other record is one.

    But for those that an operator has dealt with: what came of them, the other checks see.
    """
    found: dict[Letter, Event] = {}
    for event in facts.events:
        if event.name != "DeadLettered" or not event.records or event.body is None:
            continue
        body = event.body
        letter = (event.service, body.topic, body.partition, body.offset)
        first = found.setdefault(letter, event)
        if first.message_id != event.message_id:
            cause = f"{_place(letter)} is dead-lettered twice, as {first.message_id} and {event.message_id}"
            yield _wrong(event.order_id, _hop(event), event.service, cause)
    due = {(service, p.topic, p.partition, p.offset) for p in facts.history.poisoned for service in p.services}
    for letter in sorted(due - found.keys()):
        poison = facts.poisoned.get(letter[1:])
        hop = hops.hop_of(letter[0], poison.name if poison else "")
        order_id = poison.order_id if poison else ""
        yield _wrong(order_id, hop, letter[0], f"{_place(letter)} was poisoned, and is no dead letter of it")
    dealt_with = {(each.service, each.dead_letter_id) for each in facts.history.dealt_with}
    for letter in sorted(found.keys() - due):
        event = found[letter]
        if (event.service, event.body.id) in dealt_with:
            continue
        cause = f"{_place(letter)} was not poisoned, and is a dead letter of it: {event.body.cause}"
        yield _wrong(event.order_id, _hop(event), event.service, cause)


def _hop(letter: Event) -> str:
    """What the dead-lettered record should have led to."""
    kind = letter.body.headers.get("ce_type", b"").decode("utf-8", "replace")
    return hops.hop_of(letter.service, kind.rpartition(".")[2])


def _place(letter: Letter) -> str:
    _, topic, partition, offset = letter
    return f"{topic}/{partition}/{offset}" if topic else "a timer"
