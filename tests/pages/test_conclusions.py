"""What the pages conclude and assess is what core does, drawn once it is known."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from core import pipeline
from core.assessment import assess
from core.insight.decisions import decisions
from core.measure.panel import Rules
from core.publish import insight_words, takeaways
from tests.pages.browser import Server, settle
from tests.pages.conftest import Expected

Visit = Callable[..., Page]
_LONGEST_MS = 240_000


def _main(page: Page) -> str:
    return re.sub("[\u2060]", "", page.locator("[data-testid=stMain]").inner_text())


@pytest.mark.parametrize(
    ("address", "last"),
    [
        ("overview", "Against the period before"),
        ("layers", "The same automation over time"),
        ("reports", "To take away"),
    ],
)
def test_pages_conclude_in_the_background(
    server: Server, visit: Visit, expected: Expected, address: str, last: str
) -> None:
    page = visit(f"{server.url}/{address}")
    expect(page.get_by_text("Looking for patterns")).to_have_count(0, timeout=_LONGEST_MS)
    expect(page.get_by_role("heading", name=last)).to_be_visible(timeout=_LONGEST_MS)
    settle(page)
    if address == "overview":
        lifts, campaigns = expected.results.lifts, expected.results.campaigns
        made = decisions(lifts, campaigns, say=insight_words.decision_why)
        own = made[made["metric"] == next(iter(expected.loaded.wiring.settings.metrics))]
        counts = own["decision"].value_counts()
        assert f"{counts['retest']} to test again" in _main(page)


def test_page_of_quality_says_what_core_assesses(
    server: Server, visit: Visit, expected: Expected
) -> None:
    loaded, estimates = expected.loaded, expected.read.estimates
    found = assess(loaded, estimates, pipeline.measure(loaded, Rules(), estimates=estimates))
    page = visit(f"{server.url}/quality")
    shown = _main(page)
    assert takeaways.scores(found.scores) in shown
    assert takeaways.event_days(found.event_days, zone=expected.zone) in shown
    expect(page.get_by_role("heading", name="Runs", exact=True)).to_be_visible()


def test_page_of_a_campaign_says_what_to_do(
    server: Server, visit: Visit, expected: Expected
) -> None:
    lifts, campaigns = expected.results.lifts, expected.results.campaigns
    made = decisions(lifts, campaigns, say=insight_words.decision_why)
    metric = next(iter(expected.loaded.wiring.settings.metrics))
    row = made[(made["metric"] == metric) & (made["decision"] == "retest")].iloc[0]
    page = visit(f"{server.url}/campaign?id={row['campaign_id']}")
    assert row["why"] in _main(page)
