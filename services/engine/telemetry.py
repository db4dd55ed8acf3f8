"""What the loop tells of its work: metrics, one line of the log a batch, spans. One call a batch, off the answers' way.

The loop is one thread, and its phases follow each other without a gap: so its time is told by laps, one look at the
clock for each phase.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from services.engine import logs, metrics
from services.engine.batch import Batch
from services.engine.messages import Message
from services.engine.participant import Participant, State
from services.engine.store import NewEvent, StoredEvent

if TYPE_CHECKING:
    from services.engine.tracing import Spans

OnEvents = Callable[[Sequence[NewEvent], Mapping[str, State]], None]


class Telemetry:
    """Of one engine; used by its thread alone.

    spans:     where traces are switched on
    on_events: told of the events of each batch that was committed, and of the entities that have changed
    """

    def __init__(
        self,
        participant: Participant,
        spans: "Spans | None" = None,
        on_events: OnEvents = lambda _events, _states: None,
    ) -> None:
        self._about = participant.about
        self._spans = spans
        self._on_events = on_events
        self._lap_began_s = time.perf_counter()
        self._began_ns = time.time_ns()

    def lap(self, phase: metrics.Phase) -> None:
        """The time since the last lap was spent in this phase."""
        now_s = time.perf_counter()
        metrics.PHASES[phase].observe(now_s - self._lap_began_s)
        self._lap_began_s = now_s

    def taken(self) -> None:
        """The loop has taken what waited in the mailbox, or its wait is over."""
        self.lap("wait")
        self._began_ns = time.time_ns()

    def handled(self, batch: Batch, messages: Sequence[Message]) -> None:
        """These messages are committed."""
        metrics.observe_batch(batch, messages)
        logs.handled(messages, self._about)
        events = batch.changes.events
        if events:
            self._on_events(events, batch.states)
        if self._spans is not None:
            self._spans.handled(batch, messages, self._began_ns, time.time_ns())

    def published(self, events: Sequence[StoredEvent], acknowledged: Sequence[int]) -> None:
        """The broker has acknowledged those of these events that have these seqs."""
        metrics.PUBLISHED.inc(len(acknowledged))
        if self._spans is not None:
            seqs = set(acknowledged)
            self._spans.published([event for event in events if event.seq in seqs], time.time_ns())
