"""Two replicas of every service on one PostgreSQL, until something is wrong; prints what was found as JSON.

Is run inside a mutant's copy; the server's addresses are in the environment. What is wrong is said by the checks of
whole histories, and by three more:

runs-on      an error has ended a replica's loop, or was the answer to a request
no-deadlock  PostgreSQL had to end a transaction, as two waited for each other
heard        a replica was not told of what the other has changed
"""

from __future__ import annotations

import logging
import os
import secrets
import sys
import time
from contextlib import ExitStack
from typing import cast

import msgspec
import psycopg

from e2e.checks import check
from e2e.mutants.histories import Finding
from e2e.mutants.pair_shop import Shop, Wrong
from services.saga import Mode

CHECKS = ("runs-on", "no-deadlock", "heard")
ADMIN, TEMPLATE = "MUTANTS_POSTGRES", "MUTANTS_POSTGRES_TEMPLATE"
"""Variables: the URL of the server's administrator, and of a database that has all tables, with its role."""
SHOPS = 6
"""So many at most, each of another seed."""
LEFT_WITHIN_S = 10.0


def look(mode: Mode, admin_url: str, template_url: str, shops: int = SHOPS) -> Finding:
    """In the first shop that is wrong."""
    for seed in range(1, shops + 1):
        finding = _look(mode, admin_url, template_url, seed)
        if finding.found:
            return finding
    return Finding(said=f"nothing was found in {shops} shops")


def _look(mode: Mode, admin_url: str, template_url: str, seed: int) -> Finding:
    prefix = secrets.token_hex(4)

    def database(service: str) -> str:
        return _copy(admin_url, template_url, f"{prefix}_{service}")

    try:
        with ExitStack() as stack:
            shop = Shop(mode, database, seed, stack)
            shop.run()
            shop.all_is_heard()
            violations = check(shop.history())
    except Wrong as error:
        return Finding(seed, [error.check], str(error))
    deadlocks = _deadlocks(admin_url, prefix)
    found = list(dict.fromkeys(each.check for each in violations))
    if deadlocks:
        found.append("no-deadlock")
    said = [*map(str, violations), f"no-deadlock: PostgreSQL had to resolve {deadlocks}"]
    return Finding(seed, found, said[0] if found else "")


def _copy(admin_url: str, template_url: str, name: str) -> str:
    address, _, template = template_url.rpartition("/")
    with psycopg.connect(admin_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" OWNER "{template}" TEMPLATE "{template}"'.encode())
    return f"{address}/{name}"


def _deadlocks(admin_url: str, prefix: str) -> int:
    """What a session has counted is known when it has ended."""
    deadline = time.monotonic() + LEFT_WITHIN_S
    with psycopg.connect(admin_url, autocommit=True) as connection:
        while _number(connection, "count(*) FROM pg_stat_activity", prefix):
            if time.monotonic() > deadline:
                raise TimeoutError(f"sessions of {prefix} do not end")
            time.sleep(0.02)  # between two looks at a condition
        return _number(connection, "coalesce(sum(deadlocks), 0)::bigint FROM pg_stat_database", prefix)


def _number(connection: psycopg.Connection[tuple[object, ...]], what: str, prefix: str) -> int:
    row = connection.execute(f"SELECT {what} WHERE datname LIKE '{prefix}%'".encode()).fetchone()
    assert row is not None
    return cast("int", row[0])


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)  # a mutant has much to complain of
    print(msgspec.json.encode(look(cast("Mode", sys.argv[1]), os.environ[ADMIN], os.environ[TEMPLATE])).decode())
