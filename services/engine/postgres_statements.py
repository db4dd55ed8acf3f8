"""Statements in PostgreSQL's words: written in SQLAlchemy Core, compiled once; rows go as one array for each column."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam, func, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import ARRAY, insert

from services.engine import pipeline
from services.engine.pipeline import Call, Prepared

_Put = Callable[[Any], bytes]


def _how(kind: Any) -> tuple[int, _Put]:
    """PostgreSQL's type for a parameter, and how a value is sent."""
    element: Any = getattr(kind, "item_type", None)
    if element is not None:
        if isinstance(element, sa.LargeBinary):
            return pipeline.BYTEAS, pipeline.byteas
        return (pipeline.TEXTS, pipeline.texts) if isinstance(element, sa.String) else (pipeline.INT8S, pipeline.int8s)
    if isinstance(kind, sa.LargeBinary):
        return pipeline.BYTEA, bytes
    if isinstance(kind, sa.String):
        return pipeline.TEXT, pipeline.text
    return pipeline.INT8, pipeline.int8


class Statement:
    """A statement in PostgreSQL's words, to be called with its parameters by name."""

    _count = 0

    def __init__(self, statement: Any) -> None:
        compiled: Any = statement.compile(dialect=postgresql.dialect(paramstyle="numeric_dollar"))
        self._names: list[str] = compiled.positiontup or []
        how = [_how(compiled.binds[name].type) for name in self._names]
        self._puts = [put for _, put in how]
        self._constants: dict[str, Any] = compiled.params
        Statement._count += 1
        self.prepared = Prepared(f"s{Statement._count}".encode(), str(compiled).encode(), [oid for oid, _ in how])

    def call(self, **values: Any) -> Call:
        given = [values[name] if name in values else self._constants[name] for name in self._names]
        return Call(self.prepared, [put(value) for put, value in zip(self._puts, given, strict=True)])


class _Rows:
    """Values for some columns of a table, a row each, sent as an array for each column."""

    def __init__(self, columns: Iterable[sa.Column[Any]]) -> None:
        kinds = {column.name: _plain(column.type) for column in columns}
        self.names = list(kinds)
        arrays = [sa.cast(bindparam(f"the_{name}", type_=ARRAY(kind)), ARRAY(kind)) for name, kind in kinds.items()]
        self.table = func.unnest(*arrays).table_valued(*self.names, name="given").render_derived()


def _plain(kind: Any) -> Any:
    """Without a collation, which an array's elements cannot have."""
    if isinstance(kind, sa.LargeBinary):
        return sa.LargeBinary()
    return sa.Text() if isinstance(kind, sa.String) else sa.BigInteger()


class ByRows(Statement):
    """A statement about rows, whose parameters are the columns of those."""

    def call_with(self, rows: Iterable[Sequence[Any]]) -> Call:
        columns = zip(*rows, strict=True)
        return Call(self.prepared, [put(column) for put, column in zip(self._puts, columns, strict=True)])


class Insert(ByRows):
    """Inserts rows, whose values come in the order of the table's columns, but for those that are generated."""

    def __init__(
        self, table: sa.Table, *, generated: Sequence[str] = (), upsert: bool = False, ignore: bool = False
    ) -> None:
        rows = _Rows(column for column in table.columns if column.name not in generated)
        statement = insert(table).from_select(rows.names, select(*(rows.table.c[name] for name in rows.names)))
        if upsert:
            values = {c.name: statement.excluded[c.name] for c in table.columns if not c.primary_key}
            statement = statement.on_conflict_do_update(index_elements=list(table.primary_key.columns), set_=values)
        if ignore:
            statement = statement.on_conflict_do_nothing()
        super().__init__(statement)


class Delete(ByRows):
    """Deletes rows by these of their columns."""

    def __init__(self, *columns: sa.Column[Any]) -> None:
        rows = _Rows(columns)
        super().__init__(
            sa.delete(columns[0].table).where(*(column == rows.table.c[column.name] for column in columns))
        )


def among(column: Any, name: str) -> Any:
    given: Any = bindparam(name, type_=ARRAY(_plain(column.type)))
    return column == sa.any_(given)
