"""The report in a real browser, without a network."""

from __future__ import annotations

import re

import pytest

from core.publish import words
from core.publish.reports.html import drawings, report_html
from tests.faults.hostile import MARKUP
from tests.pages.browser import window
from tests.publish.examples import HOSTILE
from tests.publish.reports.materials import METRIC, material

LIVE = [text for text in (*HOSTILE, *MARKUP) if "<" in text or "&" in text or "script" in text]


@pytest.fixture
def page_of(browser, tmp_path):
    """Return a function that opens a page by its bytes and gives what it met."""

    def opened(content, *, dark=False):
        path = tmp_path / "report.html"
        path.write_bytes(content)
        page = window(browser, dark=dark).new_page()
        met = []
        page.on("request", lambda request: met.append(request.url))
        page.on("requestfailed", lambda request: met.append(f"failed: {request.failure}"))
        page.on("console", lambda said: met.append(said.text))
        page.on("pageerror", lambda error: met.append(str(error)))
        page.on("dialog", lambda dialog: (met.append("dialog"), dialog.dismiss()))
        page.goto(path.as_uri())
        page.wait_for_selector("body[data-drawn]")
        return page, met, path.as_uri()

    return opened


@pytest.mark.parametrize("dark", [False, True])
def test_report_html_draws_its_figures_and_asks_nobody(page_of, dark):
    of = material()
    page, met, address = page_of(report_html(of), dark=dark)
    assert met == [address]
    assert page.evaluate("document.body.dataset.drawn") == ("dark" if dark else "light")
    assert page.locator(".plot .plot-container").count() == len(drawings(of)) == 5
    assert page.locator(".plot .scatterlayer path.point").count() > 6
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(23, 22, 20)" if dark else "rgb(255, 255, 255)")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.context.close()


def test_report_html_follows_a_change_of_look(page_of):
    page, met, _ = page_of(report_html(material()))
    page.emulate_media(color_scheme="dark")
    page.wait_for_selector("body[data-drawn=dark]")
    assert len(met) == 1
    page.context.close()


def test_report_html_hostile_texts_are_inert(page_of):
    of = material(names=LIVE, missing=tuple(LIVE))
    page, met, address = page_of(report_html(of))
    assert met == [address]
    assert page.locator("img, iframe, object, embed, form, base, link").count() == 0
    assert page.locator("script:not([data-figure])").count() == 2
    links = page.locator("a").evaluate_all("all => all.map(one => one.getAttribute('href'))")
    assert all(one.startswith("#") for one in links)
    text = page.locator("#campaigns table").inner_text()
    assert "<script>alert(1)</script>" in text
    page.context.close()


def test_report_html_policy_stops_scripts_that_are_not_ours(page_of):
    foreign = b"<script>document.title = 'taken'</script><img src='http://example.test/'></main>"
    content = report_html(material()).replace(b"</main>", foreign)
    page, met, address = page_of(content)
    assert page.title().startswith("Pushlift report")
    assert [one for one in met if "Content Security Policy" in one or "violates" in one]
    assert met[0] == address
    assert "failed: csp" in met  # the picture was asked for by nobody but the page, in vain
    page.context.close()


def test_report_html_has_the_numbers_of_the_pages():
    of = material()
    text = report_html(of).decode()
    plain = re.sub(r"\s+", " ", text)
    assert words.finding(of.layers, METRIC) in plain.replace("&#39;", "'")
    for _, row in of.layers[of.layers["method"] == "headline"].iterrows():
        if row["metric"] == METRIC:
            assert f">{words.effect(row)}</td>" in plain
    assert "93.0 % (threshold 95.0 %)" in plain
    assert plain.count("<h2>") == 8


def test_report_html_says_first_what_is_missing():
    text = report_html(material(missing=("A day is missing.",))).decode()
    assert text.index("A day is missing.") < text.index("Executive summary")


def test_report_html_of_nothing_drawn_stands():
    of = material(bare=True)
    text = report_html(of).decode()
    assert "Quality was not scored here: 0 parts." in text
    assert "patterns-forest" not in text
    assert text.count("http-equiv") == 1
