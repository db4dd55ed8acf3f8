"""A fault that may pass is tried again; any other is not."""

import threading

import pytest

from services.engine.retry import Retry, TransientError
from services.engine.store import ConflictError


class Flaky:
    """Fails some times and then gives its number of tries."""

    def __init__(self, failures: int, error: Exception) -> None:
        self.tries = 0
        self._failures = failures
        self._error = error

    def __call__(self) -> int:
        self.tries += 1
        if self.tries <= self._failures:
            raise self._error
        return self.tries


def test_a_fault_that_passes_is_tried_until_it_has_passed_and_each_is_noted() -> None:
    noted: list[BaseException] = []
    flaky = Flaky(2, TransientError("away"))
    assert Retry(threading.Event(), noted.append)(flaky) == 3
    assert [str(error) for error in noted] == ["away"] * 2


def test_it_can_be_used_again_and_again() -> None:
    retrying = Retry(threading.Event(), lambda _: None)
    assert [retrying(Flaky(1, TransientError("away"))) for _ in range(2)] == [2, 2]


@pytest.mark.parametrize("error", [ValueError("a bug"), ConflictError("taken")], ids=["a bug", "a conflict"])
def test_another_error_is_not_tried_again(error: Exception) -> None:
    flaky = Flaky(1, error)
    with pytest.raises(type(error)):
        Retry(threading.Event(), lambda _: None)(flaky)
    assert flaky.tries == 1


def test_when_stopping_the_last_error_is_raised_without_waiting() -> None:
    stopping = threading.Event()
    stopping.set()
    flaky = Flaky(10, TransientError("away"))
    with pytest.raises(TransientError):
        Retry(stopping, lambda _: None)(flaky)
    assert flaky.tries == 1


def test_stopping_in_a_wait_ends_it_after_one_last_try() -> None:
    stopping = threading.Event()
    flaky = Flaky(10, TransientError("away"))
    with pytest.raises(TransientError):
        Retry(stopping, lambda _: stopping.set())(flaky)
    assert flaky.tries == 2
