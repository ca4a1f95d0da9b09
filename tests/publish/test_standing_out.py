"""What stands out: the most urgent first, with evidence, never more than six."""

from dataclasses import dataclass, field

import pandas as pd
import pytest

from core.insight import frames
from core.publish.standing_out import FEWEST, MOST, Point, standing_out
from core.span import Span
from tests.insight.rows import table
from tests.publish.test_insight_words import BEFORE, LINE, PATTERN, PERIOD, RANKED, THEN, TOGETHER

PRIMARY = "confirmed_trades"
ADVICE = {
    "recommendation": "scale_best", "layer": "1", "metric": PRIMARY, "events_per_week": 40.0,
    "events_per_week_ci_low": 8.0, "events_per_week_ci_high": 72.0, "n_campaigns": 3,
    "words": "Send more: +40.0 [8.0, 72.0] a week.", "assumptions": "it carries over",
}  # fmt: skip


@dataclass(kw_only=True)
class Concluded:
    """What a run concluded, nothing where nothing is said."""

    decisions: pd.DataFrame = field(default_factory=frames.DECISIONS.empty)
    rankings: pd.DataFrame = field(default_factory=frames.RANKINGS.empty)
    patterns: pd.DataFrame = field(default_factory=frames.PATTERNS.empty)
    correlations: pd.DataFrame = field(default_factory=frames.CORRELATIONS.empty)
    what_if: pd.DataFrame = field(default_factory=frames.WHAT_IF.empty)
    history: pd.DataFrame = field(default_factory=frames.HISTORY.empty)
    trends: pd.DataFrame = field(default_factory=frames.TRENDS.empty)
    period: Span = PERIOD
    before: Span | None = BEFORE
    primary: str = PRIMARY
    currency: str = "USD"


def decided(*reasons, metric=PRIMARY):
    names = {"clear_gain": "repeat", "clear_harm": "stop", "unclear": "retest", "open": "wait"}
    return table(
        frames.DECISIONS,
        [
            {"campaign_id": f"c{n}", "metric": metric, "decision": names[reason],
             "reason": reason, "why": "Because."}
            for n, reason in enumerate(reasons)
        ],
    )  # fmt: skip


def everything(**more):
    given = {
        "decisions": decided("clear_harm", "clear_gain", "unclear", "unclear", "open"),
        "rankings": table(frames.RANKINGS, [{**RANKED, "layer": "all", "place": 1}]),
        "patterns": table(
            frames.PATTERNS, [PATTERN, {**PATTERN, "layer": "2", "in_sends_qvalue": 0.001}]
        ),
        "correlations": table(frames.CORRELATIONS, [TOGETHER]),
        "what_if": table(frames.WHAT_IF, [ADVICE]),
        "history": table(frames.HISTORY, [{**THEN, "layer": "all"}]),
        "trends": table(frames.TRENDS, [LINE]),
    }
    return Concluded(**{**given, **more})


def tables(found):
    return [point.table for point in standing_out(found)]


def test_standing_out_says_what_is_urgent_first_and_no_more_than_six():
    points = standing_out(everything(), names={"c0": "Drop 0", "c7": "Drop 7"})
    assert [point.table for point in points] == [
        "decisions", "decisions", "rankings", "patterns", "patterns", "what_if",
    ]  # fmt: skip
    assert len(points) == MOST
    assert points[0].text == (
        "By confirmed trades, of 5 campaigns: 1 to repeat, 1 to stop, 2 to test again, "
        "1 to wait for."
    )
    assert points[1] == Point(text="Stop Drop 0: Because.", table="decisions", campaign_id="c0")
    assert points[2].text.startswith("Best campaign: Drop 7: +34.7 % [17.5, 57.2]")
    assert "in layer 2" in points[3].text  # the clearer pattern


def test_standing_out_says_what_changed_and_what_goes_together_where_there_is_room():
    found = everything(patterns=frames.PATTERNS.empty(), decisions=decided("clear_gain"))
    assert tables(found) == [
        "decisions", "rankings", "what_if", "history", "trends", "correlations",
    ]  # fmt: skip


@pytest.mark.parametrize("metric", [PRIMARY, "sessions"])
def test_standing_out_names_harm_in_any_metric(metric):
    rows = pd.concat([decided("unclear"), decided("clear_harm", "clear_harm", metric=metric)[1:]])
    points = standing_out(Concluded(decisions=rows.reset_index(drop=True)))
    assert any(point.text.startswith("Stop c1") for point in points)


def test_standing_out_says_how_many_more_do_harm():
    points = standing_out(Concluded(decisions=decided("clear_harm", "clear_harm", "clear_harm")))
    assert points[1].text == "Stop c0: Because. 2 more like it."


def test_standing_out_leaves_out_what_is_not_clear():
    vague = {"qvalue": 0.4, "is_found": False}
    unsure = {**vague, "is_found_in_sends": False}
    found = everything(
        decisions=decided("unclear"),
        rankings=table(
            frames.RANKINGS, [{**RANKED, "layer": "all", "place": 1, "is_clear": False}]
        ),
        patterns=table(frames.PATTERNS, [{**PATTERN, **unsure}]),
        correlations=table(frames.CORRELATIONS, [{**TOGETHER, **vague}]),
        what_if=table(frames.WHAT_IF, [{**ADVICE, "events_per_week_ci_low": -1.0}]),
        history=table(frames.HISTORY, [{**THEN, "layer": "all", "pvalue": 0.3}]),
        trends=table(frames.TRENDS, [{**LINE, "qvalue": 0.3}]),
    )
    texts = [point.text for point in standing_out(found)]
    assert texts == [
        "By confirmed trades, of 1 campaign: 1 to test again.",
        "No campaign is clear above zero in confirmed trades by itself.",
        "No kind of send clearly differs: 1 was looked for.",
    ]
    assert len(texts) >= FEWEST


def test_standing_out_of_no_change_says_so_where_little_else_is_said():
    found = Concluded(
        decisions=decided("unclear"),
        history=table(frames.HISTORY, [{**THEN, "layer": "all", "pvalue": 0.3}]),
    )
    assert standing_out(found)[-1].text == "No clear change against the period before."


def test_standing_out_of_a_change_never_says_that_there_is_none():
    found = Concluded(
        decisions=decided("unclear"), history=table(frames.HISTORY, [{**THEN, "layer": "all"}])
    )
    assert [point.table for point in standing_out(found)] == ["decisions", "history"]


def test_standing_out_of_nothing_says_nothing():
    assert standing_out(Concluded()) == []
