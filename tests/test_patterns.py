"""Patterns, correlations and cadence of a small demo marketplace."""

import dataclasses
from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from benchmarks.counting import loaded_demo
from benchmarks.patterns import PLANTED, TOGETHER, found_in, outcome, table
from core import patterns
from core.demo import World, write_demo
from core.insight.frames import CADENCE, CORRELATIONS, PATTERN_GROUPS, PATTERNS
from core.insight.patterns import FAMILY_OF_OTHERS, FAMILY_OF_PRIMARY
from core.measure.multiplicity import bh_qvalues
from core.measure.panel import Rules
from core.patterns import patterns_of
from core.pipeline import estimates_of, measure

RULES = Rules()
METRICS = 7


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("patterns")
    files = write_demo(folder / "demo", World(n_users=2_500, n_days=28, seed=3))
    loaded = loaded_demo(folder, files)
    estimates = estimates_of(loaded, RULES.lengths, RULES.outliers)
    return loaded, estimates, measure(loaded, RULES, estimates=estimates)


@pytest.fixture(scope="module")
def found(demo):
    return patterns_of(*demo)


def rows(found, pattern, *, metric="confirmed_trades"):
    table = found.patterns
    return table[(table["pattern"] == pattern) & (table["metric"] == metric)]


def test_patterns_of_are_the_declared_tables(found):
    for declared, frame in (
        (PATTERNS, found.patterns), (PATTERN_GROUPS, found.groups),
        (CORRELATIONS, found.correlations), (CADENCE, found.cadence),
    ):  # fmt: skip
        pd.testing.assert_frame_equal(declared.checked(frame), frame)
        assert len(frame)


def test_patterns_of_asks_every_question_of_every_metric(found):
    asked = found.patterns.groupby("metric")["pattern"].agg(lambda names: frozenset(names))
    assert len(asked) == METRICS
    assert set(asked) == {
        frozenset({
            "content", "cadence", "weekday", "hour", "hours_since_trigger", "audience_size",
            "fatigue", "fatigue_dose",
        })
    }  # fmt: skip


def test_patterns_of_has_numbers_exactly_where_it_says_so(found):
    table = found.patterns
    numbers = ["difference", "difference_ci_low", "difference_ci_high", "df", "pvalue", "qvalue"]
    is_ok = table["status"] == "ok"
    assert is_ok.any()
    assert not is_ok.all()
    assert table.loc[is_ok, numbers].notna().all(axis=None)
    assert table.loc[~is_ok, numbers].isna().all(axis=None)
    assert not table.loc[~is_ok, "is_found"].any()


def test_patterns_of_finds_by_q_value_within_the_family(found):
    table = found.patterns
    for family in (FAMILY_OF_PRIMARY, FAMILY_OF_OTHERS):
        own = table[table["family"] == family]
        assert own["qvalue"].to_numpy() == pytest.approx(bh_qvalues(own["pvalue"].to_numpy()))
    clear = (table["difference_ci_low"] > 0) | (table["difference_ci_high"] < 0)
    assert (clear == (table["pvalue"] < 0.05)).all()
    assert (table["is_found"] == (clear & (table["qvalue"] <= 0.05))).all()


def test_patterns_of_groups_agree_with_their_differences(found):
    (content,) = rows(found, "content")[lambda t: t["layer"] == "1"].itertuples()
    groups = found.groups
    own = groups[
        (groups["pattern"] == "content") & (groups["layer"] == "1")
        & (groups["metric"] == "confirmed_trades")
    ].set_index("group")["rel_effect_size"]  # fmt: skip
    assert (content.group, content.other) == ("drop", "feature")
    assert content.difference == pytest.approx(own["drop"] - own["feature"])


def test_patterns_of_divides_pushes_by_hours_since_their_trigger(demo, found):
    loaded, _, _ = demo
    groups = found.groups
    own = groups[
        (groups["pattern"] == "hours_since_trigger") & (groups["metric"] == "sessions")
    ].set_index("group")  # fmt: skip
    pushes = loaded.pushes[loaded.pushes["trigger_at"].notna()]
    hours = (pushes["delivered_at"] - pushes["trigger_at"]) / pd.Timedelta(hours=1)
    assert own.loc["2 to 6 h", "n_pushes"] <= ((hours >= 2) & (hours < 6)).sum()
    assert own.loc["2 to 6 h", "n_pushes"] > own["n_pushes"].sum() / 2
    assert own.loc["2 to 6 h", "position"] == 2.0


def test_patterns_of_correlates_each_pair_of_metrics_once_in_each_layer(found):
    pairs = found.correlations
    names = list(dict.fromkeys(found.patterns["metric"]))
    for layer in ("1", "2", "3", "all"):
        own = pairs[pairs["layer"] == layer]
        wanted = list(combinations(names, 2))
        assert list(zip(own["metric"], own["other_metric"], strict=True)) == wanted
    known = pairs[pairs["status"] == "ok"]
    assert (known["correlation"].between(-1, 1)).all()
    assert (known["correlation_ci_low"] <= known["correlation"]).all()
    assert (known["correlation"] <= known["correlation_ci_high"]).all()


def test_patterns_of_lists_every_planned_send(demo, found):
    loaded, _, _ = demo
    cadence = found.cadence
    assert set(cadence["automation_id"]) == {"hot-inventory"}
    local = cadence["planned_at"].dt.tz_convert("America/New_York")
    assert (local.dt.day_name() == "Tuesday").all()
    assert (local.dt.hour == 9).all()
    assert len(cadence) == 4
    assert "on_plan" in set(cadence["state"])
    on_plan = cadence[cadence["state"] == "on_plan"]
    assert (on_plan["cost_events"] == 0).all()
    sent = loaded.campaigns.set_index("campaign_id")["first_delivered_at"]
    late = sent[cadence["campaign_id"].dropna()].to_numpy() - (
        cadence.loc[cadence["campaign_id"].notna(), "planned_at"].to_numpy()
    )
    assert cadence["hours_late"].dropna().to_numpy() == pytest.approx(late / np.timedelta64(1, "h"))


def test_patterns_of_some_campaigns_look_at_them_alone(demo):
    loaded, estimates, _ = demo
    campaigns = loaded.campaigns
    some = pd.Index(campaigns.loc[campaigns["layer"] == "1", "campaign_id"].iloc[:1])
    results = measure(loaded, RULES, campaign_ids=some, estimates=estimates)
    found = patterns_of(loaded, estimates, results)
    assert set(found.patterns["layer"]) == {"1"}
    assert set(found.patterns["status"]) == {"too_few_campaigns"}
    assert set(found.correlations["status"]) == {"too_few_campaigns"}
    assert len(found.groups) == len(found.cadence) == 0


def test_patterns_of_are_the_same_again(demo, found):
    again = patterns_of(*demo)
    pd.testing.assert_frame_equal(again.patterns, found.patterns)
    pd.testing.assert_frame_equal(again.correlations, found.correlations)


def test_patterns_of_at_another_confidence_have_wider_intervals(demo, found):
    loaded, estimates, results = demo
    rules = dataclasses.replace(RULES, confidence_level=0.99)
    wider = patterns_of(loaded, estimates, dataclasses.replace(results, rules=rules)).patterns
    known = wider["status"] == "ok"
    assert (wider["confidence_level"] == 0.99).all()
    assert (wider["difference_ci_low"] < found.patterns["difference_ci_low"])[known].all()
    assert wider["pvalue"].equals(found.patterns["pvalue"])


def test_patterns_of_leaves_out_campaigns_without_a_comparison(demo, monkeypatch):
    loaded, estimates, results = demo
    asked = []

    def noted(study, campaigns):
        asked.extend(campaigns)
        return rows_of(study, campaigns)

    rows_of = patterns.rows_of
    monkeypatch.setattr(patterns, "rows_of", noted)
    patterns_of(loaded, estimates, results)
    contrasts = estimates.contrasts["comparison"]
    assert asked
    assert all(contrasts[campaign].is_known for campaign in asked)
    closed = results.campaigns["window_complete"].to_numpy()
    assert all(closed[campaign] for campaign in asked)


def test_outcome_tells_of_every_planted_pattern(found):
    told = outcome(found)
    for name in (*PLANTED, TOGETHER):
        assert isinstance(told[f"{name}: found"], bool)
    shown = table(pd.DataFrame([told, told])).set_index("pattern")
    assert set(PLANTED) < set(shown.index)
    assert shown.loc["drops over features", "seeds"] == 2


def test_patterns_of_finds_the_plan_where_there_are_sends_enough():
    # seven sends in 60 days differ too much among themselves to tell; a season of them does not
    world = World(n_users=3_000, n_days=170, n_campaigns=24, layers=(2,), activity=3.0, seed=5)
    told = outcome(found_in(world))
    assert told["on plan over off plan: found"]
    assert told["on plan over off plan: difference"] > 0.1


def test_patterns_of_finds_the_best_hours_since_the_trigger():
    world = World(n_users=6_000, n_days=24, n_campaigns=40, layers=(3,), activity=3.0, seed=6)
    told = outcome(found_in(world))
    assert told["two to six hours: found"]
    assert told["two to six hours: difference"] > 0.05
