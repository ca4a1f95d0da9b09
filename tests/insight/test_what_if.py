"""What would change: every recommendation by hand, and none without evidence."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from core.insight.decisions import decisions
from core.insight.frames import CADENCE, PATTERN_GROUPS, PATTERNS
from core.insight.standings import Standing
from core.insight.what_if import ASSUMPTIONS, Basis, what_if
from tests.insight.rows import START, campaign, campaigns, layers, lift, lifts, table

WEEKS, DAYS = 4.0, 2.0


def basis(rows=(), sends=(), *, draws=None, **more):
    """Return what recommendations rest on: four weeks, and draws a campaign that do not vary."""
    ids = [row["campaign_id"] for row in rows]
    layer_of = pd.Index([row["layer"] for row in rows], dtype="str")
    if draws is None:
        draws = np.tile([row["rel_effect_size"] for row in rows], (100, 1))
    drawn = Standing(campaign_ids=pd.Index(ids), layers=layer_of, draws=draws)
    given = {
        "lifts": lifts(*rows), "campaigns": campaigns(*sends), "layers": layers(),
        "patterns": PATTERNS.empty(), "groups": PATTERN_GROUPS.empty(),
        "cadence": CADENCE.empty(), "standing": {"trades": drawn} if rows else {},
        "primary": "trades", "weeks": WEEKS,
        "post_days": DAYS, "per_event": {}, "confidence_level": 0.95,
    }  # fmt: skip
    given["decisions"] = decisions(given["lifts"], given["campaigns"], say=lambda _: "")
    return Basis(**{**given, **more})


def said(found):
    return what_if(found, say=lambda row: f"{row['recommendation']} {row['kind']}").set_index(
        ["recommendation", "layer"]
    )


def sends_of(*rows, **columns):
    return [
        campaign(campaign_id=row["campaign_id"], layer=row["layer"], n_measured=300, **columns)
        for row in rows
    ]


def test_what_if_without_evidence_is_empty():
    row = lift(rel=0.02, qvalue=0.7)
    assert what_if(basis([row], sends_of(row)), say=lambda _: "").empty


def test_what_if_harm_is_stopped_it_comes_back_by_week():
    rows = [lift(rel=-0.2), lift(campaign_id="c2", layer="2", rel=-0.3)]
    found = said(basis(rows, sends_of(*rows)))
    first, second = 0.2 * 0.5 * 300 * DAYS / WEEKS, 0.3 * 0.5 * 300 * DAYS / WEEKS
    events = found.loc["stop_harmful"]["events_per_week"]
    assert events.to_dict() == pytest.approx({"1": first, "2": second, "all": first + second})
    assert found.loc[("stop_harmful", "all"), "n_campaigns"] == 2
    assert found.loc[("stop_harmful", "1"), "assumptions"] == ASSUMPTIONS["stop_harmful"]


def test_what_if_ranges_are_those_of_the_joint_draws():
    rows = [lift(rel=-0.2), lift(campaign_id="c2", rel=-0.3)]
    rng = np.random.default_rng(2)
    shared = rng.normal(0, 0.1, (5000, 1))
    drawn = np.array([-0.2, -0.3]) + shared  # the same people: what moves one moves the other
    row = said(basis(rows, sends_of(*rows), draws=drawn)).loc[("stop_harmful", "1")]
    events = -drawn.sum(axis=1) * 0.5 * 300 * DAYS / WEEKS
    assert row["events_per_week"] == pytest.approx(events.mean())
    assert row["events_per_week_ci_low"] == pytest.approx(np.quantile(events, 0.025))
    assert row["events_per_week_ci_high"] == pytest.approx(np.quantile(events, 0.975))


def test_what_if_clear_winners_are_repeated_one_more_send_a_week():
    rows = [
        lift(rel=0.2),
        lift(campaign_id="c2", rel=0.4),
        lift(campaign_id="c3", rel=0.3, layer="2"),
    ]
    found = said(basis(rows, sends_of(*rows)))
    assert found.loc[("scale_best", "1"), "events_per_week"] == pytest.approx(0.3 * 0.5 * 300 * 2)
    assert set(found.loc["scale_best"].index) == {"1", "2"}


def test_what_if_stops_what_does_nothing_and_says_what_that_may_lose():
    row = lift(rel=0.0, half=0.04, qvalue=0.9)
    rng = np.random.default_rng(3)
    found = said(basis([row], sends_of(row), draws=rng.normal(0.01, 0.01, (4000, 1))))
    one = found.loc[("stop_no_effect", "1")]
    assert one["events_per_week"] < 0
    assert one["events_per_week_ci_low"] < one["events_per_week"] < one["events_per_week_ci_high"]


def test_what_if_values_events_where_a_value_is_set():
    row = lift(rel=-0.2)
    found = said(basis([row], sends_of(row), per_event={"trades": 7.0})).iloc[0]
    assert found["value_per_week"] == pytest.approx(7 * found["events_per_week"])
    assert said(basis([row], sends_of(row)))["value_per_week"].isna().all()


def pattern(**columns):
    return {
        "pattern": "content", "layer": "1", "metric": "trades", "group": "drop",
        "other": "feature", "difference": 0.1, "difference_ci_low": 0.04,
        "difference_ci_high": 0.16, "qvalue": 0.01, "n_campaigns": 7, "n_other": 5,
        "is_within": False, "evidence": "A", "is_found": True, "confidence_level": 0.95,
        "status": "ok", **columns,
    }  # fmt: skip


def groups(*names, name="content"):
    return table(
        PATTERN_GROUPS,
        [
            {"pattern": name, "layer": "1", "metric": "trades", "group": group,
             "n_campaigns": 5, "n_pushes": 1000 * (place + 1), "evidence": "A", "status": "ok",
             "confidence_level": 0.95}
            for place, group in enumerate(names)
        ],
    )  # fmt: skip


POOLED = layers(
    {"layer": "1", "metric": "trades", "method": "headline", "expected_rate": 0.5, "status": "ok"}
)


def with_pattern(*rows, names=("drop", "feature"), **more):
    kind = rows[0]["pattern"]
    return basis(
        patterns=table(PATTERNS, list(rows)),
        groups=groups(*names, name=kind),
        layers=POOLED,
        **more,
    )


def test_what_if_the_better_content_is_told_instead():
    row = said(with_pattern(pattern())).loc[("prefer_content", "1")]
    each = 0.5 * DAYS * 2000 / WEEKS
    assert row["events_per_week"] == pytest.approx(0.1 * each)
    assert row["events_per_week_ci_low"] == pytest.approx(0.04 * each)
    assert row["events_per_week_ci_high"] == pytest.approx(0.16 * each)
    assert (row["n_campaigns"], row["words"]) == (12, "prefer_content drop")


def test_what_if_a_difference_below_zero_prefers_the_other_kind():
    worse = {"difference": -0.1, "difference_ci_low": -0.16, "difference_ci_high": -0.04}
    row = said(with_pattern(pattern(**worse))).loc[("prefer_content", "1")]
    each = 0.5 * DAYS * 1000 / WEEKS
    assert row["words"] == "prefer_content feature"
    assert row["events_per_week"] == pytest.approx(0.1 * each)
    assert row["events_per_week_ci_low"] == pytest.approx(0.04 * each)


def test_what_if_against_all_others_moves_all_others():
    row = pattern(pattern="hours_since_trigger", group="2-6", other="all others", is_within=True)
    found = said(with_pattern(row, names=("2-6", "6-12", "12+"))).loc[("send_at_best_lag", "1")]
    assert found["events_per_week"] == pytest.approx(0.1 * 0.5 * DAYS * 5000 / WEEKS)
    assert found["n_campaigns"] == 7  # on both sides of it: told once


def test_what_if_against_later_ones_moves_those_that_come_after():
    row = pattern(pattern="hours_since_trigger", group="2-6", other="later")
    found = with_pattern(row, names=("0-2", "2-6", "6-12", "12+"))
    scale = found.groups.assign(position=[0.0, 2.0, 6.0, 12.0])
    one = said(dataclasses.replace(found, groups=scale)).loc[("send_at_best_lag", "1")]
    assert one["events_per_week"] == pytest.approx(0.1 * 0.5 * DAYS * 7000 / WEEKS)


def test_what_if_prefers_no_content_where_triggers_choose_it():
    row = pattern(layer="3")
    found = with_pattern(row)
    third = dataclasses.replace(
        found, layers=POOLED.assign(layer="3"), groups=found.groups.assign(layer="3")
    )
    assert what_if(third, say=lambda _: "").empty


def test_what_if_all_others_are_better_recommends_nothing():
    row = pattern(
        other="all others", difference=-0.1, difference_ci_low=-0.2, difference_ci_high=-0.05
    )
    assert what_if(with_pattern(row), say=lambda _: "").empty


def test_what_if_of_a_pattern_that_was_not_found_is_empty():
    assert what_if(with_pattern(pattern(is_found=False)), say=lambda _: "").empty


def test_what_if_of_several_patterns_takes_the_clearest():
    rows = [
        pattern(qvalue=0.04, difference=0.5, difference_ci_high=0.9),
        pattern(group="feature", other="news", qvalue=0.001),
    ]
    found = said(with_pattern(*rows, names=("drop", "feature", "news")))
    assert found.loc[("prefer_content", "1"), "words"] == "prefer_content feature"


def slot(**columns):
    return {
        "automation_id": "hot", "planned_at": START, "state": "missed", "cost_events": 40.0,
        "cost_events_ci_low": 10.0, "cost_events_ci_high": 70.0, **columns,
    }  # fmt: skip


def with_slots(*rows, patterns=()):
    later = [{**row, "planned_at": START + pd.Timedelta(weeks=n)} for n, row in enumerate(rows)]
    return basis(
        sends=[campaign(layer="2", automation_id="hot")], cadence=table(CADENCE, later),
        patterns=table(PATTERNS, list(patterns)),
    )  # fmt: skip


def test_what_if_missed_sends_are_made_up_for():
    row = said(with_slots(slot(), slot())).loc[("send_on_plan", "2")]
    assert row["events_per_week"] == pytest.approx(80 / WEEKS)
    assert row["events_per_week_ci_low"] == pytest.approx(20 / WEEKS)
    assert row["events_per_week_ci_high"] == pytest.approx(140 / WEEKS)
    assert row["n_campaigns"] == 2


def test_what_if_counts_moved_sends_only_where_the_plan_was_found_to_matter():
    moved = slot(state="moved", cost_events_ci_low=-5.0)
    assert what_if(with_slots(moved), say=lambda _: "").empty
    found = pattern(pattern="cadence", layer="2", group="on plan", other="off plan")
    row = said(with_slots(moved, patterns=[found])).loc[("send_on_plan", "2")]
    assert row["events_per_week_ci_low"] == pytest.approx(-5 / WEEKS)


def test_what_if_does_not_send_on_a_plan_that_does_worse():
    worse = {"difference": -0.1, "difference_ci_low": -0.2, "difference_ci_high": -0.05}
    found = pattern(pattern="cadence", layer="2", group="on plan", other="off plan", **worse)
    assert what_if(with_slots(slot(state="moved"), patterns=[found]), say=lambda _: "").empty


def test_what_if_leaves_out_costs_that_are_not_known_or_may_be_none():
    nothing = {f"cost_events{end}": np.nan for end in ("", "_ci_low", "_ci_high")}
    may_be_none = slot(cost_events_ci_low=-1.0)
    assert what_if(with_slots(slot(**nothing), may_be_none), say=lambda _: "").empty


def test_what_if_needs_a_rate_for_the_layer_of_a_pattern():
    found = dataclasses.replace(with_pattern(pattern()), layers=layers())
    assert what_if(found, say=lambda _: "").empty
