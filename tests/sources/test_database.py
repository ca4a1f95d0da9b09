"""The push database: what can be opened, that nothing is written, and what faults say."""

from __future__ import annotations

import socket
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import psycopg2
import pytest
import sqlalchemy as sa
from psycopg2 import sql
from sqlalchemy import event
from sqlalchemy.engine import make_url

from core.errors import ConfigError, DatabaseError
from core.sections import Database
from core.sources import watch
from core.sources.database import check_database, open_engine, reading
from core.sources.faults import ConnectionLost
from tests.conftest import PASSWORD
from tests.sources.push_database import (
    EMAIL,
    PushDatabase,
    assert_holds_no_secret,
    push,
    user,
)

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
PUSHES = sa.table("push_notifications", sa.column("id"), sa.column("user_id"), sa.column("status"))


def settings_of(url: str, **given: int) -> Database:
    return Database(url=url, **given)


def connect_arguments(url: str) -> dict[str, object]:
    """Return what the driver would be told."""
    engine = open_engine(settings_of(url))
    seen: dict[str, object] = {}

    @event.listens_for(engine, "do_connect")
    def _note(_dialect: object, _record: object, _args: object, given: dict[str, object]) -> None:
        seen.update(given)
        raise ConfigError("seen")

    with suppress(ConfigError):
        engine.connect()
    return seen


class Proxy:
    """Stands before the server, and can be made to swallow everything while it stays connected."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._is_silent = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open = [self._listener]
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def fall_silent(self) -> None:
        self._is_silent.set()

    def close(self) -> None:
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._to))
                self._open += [client, server]
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=self._pass, args=pair, daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                if not self._is_silent.is_set():
                    target.sendall(data)
            target.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxy(fresh_postgres: str) -> Iterator[Proxy]:
    proxy = Proxy(make_url(fresh_postgres).port or 0)
    yield proxy
    proxy.close()


class TestOpenEngine:
    def test_open_engine_sqlite_file_missing_makes_none(self, tmp_path: Path) -> None:
        path = tmp_path / "absent.sqlite"
        with pytest.raises(DatabaseError, match=r"absent\.sqlite does not exist"):
            open_engine(settings_of(f"sqlite:///{path}"))
        assert not path.exists()

    def test_open_engine_sqlite_in_memory_refused(self) -> None:
        with pytest.raises(ConfigError, match="names no SQLite file"):
            open_engine(settings_of("sqlite:///:memory:"))

    def test_open_engine_driver_missing_names_it(self) -> None:
        with pytest.raises(ConfigError, match=r"driver postgresql\+psycopg,"):
            open_engine(settings_of(f"postgresql+psycopg://reader:{PASSWORD}@db.example/app"))

    @pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
    def test_open_engine_postgres_scheme_means_psycopg2(self, scheme: str) -> None:
        engine = open_engine(settings_of(f"{scheme}://reader@db.example/app"))
        assert engine.driver == "psycopg2"

    def test_open_engine_pool_keeps_two_and_ten_at_most(self, database: PushDatabase) -> None:
        database.fill([push(1)])
        engine = open_engine(settings_of(database.url, connect_timeout=1))
        held = [engine.connect() for _ in range(10)]
        with pytest.raises(DatabaseError, match="is busy"), reading(engine):
            pass
        for connection in held:
            connection.close()
        assert engine.pool.checkedin() == 2  # type: ignore[attr-defined]
        engine.dispose()

    def test_open_engine_remote_server_requires_tls_unless_url_says(self) -> None:
        given = connect_arguments("postgresql://reader@db.example/app")
        assert given["sslmode"] == "require"
        assert "options" not in given
        assert given["connect_timeout"] == 15
        said = connect_arguments("postgresql://reader@db.example/app?sslmode=verify-full")
        assert said["sslmode"] == "verify-full"
        assert "sslmode" not in connect_arguments("postgresql://reader@127.0.0.1/app")

    def test_open_engine_hides_parameters_and_password(self, postgres_url: str) -> None:
        engine = open_engine(settings_of(postgres_url))
        assert engine.hide_parameters
        assert PASSWORD not in repr(engine)


class TestReading:
    def test_reading_refuses_to_write(self, database: PushDatabase) -> None:
        database.fill([push(1)])
        engine = open_engine(settings_of(database.url))
        with pytest.raises(DatabaseError), reading(engine) as connection:
            connection.execute(PUSHES.insert(), {"id": "x", "user_id": "y", "status": "sent"})
        with reading(engine) as connection:
            count = sa.select(sa.func.count()).select_from(PUSHES)
            assert connection.execute(count).scalar_one() == 1
        engine.dispose()

    def test_reading_postgres_cannot_be_made_writable(self, postgres: PushDatabase) -> None:
        postgres.fill([push(1)])
        engine = open_engine(settings_of(postgres.url))
        with pytest.raises(DatabaseError), reading(engine) as connection:
            connection.exec_driver_sql("SET TRANSACTION READ WRITE")
        engine.dispose()

    def test_reading_sees_one_snapshot(self, postgres: PushDatabase) -> None:
        postgres.fill([push(1)])
        engine, writer = open_engine(settings_of(postgres.url)), sa.create_engine(postgres.url)
        count = sa.select(sa.func.count()).select_from(PUSHES)
        with reading(engine) as connection:
            assert connection.execute(count).scalar_one() == 1
            with writer.begin() as other:
                other.execute(PUSHES.insert(), {"id": "x", "user_id": "y", "status": "sent"})
            assert connection.execute(count).scalar_one() == 1
        with reading(engine) as connection:
            assert connection.execute(count).scalar_one() == 2
        engine.dispose()
        writer.dispose()

    def test_reading_sqlite_sees_one_snapshot(self, sqlite: PushDatabase) -> None:
        sqlite.fill([push(1)])
        writer = sa.create_engine(sqlite.url)
        with writer.begin() as other:
            other.exec_driver_sql("PRAGMA journal_mode=WAL")
        engine = open_engine(settings_of(sqlite.url))
        count = sa.select(sa.func.count()).select_from(PUSHES)
        with reading(engine) as connection:
            assert connection.execute(count).scalar_one() == 1
            with writer.begin() as other:
                other.execute(PUSHES.insert(), {"id": "x", "user_id": "y", "status": "sent"})
            assert connection.execute(count).scalar_one() == 1
        engine.dispose()
        writer.dispose()

    def test_reading_statement_over_its_time_is_stopped(self, database: PushDatabase) -> None:
        database.fill([push(1)])
        engine = open_engine(settings_of(database.url, statement_timeout=1))
        began = time.monotonic()
        with (
            pytest.raises(DatabaseError, match="statement_timeout"),
            reading(engine) as connection,
        ):
            connection.exec_driver_sql(ENDLESS).all()
        assert time.monotonic() - began < 5
        engine.dispose()

    def test_reading_statements_each_have_the_whole_time(self, sqlite: PushDatabase) -> None:
        sqlite.fill([push(1)])
        engine = open_engine(settings_of(sqlite.url, statement_timeout=60))
        with reading(engine) as connection:
            deadline = connection.info["deadline"]
            deadline._end = 0.0
            connection.execute(sa.select(PUSHES)).all()
            assert not deadline._is_over()
        engine.dispose()

    def test_reading_after_the_server_ended_an_idle_connection(
        self, postgres: PushDatabase
    ) -> None:
        engine = open_engine(settings_of(postgres.url))
        with reading(engine) as connection:
            process = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        _terminate(postgres.url, process)
        with reading(engine) as connection:
            assert connection.exec_driver_sql("SELECT 1").scalar_one() == 1
        engine.dispose()

    def test_reading_connection_cut_is_named_as_lost(self, postgres: PushDatabase) -> None:
        engine = open_engine(settings_of(postgres.url))
        with pytest.raises(ConnectionLost):
            self.cut_while_reading(engine, postgres.url)
        with reading(engine) as connection:
            assert connection.exec_driver_sql("SELECT 1").scalar_one() == 1
        engine.dispose()

    def test_reading_server_fallen_silent_is_given_up(
        self, postgres: PushDatabase, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(watch, "GRACE_SECONDS", 0.2)
        url = make_url(postgres.url).set(port=proxy.port).render_as_string(hide_password=False)
        engine = open_engine(settings_of(url, statement_timeout=1))
        began = time.monotonic()
        with pytest.raises(ConnectionLost):
            self.fall_silent_while_reading(engine, proxy)
        assert time.monotonic() - began < 5
        assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
        engine.dispose()

    def cut_while_reading(self, engine: sa.Engine, url: str) -> None:
        with reading(engine) as connection:
            process = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
            _terminate(url, process)
            connection.exec_driver_sql("SELECT 1")

    def fall_silent_while_reading(self, engine: sa.Engine, proxy: Proxy) -> None:
        with reading(engine) as connection:
            connection.exec_driver_sql("SELECT 1")
            proxy.fall_silent()
            connection.exec_driver_sql("SELECT 1")


def _terminate(url: str, process: int) -> None:
    with closing(psycopg2.connect(url.replace("+psycopg2", ""))) as other, other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", (process,))


def _make_reader(url: str, name: str, *tables: str) -> None:
    """Make a role, with the server's one password, that may read these tables only."""
    made = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
    granted = sql.SQL("GRANT SELECT ON {} TO {}")
    role = sql.Identifier(name)
    connected = psycopg2.connect(url.replace("+psycopg2", ""))
    with closing(connected) as server, server, server.cursor() as cursor:
        cursor.execute(made.format(role, sql.Literal(PASSWORD)))
        for table in tables:
            cursor.execute(granted.format(sql.Identifier(table), role))


class TestFaults:
    """Each fault says what, where and what to do, and holds no secret."""

    def fault(self, url: str, statement: sa.Executable | None = None, **given: int) -> str:
        engine = open_engine(settings_of(url, **given))
        asked = sa.text("SELECT 1") if statement is None else statement
        with pytest.raises(DatabaseError) as caught, reading(engine) as connection:
            connection.execute(asked, {"email": EMAIL})
        engine.dispose()
        assert_holds_no_secret(caught.value)
        return str(caught.value)

    def test_fault_server_never_answers_within_connect_timeout(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            began = time.monotonic()
            said = self.fault(f"postgresql://r:{PASSWORD}@127.0.0.1:{port}/a", connect_timeout=2)
        assert time.monotonic() - began < 4
        assert f"The database a at 127.0.0.1:{port} did not answer in time" in said
        assert "connect_timeout" in said

    def test_fault_nobody_listens(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        assert "refuses connections" in self.fault(f"postgresql://r:{PASSWORD}@127.0.0.1:{port}/a")

    def test_fault_host_unknown(self) -> None:
        said = self.fault(f"postgresql://r:{PASSWORD}@no..such..host/a")
        assert "no..such..host cannot be found" in said

    def test_fault_password_refused(self, fresh_postgres: str) -> None:
        url = make_url(fresh_postgres).set(password=f"not-{PASSWORD}")
        said = self.fault(url.render_as_string(hide_password=False))
        assert "refused the user or the password" in said

    def test_fault_database_missing(self, postgres_url: str) -> None:
        said = self.fault(postgres_url.removesuffix("/postgres") + "/absent")
        assert "The database absent at 127.0.0.1" in said
        assert "has no database of that name" in said

    def test_fault_tls_not_offered(self, fresh_postgres: str) -> None:
        assert "offers no TLS" in self.fault(f"{fresh_postgres}?sslmode=require")

    def test_fault_permission_missing_names_the_table(self, postgres: PushDatabase) -> None:
        postgres.fill([push(1)])
        _make_reader(postgres.url, "nobody_much")
        url = make_url(postgres.url).set(username="nobody_much")
        said = self.fault(url.render_as_string(hide_password=False), sa.select(PUSHES))
        assert "does not let this user read push_notifications" in said
        assert "Grant SELECT" in said

    def test_fault_table_missing_names_it_and_its_key(self, database: PushDatabase) -> None:
        database.fill([])
        said = self.fault(database.url, sa.select(sa.table("absent", sa.column("id"))))
        assert "has no table absent" in said
        assert "[database.tables]" in said

    def test_fault_column_missing_names_it_and_its_key(self, database: PushDatabase) -> None:
        database.fill([])
        absent = sa.table("users", sa.column("absent"))
        said = self.fault(database.url, sa.select(absent.c.absent))
        assert "has no column" in said
        assert "absent" in said
        assert "[database.columns]" in said

    def test_fault_statement_with_an_email_does_not_repeat_it(self, postgres: PushDatabase) -> None:
        """The server repeats the line at fault, with what the driver wrote into it."""
        broken = sa.text("SELECT absent FROM (SELECT 1) x WHERE :email = absent")
        said = self.fault(postgres.url, broken)
        assert "has no column absent" in said

    def test_fault_value_of_another_type_does_not_repeat_it(self, postgres: PushDatabase) -> None:
        said = self.fault(postgres.url, sa.text("SELECT CAST(:email AS integer)"))
        assert "reported a fault" in said
        assert "22P02" in said

    def test_fault_lock_that_is_not_had_in_time(self, postgres: PushDatabase) -> None:
        raised = "DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '55P03'; END $$"
        assert "holds a lock on what is read" in self.fault(postgres.url, sa.text(raised))

    def test_fault_file_that_is_no_database(self, tmp_path: Path) -> None:
        path = tmp_path / "not.sqlite"
        path.write_text(f"{EMAIL} " * 200)
        assert "is not a SQLite database" in self.fault(f"sqlite:///{path}", sa.select(PUSHES))

    def test_fault_text_that_is_not_utf8_does_not_repeat_it(self, sqlite: PushDatabase) -> None:
        sqlite.fill([])
        broken = sa.text("SELECT CAST(CAST(:email AS BLOB) || x'ff' AS TEXT) AS email")
        engine = open_engine(settings_of(sqlite.url))
        with pytest.raises(DatabaseError, match="email") as caught, reading(engine) as connection:
            connection.execute(broken, {"email": EMAIL}).all()
        engine.dispose()
        assert_holds_no_secret(caught.value)
        assert "not UTF-8" in str(caught.value)

    def test_fault_does_not_print_the_driver_text(self, database: PushDatabase) -> None:
        database.fill([])
        engine = open_engine(settings_of(database.url))
        with pytest.raises(DatabaseError) as caught, reading(engine) as connection:
            connection.execute(sa.text("SELECT :email FROM absent"), {"email": EMAIL})
        engine.dispose()
        assert caught.value.__suppress_context__
        printed = "".join(traceback.format_exception(caught.value))
        assert "OperationalError" not in printed
        assert "UndefinedTable" not in printed


class TestCheckDatabase:
    def checks(self, database: PushDatabase, **given: str) -> dict[str, tuple[bool | None, str]]:
        settings = database.settings(**given)
        engine = open_engine(settings)
        found = check_database(engine, settings)
        engine.dispose()
        return {check.what: (check.ok, check.words) for check in found}

    def test_check_database_all_is_well(self, database: PushDatabase) -> None:
        database.fill([push(1), push(2, status="Failed")], [user(1), user(2, email=None)])
        checks = self.checks(database)
        assert checks["push database"][0] is True
        assert checks["table push_notifications"] == (True, "It has every required column.")
        assert checks["delivered pushes"] == (
            True, "1 rows, delivered 2026-09-01 to 2026-09-01.",
        )  # fmt: skip
        assert checks["users"] == (True, "2 users, 2 with a PostHog id, 1 with an e-mail.")
        assert not [what for what, (ok, _) in checks.items() if ok is False]

    def test_check_database_advises_against_a_role_that_can_write(
        self, postgres: PushDatabase
    ) -> None:
        postgres.fill([push(1)], [user(1)])
        ok, words = self.checks(postgres)["permission on users"]
        assert ok is None
        assert "SELECT only" in words

    def test_check_database_role_that_can_only_read(self, postgres: PushDatabase) -> None:
        postgres.fill([push(1)], [user(1)])
        _make_reader(postgres.url, "only_reads", "users", "push_notifications")
        url = make_url(postgres.url).set(username="only_reads")
        reader = PushDatabase(url.render_as_string(hide_password=False))
        assert self.checks(reader)["permission on users"] == (
            True, "This user may read, not write.",
        )  # fmt: skip

    def test_check_database_names_what_is_missing(self, database: PushDatabase) -> None:
        database.fill([push(1)], push_types={"status": None, "title": None}, user_types={})
        ok, words = self.checks(database)["table push_notifications"]
        assert ok is False
        assert "[database.columns.push_notifications] status" in words

    def test_check_database_advises_where_optional_columns_are_missing(
        self, database: PushDatabase
    ) -> None:
        database.fill([push(1)], push_types={"trigger_at": None})
        assert self.checks(database)["column push_notifications.trigger_at"][0] is None

    def test_check_database_naive_timestamps(self, postgres: PushDatabase) -> None:
        postgres.fill([push(1)], zoned=False)
        ok, words = self.checks(postgres)["timestamps of push_notifications"]
        assert ok is False
        assert "[database] timezone" in words
        ok, words = self.checks(postgres, timezone="UTC")["timestamps of push_notifications"]
        assert ok is True
        assert "read as UTC" in words

    def test_check_database_unreachable_is_one_check(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        settings = settings_of(f"postgresql://r:{PASSWORD}@127.0.0.1:{port}/a")
        (check,) = check_database(open_engine(settings), settings)
        assert check.ok is False
        assert "refuses connections" in check.words
