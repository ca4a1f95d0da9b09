"""The rig: one PostgreSQL and one stand-in for PostHog behind a proxy each, used by every run.

Waiting that the code asks for takes no time (`RigTime`), waiting that a server forces on it does.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, LiteralString
from unittest import mock
from urllib.parse import urlsplit

import psycopg2
import psycopg2.extensions
from psycopg2 import sql

from core import loading
from core.activity.source import Usage, silent
from core.activity.store import Store
from core.connect import Wiring, wire
from core.loading import Loaded, load
from core.measure.panel import Rules
from core.settings import Settings
from core.sources.posthog import PostHogSource
from core.sources.posthog_client import Gate, PostHogClient
from core.span import Span, to_ms
from tests.conftest import PASSWORD, _Server
from tests.faults import world as worlds
from tests.faults.proxy import Proxy
from tests.posthog_standin import PostHogStandIn, _scratch

_CONNECT_SECONDS, _STATEMENT_SECONDS, _REQUEST_SECONDS = 3, 5, 5
_GRACE_SECONDS, _FIRST_WAIT_SECONDS = 0.5, 0.01
_QUICK_LIMITS = {"rates": ((1_000_000, 60.0),), "budget_per_hour": 0}
Attempt = Callable[[], list[Loaded]]


class Killed(BaseException):
    """A process that ends at once, as far as one thread can."""


class RigTime:
    """A clock that runs, and a sleep that is over at once: its seconds are added instead.

    Each thread has its own seconds: one that waits does not shorten the deadline of another.
    """

    def __init__(self) -> None:
        self._own = threading.local()

    def clock(self) -> float:
        """Return seconds that only ever grow."""
        return time.monotonic() + getattr(self._own, "skipped", 0.0)

    def sleep(self, seconds: float) -> None:
        """Be later by some seconds."""
        self._own.skipped = getattr(self._own, "skipped", 0.0) + seconds


@dataclass(kw_only=True)
class Plan:
    """How the next run is set up; a scenario changes it.

    Attributes:
        database: Fields of settings.Database beside the URL.
        posthog: Fields of settings.PostHog beside host, project and key.
        now: The wall clock, as the source sees it.
        attempt: What is tried; it returns every result it gave.
        on_progress: Called with each step, how much of it is done, and how much there is.
        moved: Distinct ids that another person may own by the end -> that person.
        is_moved: Whether they all certainly do.
        afterwards: Returns what is wrong although the result is right, or nothing.
    """

    database: dict[str, Any] = field(default_factory=dict)
    posthog: dict[str, Any] = field(default_factory=dict)
    now: datetime = worlds.AS_OF
    attempt: Attempt | None = None
    on_progress: Callable[[str, int, int], None] = silent
    moved: dict[str, str] = field(default_factory=dict)
    is_moved: bool = False
    afterwards: Callable[[], str] = str


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question of the run without faults, in order."""

    text: str
    values: Mapping[str, Any]
    name: str


class Rig:
    """Both servers, both proxies, the world, and what a run without faults gives."""

    def __init__(self) -> None:
        self.world = worlds.make_world()
        self.time = RigTime()
        self.plan = Plan()
        self.asked: list[Asked] = []
        self._servers = ExitStack()
        self._run = ExitStack()
        self._at_next = ExitStack()
        self._root = Path(tempfile.mkdtemp(prefix="pushlift-faults-", dir=_scratch()))
        self._n_runs = 0
        self._ledgers: dict[tuple[str, ...], worlds.Ledger] = {}

    def __enter__(self) -> Rig:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End both servers and remove everything."""
        self._run.close()
        self._servers.close()
        shutil.rmtree(self._root, ignore_errors=True)

    # --- a run -------------------------------------------------------------------------------

    def begin(self) -> None:
        """Undo the last run and stand ready for the next, with a cache of its own."""
        self._clear()
        self._at_next.close()
        self.plan = Plan()
        self._begun = time.monotonic()
        self._n_runs += 1
        self.folder = self._root / f"run{self._n_runs}"
        self.folder.mkdir()
        self._at_next.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self._arm()

    def calm(self) -> None:
        """End every fault but keep the cache, so that the same can be tried again later."""
        self._clear()
        self.rest()
        self._arm()

    def _clear(self) -> None:
        self._run.close()
        self._run = ExitStack()
        self.pg.reset()
        self.api.reset()
        self.posthog.reset()
        self.posthog.set_limits(**_QUICK_LIMITS)

    def _arm(self) -> None:
        self.patch("core.sources.watch.GRACE_SECONDS", _GRACE_SECONDS)
        self.patch("core.sources.pushes.FIRST_WAIT_SECONDS", _FIRST_WAIT_SECONDS)
        self.patch("core.loading.open_activity", self._open_activity)

    def rest(self) -> None:
        """Put the plan's details aside, so that the next attempt is a plain one."""
        self.plan = Plan(posthog=self.plan.posthog, moved=self.plan.moved)

    def patch(self, name: str, value: object) -> None:
        """Replace "module.attribute" until the run is over."""
        self._run.enter_context(mock.patch(name, value))

    def undo(self, action: Callable[[], object]) -> None:
        """Do something once the run is over, last things first."""
        self._run.callback(action)

    def try_it(self) -> list[Loaded]:
        """Return what the run gives."""
        return self.plan.attempt() if self.plan.attempt else [self.load()]

    def load(self) -> Loaded:
        """Load the span of the world."""
        return load(
            self.wiring(), self.span, Rules().lengths, on_progress=self.plan.on_progress
        )  # fmt: skip

    def wiring(self) -> Wiring:
        """Return the settings of the plan, wired."""
        return wire(self.settings(), silent, clock=lambda: worlds.AS_OF)

    def settings(self) -> Settings:
        """Return the settings of the plan."""
        return Settings(
            database={
                "url": f"postgresql+psycopg2://reader:{PASSWORD}@127.0.0.1:{self.pg.port}/postgres",
                "connect_timeout": _CONNECT_SECONDS,
                "statement_timeout": _STATEMENT_SECONDS,
                **self.plan.database,
            },
            posthog={
                "host": f"http://127.0.0.1:{self.api.port}",
                "project_id": self.posthog.project_id,
                "api_key": self.posthog.api_key,
                "slice_days": 14,
                "timeout": _REQUEST_SECONDS,
                **self.plan.posthog,
            },
            automations={"dir": self._automations},
            cache={"dir": self.folder},
            metrics=worlds.METRICS,
            analysis={"min_recipients": 5},
        )

    @property
    def span(self) -> Span:
        """Return the span of all campaigns."""
        return Span(since=worlds.SINCE, until=worlds.AS_OF, as_of=worlds.AS_OF)

    def ledger(self, moved: Mapping[str, str]) -> worlds.Ledger:
        """Return what is true where some distinct ids belong to other persons."""
        key = tuple(f"{one} {person}" for one, person in sorted(moved.items()))
        if key not in self._ledgers:
            self._ledgers[key] = self.world.ledger(moved)
        return self._ledgers[key]

    # --- what scenarios do -------------------------------------------------------------------

    def count(self, question: str) -> int:
        """Return how many questions of a run without faults hold a text."""
        return sum(question in asked.text for asked in self.asked)

    @property
    def an_email(self) -> str:
        """Return the e-mail of one of the users."""
        return str(self.world.users["email"].dropna().iloc[0]).strip()

    def undo_merge(self, distinct_id: str, person_id: str) -> None:
        """Give a distinct id back to a person once nobody looks at this run any more."""
        self._at_next.callback(self.posthog.merge, distinct_id, person_id)

    def script(self, fault: Mapping[str, Any], *, skip: int = 0, match: str | None = None) -> None:
        """Queue a fault for the queries that match, after so many without one."""
        only = {} if match is None else {"match": match}
        passing = [{**only, "repeat": skip, "name": "none"}] if skip else []
        self.posthog.script([*passing, {**only, **fault}])

    @contextlib.contextmanager
    def admin(self) -> Iterator[psycopg2.extensions.cursor]:
        """Yield a cursor of the superuser, past the proxy, each statement by itself."""
        with contextlib.closing(psycopg2.connect(self.admin_url)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                yield cursor

    def sql(self, statement: LiteralString, *names: str) -> None:
        """Run a constant statement as the superuser; each {} in it stands for a name."""
        with self.admin() as cursor:
            cursor.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))

    def once_at(self, step: str, action: Callable[[], object], *, done: int = 1) -> None:
        """Do something once, when a step of the loading has come so far."""
        left = [action]

        def look(name: str, so_far: int, total: int) -> None:
            if left and name == step and so_far >= done:
                left.pop()()

        self.plan.on_progress = look

    def true_answer(self, asked: Asked) -> dict[str, Any]:
        """Return what the stand-in answers to a question, past the proxy and every fault."""
        modifiers = {
            "convertToProjectTimezone": False,
            "personsOnEventsMode": "person_id_override_properties_on_events",
        }
        reply = self.posthog.query(asked.text, asked.values, modifiers=modifiers)
        body: dict[str, Any] = reply.body
        return body

    def stop_database(self, mode: str) -> None:
        """Stop PostgreSQL in a way pg_ctl knows."""
        server = self._server
        server._run("pg_ctl", "-D", server.data, "-w", "-m", mode, "stop")

    def start_database(self) -> None:
        """Start PostgreSQL where it was stopped."""
        server = self._server
        if (server.data / "postmaster.pid").exists():
            return
        options = f"-h 127.0.0.1 -p {server.port} -c unix_socket_directories='' -c fsync=off"
        log = server.home / "log"
        server._run("pg_ctl", "-D", server.data, "-w", "-o", options, "-l", log, "start")

    def set_password(self) -> None:
        """Give the reader its password."""
        with self.admin() as cursor:
            cursor.execute("ALTER ROLE reader PASSWORD %s", [PASSWORD])

    # --- the servers -------------------------------------------------------------------------

    def _start(self) -> None:
        home = Path(tempfile.mkdtemp(prefix="pushlift-pg-"))
        self._servers.callback(shutil.rmtree, home, ignore_errors=True)
        self._server = _Server(home)
        self._servers.callback(self._server.stop)
        self._server.start()
        self.admin_url = self._server.url.replace("+psycopg2", "")
        with contextlib.closing(psycopg2.connect(self.admin_url)) as connection:
            self.world.fill(connection)
        with self.admin() as cursor:
            cursor.execute("CREATE ROLE reader LOGIN")
            cursor.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
        self.set_password()
        events, persons = self.world.write_export(self._root)
        self._automations = self.world.write_automations(self._root / "automations")
        self.posthog = self._servers.enter_context(
            PostHogStandIn(events=events, persons=persons, timezone="America/New_York")
        )
        self.pg = self._servers.enter_context(Proxy("127.0.0.1", self._server.port))
        address = urlsplit(self.posthog.url)
        self.api = self._servers.enter_context(Proxy("127.0.0.1", address.port or 0))
        self._run_without_faults()

    def _run_without_faults(self) -> None:
        """Learn what is asked, how many bytes travel, and what comes out, all being well."""
        self.begin()
        self.plan.posthog = {"max_in_flight": 1}
        asked = self.asked
        read = PostHogClient.read

        def noted(client: PostHogClient, text: str, values: Any, **more: Any) -> Any:
            asked.append(Asked(text=text, values=values, name=more["name"]))
            return read(client, text, values, **more)

        self.patch("core.sources.posthog_client.PostHogClient.read", noted)
        [self.unharmed] = self.try_it()
        self.pg_bytes = self.pg.bytes_down
        self.api_bytes = self.api.bytes_down
        self.n_requests = self.unharmed.usage.requests

    def _open_activity(self, settings: Settings) -> PostHogSource:
        assert settings.posthog is not None
        usage = Usage()
        client = PostHogClient(
            settings.posthog, usage, clock=self.time.clock, sleep=self.time.sleep, gate=Gate()
        )
        store = Store(settings.cache.dir / "activity")
        now = to_ms(self.plan.now)
        source = PostHogSource(
            settings.posthog,
            store,
            now=lambda: now + int((time.monotonic() - self._begun) * 1000),
            client=client,
        )
        source.usage = usage
        return source


def body_of(columns: Sequence[str], rows: Sequence[Sequence[Any]], **more: Any) -> dict[str, Any]:
    """Return the body of an answer that holds these rows."""
    return {"columns": list(columns), "results": [list(row) for row in rows], **more}


def size(body: Mapping[str, Any]) -> int:
    """Return the bytes of a body."""
    return len(json.dumps(body).encode())


__all__ = ["Asked", "Killed", "Rig", "RigTime", "body_of", "loading", "size"]
