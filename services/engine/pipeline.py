"""Several statements to PostgreSQL and back in one round trip: psycopg's libpq without its cursors.

A cursor's work for each statement (finding types, quoting, states) costs more than the server's own for most of ours.
Here all is known beforehand: statements are prepared at their first use, parameters and results are in PostgreSQL's
binary form. psycopg connects, waits for nothing, and turns result rows into Python's values.
"""

import select
from collections.abc import Sequence
from itertools import chain
from struct import Struct, pack
from typing import Any, NamedTuple

import psycopg
from psycopg import pq
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result

_TYPES = psycopg.adapters.types
TEXT, BYTEA, INT8, INT4 = (_TYPES[name].oid for name in ("text", "bytea", "int8", "int4"))
TEXTS, BYTEAS, INT8S = (_TYPES[name].array_oid for name in ("text", "bytea", "int8"))

_HEADER = Struct("!iiIii").pack
_LENGTH = Struct("!i").pack
_INT8 = Struct("!q").pack
_INT4 = Struct("!i").pack
_NULL = _LENGTH(-1)
_BINARY = pq.Format.BINARY
_NOT_IN_TEXT = "\N{SYMBOL FOR NULL}".encode()


class Prepared(NamedTuple):
    """A statement, its name on the server, and the types of its parameters."""

    name: bytes
    sql: bytes
    types: Sequence[int]


class Call(NamedTuple):
    statement: Prepared
    values: Sequence[bytes | None] = ()


def text(value: str) -> bytes:
    """NUL, which PostgreSQL's text cannot hold, becomes the symbol for it."""
    encoded = value.encode()
    return encoded.replace(b"\0", _NOT_IN_TEXT) if 0 in encoded else encoded


def int8(value: int) -> bytes:
    return _INT8(value)


def int4(value: int) -> bytes:
    return _INT4(value)


# Arrays: a header, then each element with its length in front.


def texts(values: Sequence[str | None]) -> bytes:
    parts = [_header(TEXT, len(values), None in values)]
    for value in values:
        if value is None:
            parts.append(_NULL)
        else:
            encoded = text(value)
            parts += (_LENGTH(len(encoded)), encoded)
    return b"".join(parts)


def byteas(values: Sequence[bytes]) -> bytes:
    parts = [_header(BYTEA, len(values))]
    for value in values:
        parts += (_LENGTH(len(value)), value)
    return b"".join(parts)


def int8s(values: Sequence[int]) -> bytes:
    elements = chain.from_iterable((8, value) for value in values)
    return _header(INT8, len(values)) + pack("!" + "iq" * len(values), *elements)


def _header(oid: int, count: int, nulls: bool = False) -> bytes:
    return _HEADER(1, nulls, oid, count, 1) if count else pack("!iiI", 0, 0, oid)


class Pipeline:
    """On one connection; for one thread at a time."""

    def __init__(self, connection: "psycopg.Connection[Any]") -> None:
        self._connection = connection
        self._pgconn = connection.pgconn
        self._prepared: set[bytes] = set()
        self._readable = select.poll()
        self._readable.register(self._pgconn.socket, select.POLLIN)
        self._writable = select.poll()
        self._writable.register(self._pgconn.socket, select.POLLIN | select.POLLOUT)

    def run(self, calls: Sequence[Call]) -> list[pq.abc.PGresult]:
        """All of them, or, where one fails, those before it; then its psycopg.Error is raised."""
        preparing: dict[bytes, int] = {}
        self._pgconn.enter_pipeline_mode()
        for n, (statement, values) in enumerate(calls):
            if statement.name not in self._prepared and statement.name not in preparing:
                self._pgconn.send_prepare(statement.name, statement.sql, statement.types)
                preparing[statement.name] = n + len(preparing)
            self._pgconn.send_query_prepared(
                statement.name, values, param_formats=[_BINARY] * len(values), result_format=_BINARY
            )
        self._pgconn.pipeline_sync()
        results = self._results()
        self._pgconn.exit_pipeline_mode()
        self._prepared.update(name for name, n in preparing.items() if results[n].status == pq.ExecStatus.COMMAND_OK)
        for result in results:
            if result.status == pq.ExecStatus.FATAL_ERROR:
                raise error_from_result(result)
        for n in reversed(preparing.values()):
            del results[n]
        return results

    def rows(self, result: pq.abc.PGresult) -> list[tuple[Any, ...]]:
        transformer = Transformer.from_context(self._connection)
        transformer.set_pgresult(result)
        return transformer.load_rows(0, result.ntuples, tuple)

    def _results(self) -> list[pq.abc.PGresult]:
        pgconn, found = self._pgconn, list[pq.abc.PGresult]()
        while pgconn.flush():  # the server may have to be read before it takes more
            self._writable.poll()
            pgconn.consume_input()
        while True:
            while pgconn.is_busy():
                self._readable.poll()
                pgconn.consume_input()
            result = pgconn.get_result()
            if result is None:  # the end of one statement's results, or of the connection
                if pgconn.status == pq.ConnStatus.BAD:
                    raise psycopg.OperationalError(pgconn.get_error_message())
                continue
            if result.status == pq.ExecStatus.PIPELINE_SYNC:
                return found
            found.append(result)
