"""Reading pushes from a PostgreSQL that breaks, falls silent, restarts, or is not alone."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg2
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from core.errors import DatabaseError
from core.sources import pushes as pushes_module
from core.sources.database import check_database, open_engine, reading
from core.sources.faults import ConnectionLost
from core.sources.pushes import RawPushes, read_push_rows
from tests.conftest import _Server
from tests.faults.pooler import Certificates, Pooler, TlsFront, make_certificates
from tests.faults.proxy import PASS, Proxy, Trouble
from tests.sources.push_database import (
    END,
    START,
    PushDatabase,
    assert_holds_no_secret,
    push,
)
from tests.sources.test_database import ENDLESS
from tests.sources.test_pushes import many, sorted_rows

Step = Callable[[str, int, int], None]


def no_wait(_seconds: float) -> None:
    """Sleep not at all."""


def through(url: str, port: int, **query: str) -> str:
    """Return a URL that goes to another port of this machine."""
    changed = make_url(url).set(port=port, host="localhost").update_query_dict(query)
    return changed.render_as_string(hide_password=False)


def read(
    url: str,
    *,
    on_progress: Step = lambda *_: None,
    sleep: Callable[[float], None] = no_wait,
    **given: Any,
) -> RawPushes:
    settings = PushDatabase(url).settings(**given)
    engine = open_engine(settings)
    try:
        return read_push_rows(engine, settings, START, END, on_progress=on_progress, sleep=sleep)
    finally:
        assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
        engine.dispose()


def assert_equal(one: RawPushes, other: RawPushes) -> None:
    pd.testing.assert_frame_equal(sorted_rows(one), sorted_rows(other))


def administer(url: str, statement: str) -> None:
    with closing(psycopg2.connect(url.replace("+psycopg2", ""))) as server:
        server.autocommit = True
        with server.cursor() as cursor:
            cursor.execute(statement)


@pytest.fixture
def filled(fresh_postgres: str) -> str:
    """Return the URL of a database of some hundred rows."""
    PushDatabase(fresh_postgres).fill(*many(600))
    return fresh_postgres


@pytest.fixture
def whole(filled: str) -> RawPushes:
    return read(filled)


@pytest.fixture
def proxy(filled: str) -> Iterator[Proxy]:
    with Proxy("127.0.0.1", make_url(filled).port or 0) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("tls"))


class TestTries:
    @pytest.mark.parametrize("after", [3_000, 9_000, 20_000])
    @pytest.mark.parametrize("kind", ["cut", "reset"])
    def test_read_push_rows_cut_twice_is_whole_at_the_third_try(
        self, filled: str, whole: RawPushes, proxy: Proxy, kind: Any, after: int
    ) -> None:
        waits: list[float] = []
        proxy.set(Trouble(kind=kind, after=after, times=2))
        url = through(filled, proxy.port)
        assert_equal(read(url, sleep=waits.append), whole)
        assert waits == [1.0, 3.0]

    def test_read_push_rows_cut_every_time_is_lost(self, filled: str, proxy: Proxy) -> None:
        proxy.set(Trouble(kind="cut", after=3_000, times=0))
        with pytest.raises(ConnectionLost):
            read(through(filled, proxy.port))

    def test_read_push_rows_refused_once_is_had_after_a_while(
        self, filled: str, whole: RawPushes, proxy: Proxy
    ) -> None:
        """As a suspended database does while it wakes."""
        proxy.set(Trouble(kind="refuse", times=0))
        assert_equal(read(through(filled, proxy.port), sleep=lambda _: proxy.set(PASS)), whole)

    def test_read_push_rows_slow_to_wake_is_waited_for(
        self, filled: str, whole: RawPushes, proxy: Proxy
    ) -> None:
        proxy.set(Trouble(kind="delay", seconds=1.5, times=1))
        assert_equal(read(through(filled, proxy.port)), whole)

    def test_read_push_rows_server_starting_up_is_had_after_a_while(
        self, filled: str, whole: RawPushes
    ) -> None:
        with Pooler(make_url(filled).port or 0) as pooler:
            pooler.n_starting = 2
            assert_equal(read(through(filled, pooler.port)), whole)
            pooler.n_starting = 3
            with pytest.raises(ConnectionLost, match="starting up"):
                read(through(filled, pooler.port))

    def test_read_push_rows_wrong_password_is_not_tried_again(self, filled: str) -> None:
        waits: list[float] = []
        url = make_url(filled).set(password="wrong").render_as_string(hide_password=False)
        with pytest.raises(DatabaseError, match="password"):
            read(url, sleep=waits.append)
        assert waits == []

    def test_read_push_rows_statement_cancelled_by_somebody_says_so(self, filled: str) -> None:
        def cancel(_step: str, done: int, _total: int) -> None:
            if done == 2:
                threading.Timer(0.3, administer, (filled, _CANCEL)).start()
                self.asked(engine, "SELECT pg_sleep(20)")

        settings = PushDatabase(filled).settings()
        engine = open_engine(settings)
        with pytest.raises(DatabaseError, match="at somebody's request"):
            read_push_rows(engine, settings, START, END, on_progress=cancel, sleep=no_wait)
        engine.dispose()

    def asked(self, engine: sa.Engine, statement: str) -> None:
        with reading(engine) as connection:
            connection.exec_driver_sql(statement)

    def test_read_push_rows_through_an_immediate_restart(self, own_server: _Server) -> None:
        url = own_server.url
        PushDatabase(url).fill(*many(600))
        whole = read(url)
        returned: list[float] = []

        def start() -> None:
            own_server.start_again()
            returned.append(time.monotonic())

        starter = threading.Timer(1.2, start)

        def stop(_step: str, done: int, _total: int) -> None:
            if done == 4 and not starter.is_alive() and not returned:
                own_server.stop()
                starter.start()

        waits: list[float] = []

        def sleep(seconds: float) -> None:
            waits.append(seconds)
            time.sleep(seconds)
            if len(waits) == 2:  # however long this machine takes to start it
                starter.join()

        assert_equal(read(url, on_progress=stop, sleep=sleep), whole)
        assert time.monotonic() - returned[0] < 5
        assert waits[0] == 1.0


_CANCEL = (
    "SELECT pg_cancel_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND query LIKE '%pg_sleep(20)%' AND pid <> pg_backend_pid()"
)


class _OwnServer(_Server):
    """A server of this file's own, to be stopped."""

    def start_again(self) -> None:
        options = f"-h 127.0.0.1 -p {self.port} -c unix_socket_directories='' -c fsync=off"
        self._run("pg_ctl", "-D", self.data, "-w", "-o", options, "-l", self.home / "log", "start")


@pytest.fixture(scope="module")
def own_server() -> Iterator[_OwnServer]:
    home = Path(tempfile.mkdtemp(prefix="pushlift-pg-own-"))
    server = _OwnServer(home)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


class TestReadTimeout:
    @pytest.mark.parametrize("after", [2_000, 12_000])
    def test_read_push_rows_from_a_black_hole_ends_in_time(
        self, filled: str, proxy: Proxy, after: int
    ) -> None:
        proxy.set(Trouble(kind="black_hole", after=after, times=0))
        n_threads = threading.active_count()
        began = time.monotonic()
        with pytest.raises(DatabaseError, match="read_timeout") as caught:
            read(through(filled, proxy.port), read_timeout=1, connect_timeout=2)
        assert time.monotonic() - began < 10
        assert_holds_no_secret(caught.value)
        assert not isinstance(caught.value, ConnectionLost)
        proxy.set(PASS)
        assert len(read(through(filled, proxy.port)).rows) > 200
        assert _soon(lambda: threading.active_count() <= n_threads + 4)  # the proxy's own

    def test_read_push_rows_from_a_drip_ends_in_time(self, filled: str, proxy: Proxy) -> None:
        proxy.set(Trouble(kind="drip", after=4_000, piece=20, seconds=0.05, times=0))
        began = time.monotonic()
        with pytest.raises(DatabaseError, match="read_timeout"):
            read(through(filled, proxy.port), read_timeout=1)
        assert time.monotonic() - began < 10

    def test_read_push_rows_tries_share_one_time(self, filled: str, proxy: Proxy) -> None:
        proxy.set(Trouble(kind="cut", after=3_000, times=0))
        waits: list[float] = []
        with pytest.raises(DatabaseError):
            read(through(filled, proxy.port), read_timeout=2, sleep=waits.append)
        assert waits in ([], [1.0])  # the next wait would end too late

    def test_reading_with_time_left_is_not_ended_later(self, filled: str) -> None:
        engine = open_engine(PushDatabase(filled).settings())
        with reading(engine, until=time.monotonic() + 0.5) as connection:
            process = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        time.sleep(0.7)
        with reading(engine) as connection:
            same = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        assert same == process
        engine.dispose()

    def test_reading_sqlite_ends_in_time(self, sqlite: PushDatabase) -> None:
        sqlite.fill([push(1)])
        engine = open_engine(sqlite.settings(statement_timeout=60))
        began = time.monotonic()
        with (
            pytest.raises(DatabaseError, match="read_timeout"),
            reading(engine, until=began + 0.3) as connection,
        ):
            connection.exec_driver_sql(ENDLESS).all()
        assert time.monotonic() - began < 9
        with reading(engine) as connection:
            assert connection.exec_driver_sql("SELECT 1").scalar_one() == 1
        engine.dispose()


def _soon(is_so: Callable[[], bool]) -> bool:
    until = time.monotonic() + 5
    while not is_so() and time.monotonic() < until:
        threading.Event().wait(0.02)
    return is_so()


class TestPooler:
    def test_read_push_rows_through_a_pooler_that_refuses_options(
        self, filled: str, whole: RawPushes
    ) -> None:
        with Pooler(make_url(filled).port or 0) as pooler:
            assert_equal(read(through(filled, pooler.port)), whole)
            assert pooler.refused == []

    def test_fault_pooler_refusing_a_parameter_of_the_url_says_which_to_remove(
        self, filled: str
    ) -> None:
        with Pooler(make_url(filled).port or 0) as pooler:
            url = through(filled, pooler.port, options="-c statement_timeout=5")
            with pytest.raises(DatabaseError, match="pooler that refuses a parameter"):
                read(url)
            assert pooler.refused == ["options"]

    def test_read_push_rows_leaves_no_state_behind_a_transaction_pooler(
        self, filled: str, whole: RawPushes
    ) -> None:
        state = (
            "SELECT pg_backend_pid(), current_setting('statement_timeout'), "
            "current_setting('default_transaction_read_only'), "
            "current_setting('default_transaction_isolation'), "
            "(SELECT count(*) FROM pg_prepared_statements), (SELECT count(*) FROM pg_cursors)"
        )
        with Pooler(make_url(filled).port or 0) as pooler:
            url = through(filled, pooler.port)
            others = [psycopg2.connect(url.replace("+psycopg2", "")) for _ in range(3)]
            for other in others:
                other.autocommit = True
            found = [one for _ in range(4) for one in [self.ask(others[0], state)]]
            for _ in range(3):
                assert_equal(read(url), whole)
                found += [self.ask(others[0], state) for _ in range(6)]
            for other in others:
                other.close()
        assert len({process for process, *_ in found}) >= 3
        assert {tuple(rest) for _, *rest in found} == {("0", "off", "read committed", 0, 0)}

    def ask(self, connection: Any, statement: str) -> Any:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchone()


class TestTls:
    @pytest.fixture
    def front(
        self, request: pytest.FixtureRequest, filled: str, certificates: Certificates
    ) -> Iterator[TlsFront]:
        pair = getattr(certificates, request.param)
        with TlsFront(make_url(filled).port or 0, *pair) as front:
            yield front

    def url(self, filled: str, port: int, certificates: Certificates, mode: str) -> str:
        return through(filled, port, sslmode=mode, sslrootcert=str(certificates.authority))

    @pytest.mark.parametrize("front", ["right"], indirect=True)
    def test_read_push_rows_over_tls_with_the_right_certificate(
        self, filled: str, whole: RawPushes, front: TlsFront, certificates: Certificates
    ) -> None:
        assert_equal(read(self.url(filled, front.port, certificates, "verify-full")), whole)

    @pytest.mark.parametrize("front", ["wrong_host", "self_signed"], indirect=True)
    def test_fault_certificate_of_somebody_else_is_refused(
        self, filled: str, front: TlsFront, certificates: Certificates
    ) -> None:
        waits: list[float] = []
        with pytest.raises(DatabaseError, match="over TLS") as caught:
            read(self.url(filled, front.port, certificates, "verify-full"), sleep=waits.append)
        assert_holds_no_secret(caught.value)
        assert waits == []

    @pytest.mark.parametrize("front", ["right"], indirect=True)
    def test_read_push_rows_cut_under_tls_is_read_again(
        self, filled: str, whole: RawPushes, front: TlsFront, certificates: Certificates
    ) -> None:
        with Proxy("127.0.0.1", front.port) as proxy:
            url = self.url(filled, proxy.port, certificates, "verify-full")
            for kind in ("cut", "reset"):
                proxy.set(Trouble(kind=kind, after=12_000, times=2))  # type: ignore[arg-type]
                assert_equal(read(url), whole)

    @pytest.mark.parametrize("front", ["right"], indirect=True)
    def test_read_push_rows_from_a_black_hole_under_tls_ends_in_time(
        self, filled: str, front: TlsFront, certificates: Certificates
    ) -> None:
        with Proxy("127.0.0.1", front.port) as proxy:
            url = self.url(filled, proxy.port, certificates, "verify-full")
            proxy.set(Trouble(kind="black_hole", after=12_000, times=0))
            began = time.monotonic()
            with pytest.raises(DatabaseError, match="read_timeout"):
                read(url, read_timeout=1, connect_timeout=2)
            assert time.monotonic() - began < 10


class TestRights:
    def checks(self, url: str) -> dict[str, tuple[bool | None, str]]:
        settings = PushDatabase(url).settings()
        engine = open_engine(settings)
        found = check_database(engine, settings)
        engine.dispose()
        return {check.what: (check.ok, check.words) for check in found}

    def role(self, url: str, name: str, *grants: str) -> str:
        password = make_url(url).password
        administer(url, f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
        administer(url, "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        for grant in grants:
            administer(url, f"{grant} TO {name}")
        return make_url(url).set(username=name).render_as_string(hide_password=False)

    def test_check_database_superuser_is_advised_to_read_only_with_the_sql(
        self, filled: str
    ) -> None:
        ok, words = self.checks(filled)["role"]
        assert ok is None
        assert "superuser" in words
        advised = words.partition("nothing else: ")[2].replace("'...'", "'test-password'")
        try:
            administer(filled, advised)
            url = make_url(filled).set(username="pushlift_reader", password="test-password")
            reader = url.render_as_string(hide_password=False)
            administer(filled, "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
            checks = self.checks(reader)
            assert checks["role"] == (True, "This user may write nowhere.")
            assert not [what for what, (ok, _) in checks.items() if ok is not True]
        finally:
            with suppress(psycopg2.Error):
                administer(filled, "DROP OWNED BY pushlift_reader; DROP ROLE pushlift_reader")

    def test_check_database_writing_elsewhere_is_told(self, filled: str) -> None:
        administer(filled, "CREATE TABLE elsewhere (x integer)")
        url = self.role(
            filled, "writes_elsewhere", "GRANT SELECT ON users, push_notifications",
            "GRANT DELETE ON elsewhere", "GRANT CREATE ON SCHEMA public",
        )  # fmt: skip
        ok, words = self.checks(url)["role"]
        assert ok is None
        assert "make tables in 1 schemas, write to 1 tables" in words

    def test_read_push_rows_under_row_level_security_says_so(self, filled: str) -> None:
        url = self.role(filled, "sees_some", "GRANT SELECT ON users, push_notifications")
        administer(filled, "ALTER TABLE push_notifications ENABLE ROW LEVEL SECURITY")
        administer(
            filled, "CREATE POLICY few ON push_notifications FOR SELECT USING (status = 'failed')"
        )
        assert any("Row-level security" in said for said in read(url).notices)
        assert not any("Row-level security" in said for said in read(filled).notices)
        checks = self.checks(url)
        assert checks["rows of push_notifications"][0] is None
        assert "rows of users" not in checks


def test_read_push_rows_waits_grow(monkeypatch: pytest.MonkeyPatch, filled: str) -> None:
    waits: list[float] = []
    monkeypatch.setattr(pushes_module, "TRIES", 4)
    with pytest.raises(ConnectionLost, match="refuses connections"):
        read(through(filled, 1), sleep=waits.append)
    assert waits == [1.0, 3.0, 9.0]
