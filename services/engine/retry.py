"""Faults that may pass are retried with capped, jittered backoff; all others are somebody's bug and are not."""

import threading
from collections.abc import Callable
from typing import TypeVar

import tenacity

FIRST_S = 0.05
CAP_S = 5.0

T = TypeVar("T")


class TransientError(Exception):
    """The database or the broker did not answer, or refused for now. Retried with backoff, never dead-lettered."""


class Retry:
    """Calls again while a `TransientError` is raised, until `stopping` is set: then the last one is raised."""

    def __init__(self, stopping: threading.Event, on_retry: Callable[[BaseException], None]) -> None:
        self._on_retry = on_retry
        self._retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(TransientError),
            wait=tenacity.wait_exponential_jitter(multiplier=FIRST_S, max=CAP_S, jitter=FIRST_S),
            stop=tenacity.stop_when_event_set(stopping),
            sleep=tenacity.sleep_using_event(stopping),
            before_sleep=self._before_sleep,
            reraise=True,
        )

    def __call__(self, function: Callable[[], T]) -> T:
        try:
            return function()  # past the library, whose work for a call is that of two statements
        except TransientError as error:
            failed = [error]

        def again() -> T:
            if failed:
                raise failed.pop()
            return function()

        return self._retrying(again)

    def _before_sleep(self, state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if error is not None:
            self._on_retry(error)
