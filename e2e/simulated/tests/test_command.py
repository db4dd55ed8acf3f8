"""The command that runs many histories: it stops where something is wrong, and says how to see it again."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from shop.payment.v1.events_pb2 import AccountDebited

from e2e.simulated.__main__ import main
from e2e.simulated.world import participants
from services.engine.participant import Effect, Event
from services.payment import decider as payment


@pytest.fixture
def _payment_that_forgets_to_debit(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    charge = payment.charge

    def forgetful(*given: Any) -> Sequence[Effect]:
        return [e for e in charge(*given) if not (isinstance(e, Event) and isinstance(e.body, AccountDebited))]

    monkeypatch.setattr(payment, "charge", forgetful)
    participants.cache_clear()
    yield
    participants.cache_clear()


@pytest.mark.usefixtures("_payment_that_forgets_to_debit")
def test_a_mistake_of_a_decider_is_found_and_told_with_its_seed_and_the_order_s_timeline(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--histories", "20", "--seed", "3", "--orders", "5"]) == 1
    said = capsys.readouterr().out
    assert "violations with --mode choreographed --orders 5 --seed " in said
    assert "  money: " in said
    assert "PaymentCompleted" in said


def test_right_histories_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--histories", "2", "--seed", "3", "--orders", "5", "--mode", "orchestrated"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("2 orchestrated histories of 5 orders, from seed 3: nothing is wrong\n")
