"""One reading of the push database in one snapshot: statements out, Arrow columns in.

Rows become columns as they arrive, some ten thousand at a time. A user's columns are fetched
once per user rather than joined to every push, so that little travels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.sql.expression import ColumnElement, Select

from core.activity.source import Progress
from core.errors import DataError
from core.sections import Database
from core.sources.instants import fetched_type, selected, to_utc
from core.sources.segments import conditions
from core.sources.tables import INSTANTS, SourceTable, describe, refuse_naive

PUSH_FIELDS = (
    "id", "campaign_id", "automation_id", "user_id", "status",
    "sent_at", "delivered_at", "trigger_at",
)  # fmt: skip
USER_FIELDS = ("id", "email", "posthog_distinct_id", "created_at")
_ROWS_AT_ONCE = 2_000
"""So few that they and their columns stay in the processor's cache."""
_STREAMED = {"stream_results": True, "max_row_buffer": 10_000}
"""A cursor in the server, and how many rows it is asked for at once."""
_IDS_AT_ONCE = 5_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WHOLE_TABLE_RATIO = 4
"""Users are read without a filter where there are at most so many for each recipient."""
_ISO_DATE = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What is read of one period, within one transaction.

    Attributes:
        connection: A connection of `reading`.
        pushes: The table of pushes.
        users: The table of users.
        since: Start of the period, inclusive.
        until: End of the period, exclusive.
        zone: The zone of timestamps without one; None refuses them.
        n_unclear: Column -> timestamps of an hour that a clock change made unclear.
    """

    connection: Connection
    pushes: SourceTable
    users: SourceTable
    since: datetime
    until: datetime
    zone: str | None
    n_unclear: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(
        cls, connection: Connection, settings: Database, *, since: datetime, until: datetime
    ) -> Snapshot:
        """Return the snapshot of a connection, once tables and columns are as they must be."""
        pushes = describe(connection, settings, "push_notifications")
        users = describe(connection, settings, "users")
        for table in (pushes, users):
            refuse_naive(table, settings.timezone)
        snapshot = cls(
            connection=connection, pushes=pushes, users=users,
            since=since, until=until, zone=settings.timezone,
        )  # fmt: skip
        snapshot._refuse_unreadable()
        return snapshot

    def push_rows(self, on_progress: Progress, *, segment_days: int) -> pa.Table:
        """Return every row of the period, whatever its status, a column each of `PUSH_FIELDS`."""
        statement = self._select(self.pushes, PUSH_FIELDS)
        segments = self._conditions(segment_days)
        batches: list[pa.RecordBatch] = []
        for done, segment in enumerate(segments, start=1):
            batches += self._batches(self.pushes, PUSH_FIELDS, statement.where(segment))
            on_progress("reading pushes", done, len(segments))
        return self._exactly(self._table(self.pushes, PUSH_FIELDS, batches))

    def user_rows(self, n_recipients: int) -> pa.Table:
        """Return the recipients' rows, perhaps among others', a column each of `USER_FIELDS`."""
        statement = self._select(self.users, USER_FIELDS)
        n_users = self._count(sa.select(sa.func.count()).select_from(self.users.clause))
        if n_users > _WHOLE_TABLE_RATIO * n_recipients:
            (period,) = self._conditions((self.until - self.since).days + 1)
            statement = statement.where(self._own_id().in_(self._recipients().where(period)))
        batches = self._batches(self.users, USER_FIELDS, statement)
        return self._table(self.users, USER_FIELDS, list(batches))

    def messages(self, ids: Sequence[str | int]) -> pa.Table:
        """Return `id`, `title` and `body` of the pushes with these ids."""
        fields = ("id", "title", "body")
        as_it_is = self.pushes.kinds["id"] != "other"
        key = self.pushes["id"] if as_it_is else self.pushes.text("id")
        statement = self._select(self.pushes, fields)
        batches: list[pa.RecordBatch] = []
        for start in range(0, len(ids), _IDS_AT_ONCE):
            some = statement.where(key.in_(ids[start : start + _IDS_AT_ONCE]))
            batches += self._batches(self.pushes, fields, some)
        return self._table(self.pushes, fields, batches)

    def n_without_instant(self) -> int:
        """Return how many rows of the whole table have neither delivered_at nor sent_at."""
        counted = sa.select(sa.func.count()).select_from(self.pushes.clause)
        never = sa.and_(self.pushes["delivered_at"].is_(None), self.pushes["sent_at"].is_(None))
        return self._count(counted.where(never))

    def _refuse_unreadable(self) -> None:
        """Refuse texts that are no timestamps: no comparison of texts would find them."""
        undelivered = self.pushes["delivered_at"].is_(None)
        for column, decides in (("delivered_at", sa.true()), ("sent_at", undelivered)):
            if self.pushes.kinds.get(column) != "iso":
                continue
            unreadable = sa.not_(self.pushes[column].op("GLOB")(_ISO_DATE))
            counted = sa.select(sa.func.count()).select_from(self.pushes.clause)
            n = self._count(counted.where(decides, unreadable))
            if n:
                raise DataError(
                    f"The column {self.pushes.names[column]} of the table {self.pushes.name} holds "
                    f"{n:,} values that are no ISO 8601 timestamps. Correct them, or leave null."
                )

    def _conditions(self, days: int) -> list[ColumnElement[bool]]:
        return conditions(self.pushes, self.since, self.until, zone=self.zone, days=days)

    def _own_id(self) -> ColumnElement[Any]:
        return self.users["id"] if self._ids_compare() else self.users.text("id")

    def _recipients(self) -> Select[Any]:
        column = self.pushes["user_id"] if self._ids_compare() else self.pushes.text("user_id")
        return sa.select(column)

    def _ids_compare(self) -> bool:
        """Say whether both ids are of one kind, so that an index on them serves."""
        kind = self.users.kinds["id"]
        return kind == self.pushes.kinds["user_id"] and kind != "other"

    def _count(self, statement: Select[Any]) -> int:
        return int(self.connection.execute(statement).scalar_one())

    def _select(self, table: SourceTable, fields: Sequence[str]) -> Select[Any]:
        dialect = self.connection.dialect.name
        return sa.select(
            *(
                (
                    selected(table, name, dialect) if name in INSTANTS
                    else table[name] if _is_whole(table, name)
                    else table.text(name)
                ).label(name)
                for name in fields
            )
        )  # fmt: skip

    def _batches(
        self, table: SourceTable, fields: Sequence[str], statement: Select[Any]
    ) -> Iterator[pa.RecordBatch]:
        """Yield what a statement gives, as it arrives."""
        schema = self._schema(table, fields)
        for rows in self._rows(statement):
            yield pa.record_batch(
                [
                    _array(values, one.type, f"{table.names[one.name]} of {table.name}")
                    for values, one in zip(zip(*rows, strict=True), schema, strict=True)
                ],
                schema=schema,
            )

    def _rows(self, statement: Select[Any]) -> Iterator[Sequence[Sequence[Any]]]:
        """Yield what a statement gives, some rows at a time."""
        if self.connection.dialect.name != "sqlite":
            result = self.connection.execute(statement, execution_options=_STREAMED)
            yield from result.partitions(_ROWS_AT_ONCE)
            return
        with self.connection.execute(statement) as result:
            # the driver's own rows cost a third less; a streamed result keeps some of them back
            while rows := result.cursor.fetchmany(_ROWS_AT_ONCE):
                yield rows

    def _schema(self, table: SourceTable, fields: Sequence[str]) -> pa.Schema:
        dialect = self.connection.dialect.name
        return pa.schema(
            [
                (name, fetched_type(table, name, dialect) if name in INSTANTS
                 else pa.int64() if _is_whole(table, name) else pa.large_string())
                for name in fields
            ]
        )  # fmt: skip

    def _table(
        self, table: SourceTable, fields: Sequence[str], batches: Sequence[pa.RecordBatch]
    ) -> pa.Table:
        """Return the batches as one table with instants in UTC."""
        read = pa.Table.from_batches(batches, schema=self._schema(table, fields))
        for name in [name for name in fields if name in INSTANTS]:
            instants, n_unclear = to_utc(read[name], table, name, zone=self.zone)
            read = read.set_column(fields.index(name), name, instants)
            self.n_unclear[name] = n_unclear
        return read

    def _exactly(self, rows: pa.Table) -> pa.Table:
        """Return the rows whose instant really lies in the period."""
        at = pc.coalesce(rows["delivered_at"], rows["sent_at"])
        low, high = (
            pa.scalar(_ms(edge), pa.int64()).cast(at.type) for edge in (self.since, self.until)
        )
        return rows.filter(pc.and_(pc.greater_equal(at, low), pc.less(at, high)))


def _ms(instant: datetime) -> int:
    """Return whole milliseconds since 1970 UTC, floored as instants read are."""
    return (instant - _EPOCH) // timedelta(milliseconds=1)


def _is_whole(table: SourceTable, name: str) -> bool:
    """Say whether a column is read as a whole number: a push's id, which only orders."""
    return name == "id" and table.role != "users" and table.kinds[name] == "integer"


def _array(values: Sequence[Any], kind: pa.DataType, named: str) -> pa.Array:
    try:
        return pa.array(values, kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        raise DataError(f"The column {named} holds values of another kind than its own.") from None
