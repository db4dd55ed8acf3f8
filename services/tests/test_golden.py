"""Every event ever released decodes and folds for ever."""

from typing import Any

import pytest
from google.protobuf.message import Message as Proto

from services import saga
from services.engine.participant import Received
from services.saga import full_name
from services.status.fold import Heard
from services.tests import golden
from services.tests.golden import Golden
from services.tests.shop import PARTICIPANTS, SAMPLES

GOLDEN = golden.read()
TYPES = golden.event_types()
EVERY_ENTRY = pytest.mark.parametrize(("name", "entry"), GOLDEN.items(), ids=GOLDEN)


def decoded(name: str, entry: Golden) -> Proto:
    return TYPES[name].FromString(bytes.fromhex(entry.hex))


@EVERY_ENTRY
def test_a_golden_event_still_says_the_same(name: str, entry: Golden) -> None:
    assert golden.as_json(decoded(name, entry)) == entry.json


@EVERY_ENTRY
def test_a_golden_event_has_nothing_that_the_code_no_longer_knows(name: str, entry: Golden) -> None:
    event = decoded(name, entry)
    size = event.ByteSize()
    event.DiscardUnknownFields()
    assert event.ByteSize() == size > 0


@EVERY_ENTRY
def test_a_golden_event_still_folds_wherever_its_type_is_folded(name: str, entry: Golden) -> None:
    event = decoded(name, entry)
    for participant in PARTICIPANTS.values():
        fold = participant.folds.get(type(event))
        if fold is not None:
            kinds = [kind() for kind in participant.states]
            assert any(folds(fold, kind, event) for kind in kinds)


def folds(fold: Any, before: Any, event: Proto) -> bool:
    """Whether the event changes an entity of this kind into another of the same kind."""
    try:
        return isinstance(fold(before, event), type(before))
    except (AttributeError, TypeError):
        return False


@EVERY_ENTRY
def test_a_golden_event_still_means_a_command_to_everybody_who_consumes_it(name: str, entry: Golden) -> None:
    event = decoded(name, entry)
    for participant in PARTICIPANTS.values():
        if name in participant.consumes:
            command = participant.consumes[name][1](Received(event, "id", "/sagaproof/test", 0))
            assert participant.handlers[type(command)].keys(command) or isinstance(command, Heard)


def test_every_event_has_a_golden_entry() -> None:
    folded = {full_name(cls) for p in PARTICIPANTS.values() for cls in p.folds if hasattr(cls, "DESCRIPTOR")}
    consumed = {name for participant in PARTICIPANTS.values() for name in participant.consumes}
    assert set(GOLDEN) == set(TYPES) >= folded | consumed | set(saga.PUBLIC), "run python -m services.tests.golden"


def test_a_sample_of_every_event_has_every_field_set() -> None:
    for sample in SAMPLES:
        oneofs = {field.name for oneof in sample.DESCRIPTOR.oneofs for field in oneof.fields}
        unset = {f.name for f in sample.DESCRIPTOR.fields} - {f.name for f, _ in sample.ListFields()} - oneofs
        assert unset <= {"partition"}, sample.DESCRIPTOR.full_name
