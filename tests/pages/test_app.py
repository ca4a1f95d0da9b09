"""The dashboard in a browser: what visitors see, and what they must never see."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import openpyxl
import pandas as pd
import pytest
from playwright.sync_api import Page, expect

from core.publish import beside, formats, words
from tests.pages.browser import PAGES, Seen, Server, settle
from tests.pages.conftest import (
    CANARY,
    HOSTILE_BODY,
    HOSTILE_NAME,
    HOSTILE_TITLE,
    Expected,
    FirstVisit,
    silent_server,
)

Visit = Callable[..., Page]
Serve = Callable[..., Server]
TITLES = {
    "overview": "Overview",
    "layers": "Layers",
    "campaign": "Campaign",
    "quality": "Data quality",
    "reports": "Reports",
    "method": "Method",
}
_HEADER, _ROW = 35, 35


def test_app_campaign_opened_first_on_a_fresh_process(first_visit: FirstVisit) -> None:
    assert _split(first_visit.url) == _split(first_visit.asked)
    for said in (
        "Jordan 1 Mocha",
        "90 % intervals",
        "sends 2026-10-01 to 2026-10-30",
        "Sessions: ",
        "Grade E",
    ):
        assert said in first_visit.text
    assert all(any(title in link for link in first_visit.links) for title in TITLES.values())
    assert first_visit.seen == Seen()


@pytest.mark.parametrize("name", PAGES)
def test_app_page_opened_by_its_address(name: str, server: Server, visit: Visit) -> None:
    page = visit(f"{server.url}/{name}?metric=sessions")
    path, query = _address(page)
    assert path == ("/" if name == "overview" else f"/{name}")
    assert query == {"metric": ["sessions"]}
    _assert_whole(page, name)


def test_app_overview_says_what_core_says(server: Server, visit: Visit, expected: Expected) -> None:
    page = visit(server.url)
    row = expected.pooled("all", "confirmed_trades")
    shown = _main(page)
    expect(shown).to_contain_text(words.effect(row).removeprefix("+"))
    _expect_card(page, "Campaigns", formats.count(len(expected.results.campaigns)))
    _expect_card(page, "People reached", formats.count(expected.results.n_people))
    extra = f"+{formats.count(row['incremental_events'])}"
    _expect_card(page, "Extra confirmed trades", extra)
    misled = beside.misled(expected.results.layers, "confirmed_trades")
    expect(shown).to_contain_text(misled)
    alt = page.locator("[aria-label*='Dots with intervals']").first
    expect(alt).to_be_attached()


def test_app_filter_changes_content_and_address_and_lasts(
    server: Server, visit: Visit, expected: Expected
) -> None:
    said = words.effect(expected.pooled("all", "sessions")).removeprefix("+")
    page = visit(server.url)
    before = _main(page).inner_text()
    _choose(page, "Metric", "sessions")
    assert _address(page)[1] == {"metric": ["sessions"]}
    after = _main(page).inner_text()
    assert said in after
    assert said not in before
    page.reload()
    settle(page)
    assert said in _main(page).inner_text()
    page.get_by_role("link", name="Layers").first.click()
    expect(page.get_by_role("heading", name="Layers", exact=True)).to_be_visible()
    # the address follows the page a moment later
    expect(page).to_have_url(re.compile(r"/layers\?metric=sessions$"), timeout=30_000)
    expect(_main(page)).to_contain_text("Sessions because of the pushes")
    _choose(page, "Metric", "confirmed trades")
    expect(page).to_have_url(re.compile(r"/layers$"), timeout=30_000)


def test_app_method_switch_shows_plain_before_and_after_and_says_what_it_is(
    server: Server, visit: Visit, expected: Expected
) -> None:
    page = visit(server.url)
    _choose(page, "Numbers by", "Plain before and after")
    assert _address(page)[1] == {"method": ["Plain before and after"]}
    row = expected.pooled("all", "confirmed_trades", "classic")
    shown = _main(page)
    expect(shown).to_contain_text(words.effect(row).removeprefix("+"))
    expect(shown).to_contain_text("associated with the pushes")
    expect(shown).not_to_contain_text("instead of")
    page.goto(f"{server.url}/campaign?id=drop-08&method=Plain+before+and+after")
    settle(page)
    lift = expected.lift("drop-08", "confirmed_trades", "classic")
    expect(page.get_by_role("heading", name=words.effect(lift))).to_be_visible()
    expect(_main(page)).to_contain_text("Grade E")


def test_app_campaign_opens_its_doubts_on_demand(server: Server, visit: Visit) -> None:
    page = visit(f"{server.url}/campaign?id=drop-08")
    for label, said in (
        ("Day by day against those not pushed", "Days −14 to −3"),
        ("What speaks for and against it", "Description only"),
        ("Other windows, baselines and rules", "other side of zero"),
    ):
        page.get_by_text(label, exact=True).click()
        expect(_main(page)).to_contain_text(said)
    page.goto(f"{server.url}/quality")
    settle(page)
    expect(_main(page)).to_contain_text("Where nothing was sent")
    page.get_by_text("What speaks for and against each campaign", exact=True).click()
    expect(_main(page)).to_contain_text("have a steady baseline")


def test_app_period_chooses_campaigns_and_compares_with_the_one_before(
    server: Server, visit: Visit, expected: Expected
) -> None:
    page = visit(f"{server.url}/?period=30+days")
    first = expected.results.campaigns["first_delivered_at"].dt.tz_convert("America/New_York")
    is_late = first >= pd.Timestamp("2026-10-01", tz="America/New_York")
    _expect_card(page, "Campaigns", formats.count(is_late.sum()))
    more = int(is_late.sum() - (~is_late).sum())
    card = page.get_by_test_id("stMetric").filter(has_text="Campaigns").first
    expect(card).to_contain_text(f"{'+' if more > 0 else ''}{formats.count(more)}")
    expect(card).to_contain_text("to the 30 days before")


def test_app_row_leads_to_its_campaign_and_back(server: Server, visit: Visit) -> None:
    page = visit(f"{server.url}/?metric=sessions")
    _click_row(page, 0)
    page.wait_for_url("**/campaign?**")
    settle(page)
    path, query = _address(page)
    assert (path, query["metric"]) == ("/campaign", ["sessions"])
    assert query["id"]
    expect(_main(page)).to_contain_text("Sessions: ")
    page.go_back()
    expect(page.get_by_role("heading", name="Overview", exact=True)).to_be_visible()
    settle(page)
    assert _address(page) == ("/", {"metric": ["sessions"]})


def test_app_campaign_shows_number_and_strip(
    server: Server, visit: Visit, expected: Expected
) -> None:
    page = visit(f"{server.url}/campaign?id=drop-08")
    lift = expected.lift("drop-08", "confirmed_trades")
    campaigns = expected.results.campaigns.set_index("campaign_id")
    expect(page.get_by_role("heading", name=words.effect(lift))).to_be_visible()
    for label, column in (
        ("Sent", "n_sent"),
        ("Measured", "n_measured"),
        ("Held out", "n_holdout"),
    ):
        _expect_card(page, label, formats.count(campaigns.loc["drop-08", column]))


def test_app_campaign_of_an_unknown_id_says_so(server: Server, visit: Visit) -> None:
    page = visit(f"{server.url}/campaign?id=<b>nowhere</b>")
    expect(page.get_by_role("alert")).to_contain_text("There is no campaign <b>nowhere</b>")
    expect(page.get_by_role("combobox", name="Find a campaign")).to_be_visible()


def test_app_open_campaign_is_provisional(server: Server, visit: Visit, expected: Expected) -> None:
    campaigns = expected.results.campaigns
    still_open = campaigns[~campaigns["window_complete"] & campaigns["qualifies"]].iloc[0]
    page = visit(f"{server.url}/campaign?id={still_open['campaign_id']}")
    expect(_main(page)).to_contain_text("Too early")
    closes = formats.closes_in(still_open["window_closes_at"], expected.loaded.span.as_of)
    expect(_main(page)).to_contain_text(f"Provisional, {closes}")


def test_app_hostile_text_shows_as_text(server: Server, visit: Visit, expected: Expected) -> None:
    campaigns = expected.results.campaigns
    ours = campaigns[campaigns["automation_id"] == "closet-match"]["campaign_id"].iloc[0]
    page = visit(f"{server.url}/campaign?id={ours}")
    shown = re.sub("[\u2060]", "", _main(page).inner_text())
    for text in (HOSTILE_NAME, HOSTILE_TITLE, HOSTILE_BODY):
        assert text in shown
    for live in ("a[href*='evil']", "img[src*='evil']", "img[src='x']", ".katex", "code"):
        assert page.locator(f"[data-testid=stMain] {live}").count() == 0
    assert page.locator("strong", has_text=re.compile("^bold$")).count() == 0
    page.goto(f"{server.url}/layers")
    settle(page)
    assert page.locator("a[href*='evil'], img[src*='evil'], img[src='x']").count() == 0


def test_app_downloads_hold_what_is_shown(
    server: Server, visit: Visit, expected: Expected, tmp_path: Path
) -> None:
    page = visit(f"{server.url}/reports?layers=Layer+1")
    lifts = expected.results.lifts
    lifts = lifts[lifts["layer"] == "1"].reset_index(drop=True)
    read = pd.read_csv(_download(page, "Lifts, CSV", tmp_path))
    assert read["campaign_id"].tolist() == lifts["campaign_id"].tolist()
    for column in ("effect_size", "rel_effect_size_ci_low", "qvalue"):
        pd.testing.assert_series_equal(read[column], lifts[column], check_exact=True)
    archive = zipfile.ZipFile(_download(page, "All files, ZIP", tmp_path))
    kinds = {Path(name).suffix for name in archive.namelist()}
    assert kinds == {".csv", ".html", ".json", ".md", ".parquet", ".xlsx"}
    folders = {name.split("/")[0] for name in archive.namelist() if "/" in name}
    assert folders == {"json-data", "markdown-summaries", "strategic-reports"}
    content = json.loads(archive.read("analysis.json"))
    assert next(iter(content)) == "schema_version"
    assert len(content["lifts"]) == len(lifts)
    sheet = openpyxl.load_workbook(io.BytesIO(archive.read("pushlift.xlsx")))["Lifts"]
    header = [cell.value for cell in sheet[1]]
    at = next(i for i, name in enumerate(header) if str(name).startswith("effect_size"))
    values = [row[at] for row in sheet.iter_rows(min_row=2, values_only=True)]
    shown = pd.Series(values, dtype=float).tolist()
    assert shown == pytest.approx(lifts["effect_size"].tolist(), nan_ok=True)


def test_app_silent_database_shows_progress_then_says_so_and_leaves_the_page_usable(
    serve: Serve, visit: Visit, expected: Expected, tmp_path: Path
) -> None:
    demo = expected.loaded.wiring.settings
    settings = tmp_path / "silent.toml"
    with silent_server() as port:
        settings.write_text(
            "[database]\n"
            f'url = "postgresql+psycopg2://reader:{CANARY}@127.0.0.1:{port}/app"\n'
            "connect_timeout = 8\n"
            f'[events]\npath = "{demo.events.path if demo.events else ""}"\n'
            f'[automations]\ndir = "{demo.automations.dir.as_posix()}"\n'
        )
        server = serve(settings)
        page = visit(f"{server.url}/layers", until_settled=False)
        heading = page.get_by_role("heading", name="Layers", exact=True)
        expect(heading).to_be_visible(timeout=40_000)
        expect(page.get_by_role("progressbar")).to_be_visible()
        expect(_main(page)).to_contain_text("Opening the sources")
        page.get_by_role("link", name="Method").first.click()
        expect(page.get_by_text("How good is the comparison?")).to_be_visible()
        expect(page.get_by_role("alert")).to_contain_text("127.0.0.1", timeout=40_000)
        expect(page.get_by_role("button", name=re.compile("Try again"))).to_be_visible()
        assert CANARY not in page.content()
        assert CANARY not in server.log.read_text()
        assert "Traceback" not in page.content()


def test_app_wrong_settings_are_named(serve: Serve, visit: Visit, tmp_path: Path) -> None:
    settings = tmp_path / "wrong.toml"
    settings.write_text("[analysis]\nbaseline_days = 0\n")
    page = visit(f"{serve(settings).url}/quality", until_settled=False)
    alert = page.get_by_role("alert")  # the process starts, which takes what it takes
    expect(alert).to_contain_text("analysis.baseline_days", timeout=40_000)
    expect(page.get_by_role("heading", name="Data quality", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="Overview").first).to_be_visible()


def _main(page: Page):
    return page.get_by_test_id("stMain")


def _address(page: Page) -> tuple[str, dict[str, list[str]]]:
    return _split(page.url)


def _split(url: str) -> tuple[str, dict[str, list[str]]]:
    parts = urlsplit(url)
    return parts.path, parse_qs(parts.query)


def _assert_whole(page: Page, name: str) -> None:
    """Title, navigation, filters and content are there."""
    expect(page.get_by_role("heading", name=TITLES[name], exact=True)).to_be_visible()
    for title in TITLES.values():
        expect(page.get_by_role("link", name=title).first).to_be_visible()
    for label in ("Period", "Layers", "Metric", "Numbers by"):
        expect(page.get_by_role("combobox", name=label)).to_be_visible()
    assert len(_main(page).inner_text()) > 200
    assert page.get_by_test_id("stException").count() == 0


def _choose(page: Page, label: str, option: str) -> None:
    page.get_by_role("combobox", name=label).click()
    page.get_by_role("option", name=option, exact=True).click()
    page.wait_for_timeout(200)
    settle(page)


def _expect_card(page: Page, label: str, value: str) -> None:
    cards = page.get_by_test_id("stMetric")
    card = cards.filter(has=page.get_by_text(label, exact=True)).first
    expect(card.get_by_test_id("stMetricValue")).to_have_text(value)


def _click_row(page: Page, place: int) -> None:
    """Choose a row of the first table; its cells are drawn on a canvas."""
    table = page.get_by_test_id("stDataFrame").first
    table.scroll_into_view_if_needed()
    table.click(position={"x": 17, "y": _HEADER + _ROW * place + _ROW / 2})


def _download(page: Page, label: str, folder: Path) -> Path:
    with page.expect_download() as waiting:
        page.get_by_role("button", name=label).click()
    path = folder / waiting.value.suggested_filename
    waiting.value.save_as(path)
    return path
