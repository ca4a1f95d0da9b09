"""The push database: one engine, and connections that can only read.

PostgreSQL (Neon among them) and SQLite are read in one snapshot that the server itself keeps
read-only, under a time limit for each statement. Nothing is sent at start-up that a pooler
refuses: limits and isolation are set inside each transaction.
"""

from __future__ import annotations

import ipaddress
import math
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import DBAPIError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import QueuePool

from core.errors import ConfigError, DatabaseError, DataError, PushliftError
from core.sections import Database
from core.sources import watch
from core.sources.checks import Check
from core.sources.faults import in_words, place, too_slow
from core.sources.rights import check_role, check_table_rights
from core.sources.tables import Role, SourceTable, describe, refuse_naive

_POOL = {
    "poolclass": QueuePool,
    "pool_size": 2,
    "max_overflow": 8,
    "pool_pre_ping": True,
    "hide_parameters": True,
}
_TIMEOUT_OPTION = "pushlift_statement_timeout"
_SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
_CHECKED_TLS = {"verify-ca", "verify-full"}
_LIMIT = sa.text("SELECT set_config('statement_timeout', :milliseconds, true)")


def open_engine(settings: Database) -> Engine:
    """Return the engine of the push database; nothing is connected yet.

    Raises:
        ConfigError: The URL names no database, or a driver that is not there.
        DatabaseError: The SQLite file does not exist.
    """
    url = make_url(settings.url.get_secret_value())
    if url.drivername in {"postgres", "postgresql"}:
        url = url.set(drivername="postgresql+psycopg2")  # SQLAlchemy's own default is psycopg 3
    options = {
        **_POOL,
        "pool_timeout": settings.connect_timeout,
        "execution_options": {_TIMEOUT_OPTION: settings.statement_timeout},
    }
    try:
        if url.get_backend_name() == "sqlite":
            return _sqlite_engine(url, settings, options)
        return sa.create_engine(url, **options, **_driver_options(url, settings))
    except (NoSuchModuleError, ModuleNotFoundError):
        raise ConfigError(
            f"[database] url asks for the driver {url.drivername}, which is not installed. "
            "Write postgresql+psycopg2://... or sqlite:///..."
        ) from None


@contextmanager
def reading(engine: Engine, *, until: float = math.inf) -> Iterator[Connection]:
    """Yield a connection that sees one snapshot of the database and cannot write to it.

    Args:
        engine: The push database.
        until: The instant of `time.monotonic` by which the block must be over; it is ended then,
            whatever the server does. (Connecting has a limit of its own.)

    Raises:
        ConnectionLost: The connection broke, or none can be had just now.
        DatabaseError: Whatever else the driver reports inside the block, in words.
    """
    driver_error = engine.dialect.loaded_dbapi.Error  # of rows fetched past SQLAlchemy
    limit = watch.Limit(until)
    try:
        with engine.connect() as connection, connection.begin(), limit.on(connection):
            _begin(connection)
            yield connection
    except (DBAPIError, PoolTimeout, driver_error) as error:
        if limit.is_over:
            raise too_slow(engine) from None
        raise in_words(error, engine) from None  # the cause may repeat rows and passwords
    except UnicodeDecodeError:
        raise DataError(f"{place(engine.url)} holds text that is not UTF-8.") from None


def _begin(connection: Connection) -> None:
    """Make the transaction a read-only snapshot under the time limit."""
    dialect = connection.dialect.name
    if dialect == "sqlite":
        connection.exec_driver_sql("BEGIN")  # its driver begins none for reading
    elif dialect == "postgresql":
        connection.exec_driver_sql(_SNAPSHOT)
        seconds = connection.get_execution_options()[_TIMEOUT_OPTION]
        connection.execute(_LIMIT, {"milliseconds": str(seconds * 1000)})


def _driver_options(url: URL, settings: Database) -> dict[str, Any]:
    """Return what psycopg2 is told: TLS unless the URL says otherwise, and when to give up."""
    if url.drivername != "postgresql+psycopg2":
        return {}
    arguments: dict[str, Any] = {
        "connect_timeout": settings.connect_timeout,
        "fallback_application_name": "pushlift",
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": settings.connect_timeout * 1000,
        **watch.watched(settings.statement_timeout + watch.GRACE_SECONDS),
    }
    if not _is_here(url):
        arguments["sslmode"] = "require"
    said = {name: value for name, value in arguments.items() if name not in url.query}
    return {"connect_args": said, "use_native_hstore": False}


def _is_here(url: URL) -> bool:
    """Say whether the server is on this machine, so that nothing travels."""
    host = url.host or url.query.get("host") or "localhost"
    if not isinstance(host, str):
        return False
    if host == "localhost" or host.startswith("/"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _sqlite_engine(url: URL, settings: Database, options: dict[str, Any]) -> Engine:
    """Return the engine of a file that is opened for reading only, and never made."""
    named = (url.database or "").removeprefix("file:")
    if not named or named == ":memory:":
        raise ConfigError("[database] url names no SQLite file. Write sqlite:///path/to/file.")
    path = Path(named)
    if not path.is_file():
        raise DatabaseError(f"The SQLite file {path} does not exist. Check [database] url.")
    address = f"{path.resolve().as_uri()}?mode=ro"

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(
            address,
            uri=True,
            timeout=settings.connect_timeout,
            isolation_level=None,
            check_same_thread=False,
        )

    shown = url.set(drivername="sqlite", database=str(path), query={})
    engine = sa.create_engine(shown, creator=connect, **options)
    _limit_statements(engine, settings.statement_timeout)
    return engine


def _limit_statements(engine: Engine, seconds: int) -> None:
    """Give each statement of SQLite its time limit."""

    @event.listens_for(engine, "connect")
    def _set(connection: sqlite3.Connection, record: Any) -> None:  # noqa: ANN401
        record.info["deadline"] = watch.Deadline(connection, seconds)

    @event.listens_for(engine, "before_cursor_execute")
    def _restart(connection: Connection, *_: object) -> None:
        connection.info["deadline"].restart()


def check_database(engine: Engine, settings: Database) -> list[Check]:
    """Return what is right and what is not about the database, its tables and its permissions."""
    try:
        with reading(engine) as connection:
            checks = [
                Check("push database", ok=True, words=f"{place(engine.url)} answers."),
                *_check_encryption(connection),
            ]
    except PushliftError as error:
        return [Check("push database", ok=False, words=str(error))]
    for role in ("push_notifications", "users"):
        checks += _check_table(engine, settings, role)
    return checks + _check_role(engine, settings)


def _check_role(engine: Engine, settings: Database) -> list[Check]:
    try:
        with reading(engine) as connection:
            return check_role(connection, settings)
    except PushliftError as error:
        return [Check("role", ok=None, words=str(error))]


def _check_encryption(connection: Connection) -> list[Check]:
    url = connection.engine.url
    if connection.dialect.name != "postgresql" or _is_here(url):
        return []
    info = getattr(connection.connection.driver_connection, "info", None)
    if not getattr(info, "ssl_in_use", False):
        words = "Data travels in the clear. Add ?sslmode=verify-full to [database] url."
    elif url.query.get("sslmode") not in _CHECKED_TLS:
        words = "Encrypted, but not checked who answers. Add ?sslmode=verify-full to the url."
    else:
        return [Check("encryption", ok=True, words="Encrypted, and the certificate is checked.")]
    return [Check("encryption", ok=None, words=words)]


def _check_table(engine: Engine, settings: Database, role: Role) -> list[Check]:
    """Return what is found about one table, as far as one can look."""
    what = f"table {getattr(settings.tables, role)}"
    checks: list[Check] = []
    try:
        with reading(engine) as connection:
            table = describe(connection, settings, role)
            checks += [
                Check(what, ok=True, words="It has every required column."),
                *_check_columns(table, settings.timezone),
                *check_table_rights(connection, table),
            ]
            look = _check_pushes if role == "push_notifications" else _check_users
            checks.append(look(connection, table))
    except PushliftError as error:
        checks.append(Check(what, ok=False, words=str(error)))
    return checks


def _check_columns(table: SourceTable, zone: str | None) -> list[Check]:
    checks = [
        Check(
            f"column {table.name}.{table.names[column]}", ok=None,
            words="It is not there, and read as not recorded.",
        )
        for column in table.absent
    ]  # fmt: skip
    try:
        refuse_naive(table, zone)
    except DataError as error:
        return [*checks, Check(f"timestamps of {table.name}", ok=False, words=str(error))]
    naive = [table.names[column] for column, kind in table.kinds.items() if kind == "naive"]
    words = f"{', '.join(naive)} carry no zone: read as {zone}." if naive else "They have a zone."
    return [*checks, Check(f"timestamps of {table.name}", ok=True, words=words)]


def _check_pushes(connection: Connection, table: SourceTable) -> Check:
    status = sa.func.lower(sa.func.trim(table.text("status")))
    at = sa.func.coalesce(table["delivered_at"], table["sent_at"])
    is_delivered = status == "delivered"
    n, first, last = connection.execute(
        sa.select(
            sa.func.count(), sa.cast(sa.func.min(at), sa.Text), sa.cast(sa.func.max(at), sa.Text)
        )
        .select_from(table.clause)
        .where(is_delivered)
    ).one()
    if not n:
        return Check("delivered pushes", ok=None, words="There are none: nothing can be measured.")
    words = f"{n:,} rows, delivered {str(first)[:10]} to {str(last)[:10]}."
    return Check("delivered pushes", ok=True, words=words)


def _check_users(connection: Connection, table: SourceTable) -> Check:
    n, n_direct, n_email = connection.execute(
        sa.select(
            sa.func.count(),
            sa.func.count(table["posthog_distinct_id"]),
            sa.func.count(table["email"]),
        ).select_from(table.clause)
    ).one()
    words = f"{n:,} users, {n_direct:,} with a PostHog id, {n_email:,} with an e-mail."
    return Check("users", ok=True if n_direct or n_email else None, words=words)
