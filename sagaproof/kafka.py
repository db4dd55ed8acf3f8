"""A broker of one's own, for tests and tools: on free ports, in a folder of theirs, to be killed and started again.

with broker(tmp_path, topics=TOPICS) as kafka:
    kafka.bootstrap_servers; kafka.kill(); kafka.start()
"""

from __future__ import annotations

import os
import signal
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

from sagaproof import logfile
from sagaproof.group import OwnProcess
from sagaproof.kafka_admin import KafkaError, TopicSpec, create_topics, wait_until_it_answers
from sagaproof.kafka_node import Broker
from sagaproof.ports import free_ports
from sagaproof.settings import state_home

STOP_S = 8
_PORT_ATTEMPTS = 5


class RunningBroker:
    """A broker process that a test may kill, stop and start again; its address stays the same.

    It does not outlive this process, whatever becomes of that.
    """

    def __init__(self, spec: Broker) -> None:
        self.spec = spec
        self.log = spec.folder / "kafka.log"
        self._process = OwnProcess(self.log)

    @property
    def bootstrap_servers(self) -> str:
        return self.spec.bootstrap_servers

    @property
    def pid(self) -> int:
        pid = self._process.pid
        if pid is None:
            raise KafkaError("the broker has not been started")
        return pid

    def start(self) -> None:
        """Start it and wait until it answers. Raises KafkaError with the end of its log."""
        self.spec.prepare()
        alive = self._process.start(self.spec.command(), self.spec.folder)
        try:
            wait_until_it_answers(self.bootstrap_servers, cluster_id=self.spec.cluster_id(), alive=alive)
        except KafkaError as error:
            self.stop()
            raise KafkaError(f"{error}; the end of {self.log}:\n{logfile.tail(self.log)}") from error

    def kill(self) -> None:
        """SIGKILL, as a crash."""
        self._process.end(signal.SIGKILL, STOP_S)

    def stop(self) -> None:
        """SIGTERM; SIGKILL if it has not gone after STOP_S."""
        self._process.end(signal.SIGTERM, STOP_S)


@contextmanager
def broker(folder: Path, *, topics: Iterable[TopicSpec] = (), home: Path | None = None) -> Generator[RunningBroker]:
    """A broker on free ports with its data in `folder` (the topics created), ended at the end of the block.

    `home` is where the jars are: SAGAPROOF_HOME, or the user's state folder. Raises KafkaError.
    """
    jars_home = state_home(os.environ) if home is None else home
    for attempt in range(1, _PORT_ATTEMPTS + 1):
        port, controller_port = free_ports(2)
        running = RunningBroker(Broker(folder, jars_home, port, controller_port))
        try:
            running.start()
            break
        except KafkaError as error:  # another process may have taken a port between the choice and the start
            if attempt == _PORT_ATTEMPTS or "Address already in use" not in str(error):
                raise
    else:
        raise AssertionError
    try:
        if wanted := list(topics):
            create_topics(running.bootstrap_servers, wanted)
        yield running
    finally:
        running.kill()  # nothing to wait for: its folder is good after a crash too
