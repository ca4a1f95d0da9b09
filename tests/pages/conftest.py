"""A small demo marketplace, a dashboard on it, a browser, and what core says the numbers are."""

from __future__ import annotations

import json
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from core.activity.source import silent
from core.connect import wire
from core.demo import World, write_demo
from core.health.recorder import Recorder
from core.loading import Loaded, load
from core.measure.panel import Rules
from core.settings import read_settings
from core.span import span_of
from pages.parts import measured
from pages.parts.measured import Measured, Read
from tests.pages.browser import Seen, Server, serving, settle, visitor, window

HOSTILE_NAME = (
    "<img src=x onerror=alert(1)> **bold** [here](https://evil.test) :red[red] $x^2$ "
    "www.evil.test a@evil.test :material/home: :smile: `code`"
)
HOSTILE_TITLE = "<script>alert(2)</script> ![pixel](https://evil.test/p.png)"
HOSTILE_BODY = '=HYPERLINK("https://evil.test")'
FIRST = (
    "campaign?id=drop-08&metric=sessions&layers=Layer+1&layers=Layer+2&confidence=90+%25"
    "&period=30+days&method=Plain+before+and+after"
)
"""What the first visitor asks for: a campaign and every kind of filter."""
CANARY = "canary-password-4Kd"


@dataclass(frozen=True, slots=True, eq=False)
class Expected:
    """What core says of the marketplace, by the default settings."""

    settings: Path
    read: Read
    results: Measured

    @property
    def loaded(self) -> Loaded:
        return self.read.loaded

    @property
    def zone(self) -> str:
        return self.loaded.wiring.settings.analysis.timezone

    def with_campaigns(self, campaigns: pd.DataFrame) -> Loaded:
        return replace(self.loaded, campaigns=campaigns)

    def lift(self, campaign_id: str, metric: str, method: str = "headline") -> pd.Series:
        lifts = self.results.lifts
        rows = lifts[(lifts["campaign_id"] == campaign_id) & (lifts["metric"] == metric)]
        is_ours = rows["headline"] if method == "headline" else rows["method"] == method
        return rows[is_ours].iloc[0]

    def pooled(self, layer: str, metric: str, method: str = "headline") -> pd.Series:
        layers = self.results.layers
        rows = layers[(layers["layer"] == layer) & (layers["metric"] == metric)]
        return rows[rows["method"] == method].iloc[0]


@dataclass(frozen=True, slots=True, eq=False)
class FirstVisit:
    """What the first visitor of a fresh process asked for and got."""

    server: Server
    asked: str
    url: str
    text: str
    links: list[str]
    seen: Seen


@pytest.fixture(scope="session")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Expected:
    folder = tmp_path_factory.mktemp("marketplace")
    files = write_demo(folder / "demo", World(n_users=1_500))
    _make_hostile(files.automations, files.root / "pushes.sqlite")
    path = folder / "settings.toml"
    path.write_text(
        f'[database]\nurl = "{files.database_url}"\n'
        f'[events]\npath = "{files.events}"\npersons = "{files.persons}"\n'
        f'[automations]\ndir = "{files.automations.as_posix()}"\n'
        f'[cache]\ndir = "{(folder / "cache").as_posix()}"\n'
        f'[analysis]\ntimezone = "{files.timezone}"\n',
        encoding="utf-8",
    )
    settings, rules = read_settings(path), Rules()
    wiring = wire(settings, silent, clock=lambda: files.as_of)
    span = span_of(since=None, until=None, as_of=files.as_of, timezone=files.timezone)
    loaded = load(wiring, span, rules.lengths)
    read = measured.estimated(loaded, outliers=rules.outliers, recorder=Recorder("page"))
    ids = pd.Index(loaded.campaigns["campaign_id"])
    return Expected(settings=path, read=read, results=measured.measure(read, rules, ids, key=""))


@pytest.fixture(scope="session")
def first_visit(
    expected: Expected, tabs: BrowserContext, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FirstVisit]:
    """Open a page by its address as the first visitor of a fresh process, which then stays."""
    folder = tmp_path_factory.mktemp("server")
    with serving(expected.settings, folder, as_of=expected.loaded.span.as_of) as running:
        asked = f"{running.url}/{FIRST}"
        page, seen = visitor(tabs)
        page.goto(asked)
        settle(page)
        text, links = page.inner_text("body"), page.get_by_role("link").all_inner_texts()
        yield FirstVisit(
            server=running, asked=asked, url=page.url, text=text, links=links, seen=seen
        )


@pytest.fixture(scope="session")
def server(first_visit: FirstVisit) -> Server:
    return first_visit.server


@pytest.fixture(scope="session")
def tabs(browser: Browser) -> BrowserContext:
    return window(browser)


@pytest.fixture
def serve(expected: Expected, tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start a fresh process of the dashboard; it ends after its visitors have left."""
    with ExitStack() as running:

        def start(settings: Path | None = None) -> Server:
            as_of = None if settings else expected.loaded.span.as_of
            path = settings or expected.settings
            return running.enter_context(serving(path, tmp_path, as_of=as_of))

        yield start


@pytest.fixture
def visit(tabs: BrowserContext, serve: object) -> Iterator[Callable[..., Page]]:
    """Open an address as a new visitor; afterwards nothing amiss may have been seen."""
    visitors: list[tuple[Page, Seen]] = []

    def go(url: str, *, until_settled: bool = True) -> Page:
        page, seen = visitor(tabs)
        visitors.append((page, seen))
        page.goto(url)
        if until_settled:
            settle(page)
        return page

    yield go
    for page, seen in visitors:
        boxes = page.get_by_test_id("stException").count()
        page.close()
        assert (seen, boxes) == (Seen(), 0)


@contextmanager
def silent_server() -> Iterator[int]:
    """Accept connections on a port and never say a word."""
    with closing(socket.socket()) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(16)
        yield int(listening.getsockname()[1])


def _make_hostile(automations: Path, database: Path) -> None:
    file = automations / "closet-match.json"
    automation = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**automation, "name": HOSTILE_NAME}), encoding="utf-8")
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(
            "UPDATE push_notifications SET title = ?, body = ? WHERE automation_id = ?",
            (HOSTILE_TITLE, HOSTILE_BODY, automation["id"]),
        )
