"""Builds push databases for tests: SQLite with texts, PostgreSQL with timestamps."""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from core.sections import Columns, Database, Tables
from core.sources.database import open_engine
from core.sources.pushes import RawPushes, read_push_rows
from tests.conftest import PASSWORD

Row = Mapping[str, Any]
START = datetime(2026, 9, 1, tzinfo=UTC)
END = datetime(2026, 11, 1, tzinfo=UTC)
EMAIL = "canary@person.example"
INSTANTS = {"sent_at", "delivered_at", "trigger_at", "created_at"}
PUSH = {
    "id": sa.Text, "user_id": sa.Text, "automation_id": sa.Text, "campaign_id": sa.Text,
    "title": sa.Text, "body": sa.Text, "status": sa.Text,
    "sent_at": sa.DateTime, "delivered_at": sa.DateTime, "trigger_at": sa.DateTime,
}  # fmt: skip
USER = {
    "id": sa.Text, "email": sa.Text, "posthog_distinct_id": sa.Text, "created_at": sa.DateTime,
}  # fmt: skip


def at(hours: float = 0, **more: float) -> datetime:
    """Return an instant so long after the start of the period."""
    return START + timedelta(hours=hours, **more)


def push(number: int, **given: Any) -> dict[str, Any]:
    """Return a delivered push with what is not said filled in."""
    return {
        "id": f"p{number}", "user_id": f"u{number}", "automation_id": None, "campaign_id": "c",
        "title": "Hi", "body": "There", "status": "delivered",
        "sent_at": at(number), "delivered_at": at(number, seconds=30), "trigger_at": None, **given,
    }  # fmt: skip


def user(number: int, **given: Any) -> dict[str, Any]:
    """Return a user with what is not said filled in."""
    return {
        "id": f"u{number}", "email": f"{number}@x.example", "posthog_distinct_id": f"d{number}",
        "created_at": at(-1000 - number), **given,
    }  # fmt: skip


class PushDatabase:
    """A database to be filled, and the settings to read it with."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.is_sqlite = url.startswith("sqlite")
        self.tables: dict[str, str] = {}
        self.columns: dict[str, dict[str, str]] = {}

    def fill(
        self,
        pushes: Sequence[Row],
        users: Sequence[Row] = (),
        *,
        push_types: Mapping[str, Any] | None = None,
        user_types: Mapping[str, Any] | None = None,
        zoned: bool = True,
    ) -> PushDatabase:
        """Create both tables, under their configured names, and write the rows."""
        engine = sa.create_engine(self.url)
        with engine.begin() as connection:
            for role, types, rows in (
                ("push_notifications", {**PUSH, **(push_types or {})}, pushes),
                ("users", {**USER, **(user_types or {})}, users),
            ):
                self._create(connection, role, types, rows, zoned=zoned)
        engine.dispose()
        return self

    def _create(
        self,
        connection: sa.Connection,
        role: str,
        types: Mapping[str, Any],
        rows: Sequence[Row],
        *,
        zoned: bool,
    ) -> None:
        schema, _, bare = self.tables.get(role, role).rpartition(".")
        if schema:
            connection.execute(sa.schema.CreateSchema(schema, if_not_exists=True))
        renamed = self.columns.get(role, {})
        columns = [
            sa.Column(renamed.get(name, name), self._type(kind, zoned=zoned))
            for name, kind in types.items()
            if kind is not None
        ]
        table = sa.Table(bare, sa.MetaData(), *columns, schema=schema or None)
        table.create(connection)
        held = [
            {
                renamed.get(name, name): self._value(value, zoned=zoned)
                for name, value in row.items()
                if types.get(name) is not None
            }
            for row in rows
        ]
        if held:
            connection.execute(table.insert(), held)

    def _type(self, kind: Any, *, zoned: bool) -> Any:
        if kind is not sa.DateTime:
            return kind
        return sa.Text() if self.is_sqlite else sa.DateTime(timezone=zoned)

    def _value(self, value: Any, *, zoned: bool) -> Any:
        if not isinstance(value, datetime):
            return value
        held = value if zoned else value.replace(tzinfo=None)
        return held.isoformat() if self.is_sqlite else held

    def settings(self, **given: Any) -> Database:
        """Return settings that read this database."""
        return Database(
            url=self.url, tables=Tables(**self.tables), columns=Columns(**self.columns), **given
        )

    def read(self, since: datetime = START, until: datetime = END, **given: Any) -> RawPushes:
        """Return the rows of a period."""
        segment_days = given.pop("segment_days", 7)
        settings = self.settings(**given)
        engine = open_engine(settings)
        try:
            return read_push_rows(engine, settings, since, until, segment_days=segment_days)
        finally:
            engine.dispose()


def assert_holds_no_secret(error: BaseException) -> None:
    """Fail where an error, as it would be printed or logged, holds a password or an e-mail."""
    shown = "".join(traceback.format_exception(error)) + repr(error) + str(error)
    assert PASSWORD not in shown
    assert EMAIL not in shown
