"""What goes wrong between here and PostgreSQL, and within it."""

from __future__ import annotations

import random
import threading
from typing import LiteralString

import psycopg2
from psycopg2 import sql
from sqlalchemy.engine import Engine

from core.sections import Database
from core.sources.database import open_engine, reading
from tests.faults.oracle import DECLARED, EXACT
from tests.faults.proxy import Trouble
from tests.faults.rig import Rig
from tests.faults.scenario import scenario

DATABASE = "PostgreSQL"
READING = "reading pushes"
_HANDSHAKE = 4_000
"""More bytes than a server sends before the first row."""


@scenario(DATABASE, DECLARED)
def database_refuses_connections(rng: random.Random, rig: Rig) -> None:
    rig.pg.set(Trouble(kind="refuse"))


@scenario(DATABASE, DECLARED)
def database_takes_connections_and_is_silent(rng: random.Random, rig: Rig) -> None:
    rig.plan.database = {"connect_timeout": 1}
    rig.pg.set(Trouble(kind="hang", times=0))


@scenario(DATABASE)
def database_is_silent_to_the_first_connection(rng: random.Random, rig: Rig) -> None:
    rig.plan.database = {"connect_timeout": 1}
    rig.pg.set(Trouble(kind="hang", times=1))


@scenario(DATABASE, EXACT)
def database_starts_cold(rng: random.Random, rig: Rig) -> None:
    rig.pg.set(Trouble(kind="delay", seconds=rng.uniform(0.2, 1.0)))


@scenario(DATABASE, EXACT)
def connection_is_cut_while_idle_in_the_pool(rng: random.Random, rig: Rig) -> None:
    kept: list[Engine] = []

    class Kept:
        """An engine that outlives its use."""

        def __init__(self, engine: Engine) -> None:
            self.dispose = lambda: None
            self._engine = engine

        def __getattr__(self, name: str) -> object:
            return getattr(self._engine, name)

    def opened(settings: Database) -> object:
        if not kept:
            kept.append(open_engine(settings))
            rig.undo(kept[0].dispose)
            with reading(kept[0]):
                pass
            rig.pg.drop_all()  # what a server that goes to sleep does to idle connections
        return Kept(kept[0])

    rig.patch("core.loading.open_engine", opened)


def _mid_stream(rng: random.Random, rig: Rig) -> int:
    return rng.randrange(_HANDSHAKE, rig.pg_bytes)


@scenario(DATABASE, EXACT)
def database_connection_is_cut_mid_stream(rng: random.Random, rig: Rig) -> None:
    rig.pg.set(Trouble(kind="cut", after=_mid_stream(rng, rig)))


@scenario(DATABASE, EXACT)
def database_connection_is_reset_mid_stream(rng: random.Random, rig: Rig) -> None:
    rig.pg.set(Trouble(kind="reset", after=_mid_stream(rng, rig)))


@scenario(DATABASE)
def database_connection_is_cut_in_the_handshake(rng: random.Random, rig: Rig) -> None:
    kind = rng.choice(["cut", "reset"])
    rig.pg.set(Trouble(kind=kind, after=rng.randrange(_HANDSHAKE)))


@scenario(DATABASE, DECLARED)
def database_connection_is_cut_every_time(rng: random.Random, rig: Rig) -> None:
    kind = rng.choice(["cut", "reset"])
    rig.pg.set(Trouble(kind=kind, times=0, after=rng.randrange(rig.pg_bytes * 9 // 10)))


@scenario(DATABASE, EXACT)
def database_falls_silent_mid_stream(rng: random.Random, rig: Rig) -> None:
    rig.plan.database = {"statement_timeout": 1}
    rig.pg.set(Trouble(kind="black_hole", after=_mid_stream(rng, rig)))


@scenario(DATABASE, DECLARED)
def database_falls_silent_mid_stream_every_time(rng: random.Random, rig: Rig) -> None:
    rig.plan.database = {"statement_timeout": 1}
    after = rng.randrange(_HANDSHAKE, rig.pg_bytes * 9 // 10)
    rig.pg.set(Trouble(kind="black_hole", times=0, after=after))


@scenario(DATABASE, EXACT)
def database_answers_drip(rng: random.Random, rig: Rig) -> None:
    trouble = Trouble(
        kind="drip", piece=rng.randrange(1_500, 6_000), seconds=rng.uniform(0.001, 0.003)
    )
    rig.pg.set(trouble)


def _terminate(rig: Rig) -> None:
    rig.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'reader'")


@scenario(DATABASE, EXACT)
def administrator_ends_the_connection(rng: random.Random, rig: Rig) -> None:
    rig.once_at(READING, lambda: _terminate(rig), done=rng.randint(1, 5))


@scenario(DATABASE, DECLARED)
def administrator_ends_every_connection(rng: random.Random, rig: Rig) -> None:
    at = rng.randint(1, 5)

    def look(step: str, done: int, total: int) -> None:
        if step == READING and done == at:
            _terminate(rig)

    rig.plan.on_progress = look


def _locked(rig: Rig, table: str) -> psycopg2.extensions.connection:
    connection = psycopg2.connect(rig.admin_url)
    rig.undo(connection.close)
    lock = sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(sql.Identifier(table))
    connection.cursor().execute(lock)
    return connection


@scenario(DATABASE, DECLARED)
def table_stays_locked(rng: random.Random, rig: Rig) -> None:
    rig.plan.database = {"statement_timeout": 1}
    _locked(rig, rng.choice(["users", "push_notifications"]))


@scenario(DATABASE, EXACT)
def table_is_locked_for_a_moment(rng: random.Random, rig: Rig) -> None:
    connection = _locked(rig, rng.choice(["users", "push_notifications"]))
    timer = threading.Timer(rng.uniform(0.1, 0.6), connection.close)
    rig.undo(timer.cancel)
    timer.start()


@scenario(DATABASE, DECLARED)
def database_has_no_connection_left(rng: random.Random, rig: Rig) -> None:
    rig.undo(lambda: rig.sql("ALTER ROLE reader CONNECTION LIMIT -1"))
    rig.sql("ALTER ROLE reader CONNECTION LIMIT 0")


@scenario(DATABASE, DECLARED)
def password_is_changed(rng: random.Random, rig: Rig) -> None:
    rig.undo(rig.set_password)
    rig.sql("ALTER ROLE reader PASSWORD 'another'")


@scenario(DATABASE, DECLARED)
def permission_is_revoked(rng: random.Random, rig: Rig) -> None:
    table = rng.choice(["users", "push_notifications"])
    rig.undo(lambda: rig.sql("GRANT SELECT ON {} TO reader", table))

    def revoke() -> None:
        rig.sql("REVOKE SELECT ON {} FROM reader", table)

    if rng.random() < 0.5:
        revoke()
    else:  # while the first segments are read; the next statement is not let in any more
        rig.once_at(READING, revoke, done=rng.randint(1, 4))


@scenario(DATABASE, DECLARED)
def table_is_renamed_on_the_way(rng: random.Random, rig: Rig) -> None:
    rig.undo(lambda: rig.sql("ALTER TABLE IF EXISTS gone RENAME TO users"))
    rename = "ALTER TABLE users RENAME TO gone"
    rig.once_at(READING, lambda: rig.sql(rename), done=rng.randint(1, 5))


@scenario(DATABASE, DECLARED)
def column_is_renamed_on_the_way(rng: random.Random, rig: Rig) -> None:
    column = rng.choice(["email", "posthog_distinct_id", "created_at"])
    rig.undo(lambda: rig.sql("ALTER TABLE users RENAME gone TO {}", column))
    rename: LiteralString = "ALTER TABLE users RENAME {} TO gone"
    rig.once_at(READING, lambda: rig.sql(rename, column), done=rng.randint(1, 5))


@scenario(DATABASE, EXACT)
def rows_are_written_while_they_are_read(rng: random.Random, rig: Rig) -> None:
    """What is committed during the reading belongs to no or to a later result."""
    rig.undo(lambda: rig.sql("DELETE FROM push_notifications WHERE title = 'late'"))
    copy = (
        "INSERT INTO push_notifications SELECT id + 100000, user_id, automation_id, campaign_id, "
        "'late', body, 'delivered', sent_at - interval '2 hours', sent_at - interval '2 hours', "
        "trigger_at FROM push_notifications"
    )
    rig.once_at(READING, lambda: rig.sql(copy), done=rng.randint(1, 4))


@scenario(DATABASE, EXACT)
def database_restarts(rng: random.Random, rig: Rig) -> None:
    mode = rng.choice(["fast", "immediate"])

    def restart() -> None:
        rig.stop_database(mode)
        rig.start_database()

    rig.once_at(READING, restart, done=rng.randint(1, 5))


@scenario(DATABASE, DECLARED)
def database_shuts_down(rng: random.Random, rig: Rig) -> None:
    rig.undo(rig.start_database)
    mode = rng.choice(["fast", "immediate"])
    if rng.random() < 0.5:
        rig.stop_database(mode)
    else:
        rig.once_at(READING, lambda: rig.stop_database(mode), done=rng.randint(1, 5))
