"""The two tables as they are in the database: which columns are there, and of which kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import NoSuchTableError
from sqlalchemy.sql.expression import ColumnElement, TableClause

from core.errors import DataError
from core.sections import PUSH_COLUMNS, USER_COLUMNS, Database
from core.sources.faults import missing_column, missing_table, place

Role = Literal["push_notifications", "users"]
Kind = Literal["text", "integer", "uuid", "zoned", "naive", "iso", "other"]
"""How a column holds its values; `iso` is text that holds a timestamp."""

COLUMNS: Mapping[Role, tuple[str, ...]] = {
    "push_notifications": PUSH_COLUMNS,
    "users": USER_COLUMNS,
}
REQUIRED: Mapping[Role, tuple[str, ...]] = {
    "push_notifications": ("id", "user_id", "status", "delivered_at"),
    "users": ("id",),
}
INSTANTS = ("sent_at", "delivered_at", "trigger_at", "created_at")
_CATALOG = sa.text(
    """
    SELECT a.attname, b.typname, b.typcategory
    FROM pg_catalog.pg_attribute a
    JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
    JOIN pg_catalog.pg_type b ON b.oid = coalesce(nullif(t.typbasetype, 0), t.oid)
    WHERE a.attrelid = to_regclass(:name) AND a.attnum > 0 AND NOT a.attisdropped
    """
)
_CATALOG_KINDS: Mapping[str, Kind] = {
    "int2": "integer", "int4": "integer", "int8": "integer", "uuid": "uuid",
    "timestamptz": "zoned", "timestamp": "naive",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceTable:
    """One of the two tables as it is in the database.

    Attributes:
        role: What the contract calls it.
        name: What it is called here.
        clause: What statements select from.
        names: The contract's column -> its name here, for every column.
        kinds: The contract's column -> its kind, for the columns that are there.
    """

    role: Role
    name: str
    clause: TableClause
    names: Mapping[str, str]
    kinds: Mapping[str, Kind]

    @property
    def absent(self) -> list[str]:
        """Return the contract's columns that are not there."""
        return [column for column in COLUMNS[self.role] if column not in self.kinds]

    def __getitem__(self, column: str) -> ColumnElement[Any]:
        """Return a column as it is, or null where it is not there."""
        return self.clause.c[self.names[column]] if column in self.kinds else sa.null()

    def text(self, column: str) -> ColumnElement[Any]:
        """Return a column as text, cast only where it holds something else."""
        if self.kinds.get(column, "text") == "text":
            return self[column]
        return sa.cast(self[column], sa.Text)


def describe(connection: Connection, settings: Database, role: Role) -> SourceTable:
    """Return a table's names and kinds.

    Raises:
        DatabaseError: The table, or a column that is required, is not there.
    """
    name: str = getattr(settings.tables, role)
    renamed: dict[str, str] = getattr(settings.columns, role)
    names = {column: renamed.get(column, column) for column in COLUMNS[role]}
    found = _kinds_by_name(connection, name)
    where = place(connection.engine.url)
    if found is None:
        raise missing_table(name, role=role, where=where)
    kinds = {column: found[real] for column, real in names.items() if real in found}
    for column in REQUIRED[role]:
        if column not in kinds:
            raise missing_column(names[column], column=column, role=role, table=name, where=where)
    return SourceTable(
        role=role, name=name, clause=_clause(name, names), names=names,
        kinds=_as_instants(kinds, connection.dialect.name),
    )  # fmt: skip


def refuse_naive(table: SourceTable, zone: str | None) -> None:
    """Refuse timestamps that carry no zone while none is declared.

    Raises:
        DataError: A column is of a type without zone, or holds no instants at all.
    """
    for column, kind in table.kinds.items():
        if column not in INSTANTS or kind in {"zoned", "iso"}:
            continue
        named = f"The column {table.names[column]} of the table {table.name}"
        if kind != "naive":
            raise DataError(f"{named} does not hold timestamps. Make it a timestamptz.")
        if not zone:
            raise DataError(
                f"{named} holds timestamps without a time zone. Make it a timestamptz, or say "
                "which zone is meant in [database] timezone."
            )


def quoted(connection: Connection, clause: TableClause) -> str:
    """Return a table's name as SQL writes it."""
    return connection.dialect.identifier_preparer.format_table(clause)


def _clause(name: str, names: Mapping[str, str]) -> TableClause:
    schema, _, bare = name.rpartition(".")
    columns: list[sa.ColumnClause[Any]] = [
        sa.column(real) for real in dict.fromkeys(names.values())
    ]
    return sa.table(bare, *columns, schema=schema or None)


def _kinds_by_name(connection: Connection, name: str) -> Mapping[str, Kind] | None:
    if connection.dialect.name == "postgresql":
        rows = connection.execute(_CATALOG, {"name": quoted(connection, _clause(name, {}))}).all()
        return {row.attname: _catalog_kind(row.typname, row.typcategory) for row in rows} or None
    schema, _, bare = name.rpartition(".")
    try:
        columns = sa.inspect(connection).get_columns(bare, schema=schema or None)
    except NoSuchTableError:
        return None
    return {column["name"]: _declared_kind(column["type"]) for column in columns} or None


def _catalog_kind(name: str, category: str) -> Kind:
    return _CATALOG_KINDS.get(name) or ("text" if category == "S" else "other")


def _declared_kind(declared: sa.types.TypeEngine[Any]) -> Kind:
    if isinstance(declared, sa.Integer):
        return "integer"
    if isinstance(declared, sa.DateTime):
        return "zoned" if declared.timezone else "naive"
    return "text" if isinstance(declared, sa.String) else "other"


def _as_instants(kinds: Mapping[str, Kind], dialect: str) -> dict[str, Kind]:
    """Return the kinds, with SQLite's timestamps as the text they are."""
    if dialect != "sqlite":
        return dict(kinds)
    return {column: "iso" if column in INSTANTS else kind for column, kind in kinds.items()}
