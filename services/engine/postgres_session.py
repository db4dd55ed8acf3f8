"""Connections to PostgreSQL: one exchange a round trip, made anew after they were lost; its errors as ours."""

import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import errors, pq
from sqlalchemy import exc

from services.engine.pipeline import Call, Pipeline, Prepared
from services.engine.retry import TransientError
from services.engine.store import ConflictError

CONNECT_WITHIN_S = 5
LOST_AFTER_S = 10
"""When the server has not acknowledged for so long what was sent to it."""
ASKS_AFTER_S = 3
"""Of silence, whether the server's machine is still there: one that has vanished says nothing to who only listens."""
ROLLBACK = Call(Prepared(b"rollback", b"ROLLBACK", ()))


@contextmanager
def translated() -> Generator[None]:
    """PostgreSQL's errors, and SQLAlchemy's, as ours."""
    try:
        yield
    except (errors.UniqueViolation, errors.DeadlockDetected, errors.SerializationFailure) as error:
        raise ConflictError(_one_line(error)) from error
    except (psycopg.OperationalError, psycopg.InterfaceError, exc.OperationalError, exc.TimeoutError) as error:
        raise TransientError(f"the database: {_one_line(error)}") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def connect(url: str, options: str = "") -> "psycopg.Connection[Any]":
    """One that notices it when the server is lost, whoever of the two was to speak."""
    return psycopg.connect(
        url,
        autocommit=True,  # transactions begin where we say
        options=options,
        connect_timeout=CONNECT_WITHIN_S,
        tcp_user_timeout=LOST_AFTER_S * 1000,
        keepalives_idle=ASKS_AFTER_S,
        keepalives_interval=ASKS_AFTER_S,
        keepalives_count=LOST_AFTER_S // ASKS_AFTER_S,
    )


class Connection:
    """For one user at a time, from any thread; made anew after it was lost."""

    def __init__(self, url: str, **options: str) -> None:
        self._url = url
        self._options = " ".join(f"-c {name}={value.replace(' ', chr(92) + ' ')}" for name, value in options.items())
        self._turn = threading.Lock()
        self._session: Session | None = None

    @contextmanager
    def use(self) -> Generator["Session"]:
        """An exception rolls back what was not committed."""
        with self._turn, translated():
            session = self._session if self._session is not None and self._session.is_open else self._open()
            try:
                yield session
            except BaseException:
                session.roll_back()
                raise

    def _open(self) -> "Session":
        self._session = Session(connect(self._url, self._options))
        return self._session

    def close(self) -> None:
        with self._turn:
            if self._session is not None:
                self._session.close()


class Session:
    def __init__(self, connection: "psycopg.Connection[Any]") -> None:
        self._connection = connection
        self._pipeline = Pipeline(connection)

    @property
    def is_open(self) -> bool:
        return not self._connection.closed

    def run(self, *calls: Call) -> list[int]:
        """Does all of these in one round trip; the numbers of rows that they changed."""
        return [result.command_tuples or 0 for result in self._run(calls)]

    def ask(self, *calls: Call, after: Sequence[Call] = ()) -> list[list[Any]]:
        """The rows of each, in the same round trip with what comes before them."""
        return [self._pipeline.rows(result) for result in self._run([*after, *calls])[len(after) :]]

    def _run(self, calls: Sequence[Call]) -> list[pq.abc.PGresult]:
        try:
            return self._pipeline.run(calls)
        except psycopg.OperationalError:
            if self._connection.info.transaction_status == pq.TransactionStatus.UNKNOWN:
                self.close()
            raise

    def roll_back(self) -> None:
        if not self.is_open or self._connection.info.transaction_status == pq.TransactionStatus.IDLE:
            return
        if self._connection.info.pipeline_status != pq.PipelineStatus.OFF:
            self.close()  # interrupted amid an exchange
            return
        try:
            self.run(ROLLBACK)
        except psycopg.Error:
            self.close()

    def close(self) -> None:
        self._connection.close()
