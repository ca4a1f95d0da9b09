from __future__ import annotations

import re

import pytest

from core.publish import beside, formats, words
from core.publish.reports import summaries, views
from core.publish.reports.markdown import escaped
from core.publish.reports.material import stems
from pages.parts.pools import extra_events, prediction
from tests.publish.examples import HOSTILE
from tests.publish.reports.materials import METRIC, material

MISSING = ("Activity from 2026-09-03 to 2026-09-04 is missing: the source did not answer.",)
REPORTS = {
    "executive": summaries.executive_summary,
    "top": summaries.top_performers,
    "recommendations": summaries.recommendations,
    "methodology": summaries.methodology,
    "dive": lambda of: summaries.deep_dive(of, "1"),
    "campaign": lambda of: summaries.campaign_summary(of, "c00"),
    "index": lambda of: summaries.layer_index(of, "1"),
}


def _text(content):
    return content.decode().replace("\u2060", "")


@pytest.mark.parametrize("name", REPORTS)
def test_every_report_says_first_what_is_missing(name):
    lines = _text(REPORTS[name](material(missing=MISSING))).split("\n")
    assert lines[0].startswith("# ")
    assert lines[2].startswith("> **Partial results.**")
    assert lines[4] == f"> - {MISSING[0]}"
    assert "Partial results" not in _text(REPORTS[name](material()))


@pytest.mark.parametrize("name", REPORTS)
def test_every_report_stands_without_quality_and_insight(name):
    said = _text(REPORTS[name](material(bare=True)))
    assert not re.search(r"\bNone\b(?! had)|\bnan\b", said)
    assert "Undefined" not in said


@pytest.mark.parametrize("name", REPORTS)
def test_every_list_sentence_has_a_number(name):
    for line in _text(REPORTS[name](material())).split("\n"):
        is_finding = line.startswith("- ") and name not in {"methodology", "campaign"}
        if is_finding and not line.startswith(("- Grade", "- Each campaign")):
            assert re.search(r"\d", line), line


def test_campaign_summary_has_the_numbers_of_the_pages():
    of = material()
    said = _text(summaries.campaign_summary(of, "c00"))
    row = of.lifts[(of.lifts["campaign_id"] == "c00") & (of.lifts["metric"] == METRIC)].iloc[0]
    campaign = of.campaigns.iloc[0]
    judged = words.verdict(row, campaign, as_of=of.setting.as_of)
    assert f"## Verdict: {judged.word}" in said
    assert escaped(judged.sentence) in said
    assert f"**Confirmed trades: {words.effect(row)}**" in said
    assert f"{formats.rate(row['post_rate'])} events per user per day after" in said
    assert "| 260 | 10 | 250 | 3 | 20 |" in said
    assert "Decision: repeat. Clear at" in said
    assert "Mapping of c00 is 93 %" in said
    for _, one in of.lifts[of.lifts["campaign_id"] == "c00"].iterrows():
        assert words.effect(one) in said


@pytest.mark.parametrize(("campaign", "why"), [("c04", "too few users"), ("c05", "window still")])
def test_campaign_summary_without_a_verdict_says_why(campaign, why):
    said = _text(summaries.campaign_summary(material(), campaign))
    assert f"This campaign is in no layer's pooled number: {why}" in said


def test_campaign_summary_of_hostile_titles_keeps_them_text():
    of = material(names=list(HOSTILE))
    for at in range(0, len(HOSTILE), 23):
        said = summaries.campaign_summary(of, f"c{at:02d}").decode()
        outside = re.sub(r"(`{3,})text\n.*?\n\1\n", "", said, flags=re.DOTALL)
        assert not set("<") & set(outside.replace("< 0.001", ""))
        assert "](http" not in outside
        heads = [line for line in outside.split("\n") if line.startswith("#")]
        assert len(heads) == 9


def test_executive_summary_rests_on_the_headline():
    of = material()
    said = _text(summaries.executive_summary(of))
    assert escaped(words.finding(of.layers, METRIC)).replace("\u2060", "") in said
    assert beside.misled(of.layers, METRIC) in said
    row = of.layers[(of.layers["layer"] == "1") & (of.layers["metric"] == METRIC)].iloc[0]
    assert f"| {words.effect(row)} | B |" in said
    assert "| 2 | 2 | 1 | 1 |" in said
    assert "Clear: 1 of 2 patterns" in said


def test_executive_summary_without_patterns_says_among_how_many():
    of = material()
    of.insight.patterns[["is_found", "is_found_in_sends"]] = False
    said = _text(summaries.executive_summary(of))
    assert "No pattern was clear among the 2 that were looked for." in said


def test_top_performers_say_no_clear_effect_where_that_is_so():
    said = _text(summaries.top_performers(material()))
    assert said.count("no clear effect") == 4
    assert "1 of these 3 are clearly above zero." in said
    assert "| EUR" not in said
    assert "+3,612 [2,712, 4,512]" in said
    name = stems(["c00"])["c00"]
    assert f"[Drop 0](../markdown-summaries/layer-1/{name}.md)" in said


def test_recommendations_name_every_campaign_once():
    of = material()
    said = _text(summaries.recommendations(of))
    for name in of.campaigns["name"]:
        assert said.count(f"- {name} (2026-09") == 1
    assert "## Repeat: 2" in said
    assert "This holds if others stay as they are." in said
    assert "Of 1 planned sends: 1 missed." in said


def test_recommendations_without_shortfalls_say_so():
    of = material()
    object.__setattr__(of.quality, "advice", of.quality.advice.iloc[:0])
    said = _text(summaries.recommendations(of))
    assert "Nothing: the combined score is 93.0 % (threshold 95.0 %)." in said


def test_methodology_says_settings_and_who_was_left_out():
    said = _text(summaries.methodology(material()))
    assert "the 30 days before the instant of delivery" in said
    assert "Its 95 % interval is Fieller's" in said
    assert "| recipients | unmapped | 30 | 6 |" in said
    assert "8.0 % of 400 estimates" in said


def test_deep_dive_of_a_layer_nothing_was_sent_in():
    said = _text(summaries.deep_dive(material(), "unclassified"))
    assert "no finding yet (0 campaigns qualify)" in said
    assert "0 campaigns." in said


def test_headlines_come_with_their_campaign_largest_first():
    rows = views.headlines(material(), METRIC)
    known = rows["rel_effect_size"].dropna()
    assert known.is_monotonic_decreasing
    assert rows["rel_effect_size"].isna().tolist()[-1]
    assert rows["name"].notna().all()


def test_extra_events_are_whole_numbers_as_on_the_pages():
    of = material()
    row = of.layers.iloc[0].copy()
    row["incremental_events"] = 918.4
    row["incremental_events_ci_low"], row["incremental_events_ci_high"] = 483.2, 1353.0
    row["prediction_low"], row["prediction_high"] = -0.12, 0.78
    assert views.incremental(row) == extra_events(row) == "+918 [483, 1,353]"
    assert views.next_one(row) == prediction(row) == "[−12, 78] %"
