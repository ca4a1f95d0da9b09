"""Hostile texts in Chromium: every one as pages draw it, and as names and messages of campaigns."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import BrowserContext, Page

from core.demo import World, write_demo
from pages.parts.plain import _HIDDEN
from tests.faults.injection import payloads
from tests.pages.browser import Seen, Server, drawn, serving, settle, visitor

SHORTEST = 30
_LONGEST = 300
_JOINER = "\u2060"
_LIVE = (
    "a, img, script, iframe, object, embed, form, style, math, strong, b, em, i, del, code, pre,"
    "h1, h2, h3, h4, h5, h6, li, blockquote, table, hr, input, sup, sub, .katex, span[style],"
    "[data-testid=stIconMaterial], span[class*=colored]"
)
_IN_FIGURES = (
    "a, image, foreignObject, script, tspan[style*='font-weight'], tspan[style*='font-style'],"
    "tspan[style*='font-size: 70%'], tspan[style*='font-size:70%'], .katex, svg svg"
)
Visit = Callable[..., Page]


def shown_payloads() -> list[str]:
    """Return the texts that show something, short enough to stand on one page together."""
    every = [text.encode("utf-8", "replace").decode()[:_LONGEST] for text in payloads()]
    return list(dict.fromkeys(text for text in every if _flat(text)))


@pytest.fixture(scope="module")
def texts_page(
    tabs: BrowserContext, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Page, Seen]]:
    folder = tmp_path_factory.mktemp("markup")
    (folder / "settings.toml").write_text("")
    running = serving(folder / "settings.toml", folder, script="tests/pages/markup_app.py")
    with running as server:
        page, seen = visitor(tabs)
        page.goto(server.url)
        page.get_by_text("drawn", exact=True).wait_for(state="attached")
        drawn(page)
        page.wait_for_function("document.querySelectorAll('.js-plotly-plot').length >= 2")
        yield page, seen
        page.close()


def test_texts_in_markdown_show_as_they_are(texts_page: tuple[Page, Seen]) -> None:
    page, seen = texts_page
    shown = page.evaluate(
        "() => [...document.querySelectorAll('.st-key-texts [data-testid=stMarkdown]')]"
        ".map(e => e.textContent)"
    )
    assert len(shown_payloads()) >= 200
    assert [text.replace(_JOINER, "") for text in shown] == list(map(_flat, shown_payloads()))
    assert seen == Seen()


def test_texts_make_nothing_live_in_markdown(texts_page: tuple[Page, Seen]) -> None:
    page, seen = texts_page
    inside = "[data-testid=stMain] [data-testid=stMarkdownContainer]"
    found = page.evaluate(
        "([inside, live]) => [...document.querySelectorAll(inside)]"
        ".flatMap(e => [...e.querySelectorAll(live)])"
        # headings of ours; what a text would put inside of them is not
        ".filter(e => !(['H1', 'H3'].includes(e.tagName) && e.closest('[data-testid=stHeading]')))"
        ".map(e => e.outerHTML.slice(0, 200))",
        [inside, _LIVE],
    )
    assert found == []
    assert (
        page.locator("[data-testid=stMain] [onerror], [data-testid=stMain] [onclick]").count() == 0
    )
    assert seen == Seen()


def test_texts_make_nothing_live_in_figures(texts_page: tuple[Page, Seen]) -> None:
    page, seen = texts_page
    found = page.evaluate(
        "live => [...document.querySelectorAll('.js-plotly-plot .main-svg')]"
        ".flatMap(e => [...e.querySelectorAll(live)]).map(e => e.outerHTML.slice(0, 200))",
        _IN_FIGURES,
    )
    assert found == []
    text = page.evaluate(
        "() => [...document.querySelectorAll('.js-plotly-plot text')].map(e => e.textContent)"
    )
    assert any("<script>" in one for one in text)
    assert seen == Seen()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, list[str]]]:
    """A dashboard on a marketplace whose every campaign carries a hostile id, name and message."""
    folder = tmp_path_factory.mktemp("hostile")
    files = write_demo(folder / "demo", World(n_users=400))
    ids = _poison(files.root / "pushes.sqlite")
    path = folder / "settings.toml"
    path.write_text(
        f'[database]\nurl = "{files.database_url}"\n'
        f'[events]\npath = "{files.events}"\npersons = "{files.persons}"\n'
        f'[automations]\ndir = "{(folder / "none").as_posix()}"\n'
        f'[cache]\ndir = "{(folder / "cache").as_posix()}"\n[analysis]\nmin_recipients = 2\n',
        encoding="utf-8",
    )
    with serving(path, folder, as_of=files.as_of) as running:
        yield running, ids


def test_pages_of_a_hostile_marketplace_stay_pages(
    hostile: tuple[Server, list[str]], visit: Visit, tmp_path: Path
) -> None:
    server, ids = hostile
    page = visit(server.url)
    page.get_by_text("All ", exact=False).filter(has_text="campaigns").last.click()
    settle(page)
    _assert_dead(page)
    for name in ("quality", "campaign"):
        page.goto(f"{server.url}/{name}")
        drawn(page)
        _assert_dead(page)
    for campaign_id in ids[:: max(1, len(ids) // 2)]:
        page.goto(f"{server.url}/campaign?{_query(campaign_id)}")
        drawn(page)
        assert "There is no campaign" not in page.inner_text("body")
        _assert_dead(page)


def _poison(database: Path) -> list[str]:
    """Give every campaign a hostile id, title and body; return the ids."""
    texts = shown_payloads()
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE push_notifications SET automation_id = NULL")
        found = connection.execute(
            "SELECT DISTINCT campaign_id FROM push_notifications WHERE campaign_id IS NOT NULL"
        )
        ids = [row[0] for row in found]
        fresh = [f"{texts[at % len(texts)]} {at}" for at in range(len(ids))]
        connection.executemany(
            "UPDATE push_notifications SET title = ?, body = ?, campaign_id = ?"
            " WHERE campaign_id = ?",
            [
                (texts[(2 * at) % len(texts)], texts[(2 * at + 1) % len(texts)], fresh[at], old)
                for at, old in enumerate(ids)
            ],
        )
    return fresh


def _query(campaign_id: str) -> str:
    return urlencode({"id": campaign_id, "period": "60 days"})


def _assert_dead(page: Page) -> None:
    main = "[data-testid=stMain]"
    live = f"{main} :is(script, iframe, object, embed, form, math, .katex)"
    assert page.locator(live).count() == 0
    assert (
        page.locator(
            f"{main} a[href*='evil'], {main} a[href^='javascript'], {main} a[href^=data]"
        ).count()
        == 0
    )
    assert page.locator(f"{main} img[src*='evil'], {main} img[src='x']").count() == 0
    assert page.locator(".js-plotly-plot svg a, .js-plotly-plot foreignObject").count() == 0
    assert page.locator(f"{main} [onerror], {main} [onload], {main} [onmouseover]").count() == 0
    assert page.get_by_test_id("stException").count() == 0


def _flat(text: str) -> str:
    return " ".join(_HIDDEN.sub(" ", text).split())
