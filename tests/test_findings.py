"""Insight on a small demo marketplace: every table, at one with the verdicts and the lifts."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from core import findings
from core.activity.source import silent
from core.connect import wire
from core.demo import World, write_demo
from core.findings import campaigns_before, insight, members_of
from core.insight import frames
from core.loading import load
from core.measure.layers import HEADLINE
from core.measure.panel import Rules
from core.measure.pooling import can_pool
from core.patterns import Found
from core.pipeline import estimates_of, measure
from core.publish import words
from core.publish.standing_out import standing_out
from core.sections import Value
from core.settings import read_settings
from core.span import span_of

RULES = Rules()
WORLD = World(n_users=1500, n_days=28, seed=3)
NOTHING = Found(
    patterns=frames.PATTERNS.empty(), groups=frames.PATTERN_GROUPS.empty(),
    correlations=frames.CORRELATIONS.empty(), cadence=frames.CADENCE.empty(),
)  # fmt: skip


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    root = tmp_path_factory.mktemp("findings")
    made = write_demo(root / "demo", WORLD)
    file = root / "settings.toml"
    file.write_text(
        f'[database]\nurl = "{made.database_url}"\n'
        f'[events]\npath = "{made.events}"\npersons = "{made.persons}"\n'
        f'[automations]\ndir = "{made.automations}"\n[cache]\ndir = "{root}/cache"\n'
        f'[analysis]\ntimezone = "{made.timezone}"\n'
        '[value]\ncurrency = "EUR"\n[value.per_event]\nconfirmed_trades = 12.5\n'
    )
    wiring = wire(read_settings(file), silent, clock=lambda: made.as_of)
    span = span_of(
        since=WORLD.start, until=None, as_of=made.as_of, timezone=made.timezone
    )  # fmt: skip
    return load(wiring, span, RULES.lengths)


@pytest.fixture(scope="module")
def estimates(loaded):
    return estimates_of(loaded, RULES.lengths, RULES.outliers)


@pytest.fixture(scope="module")
def results(loaded, estimates):
    return measure(loaded, RULES, estimates=estimates)


@pytest.fixture(scope="module")
def found(loaded, estimates, results):
    return insight(loaded, estimates, results, patterns=NOTHING)


def of(results, ids):
    return results["campaign_id"].isin(ids)


def test_insight_decides_about_every_campaign_and_metric(results, found):
    n = len(results.campaigns) * results.lifts["metric"].nunique()
    assert len(found.decisions) == n
    assert found.decisions["why"].str.len().min() > 20


def test_insight_decides_as_the_verdicts_say(results, found):
    sends = results.campaigns.set_index("campaign_id")
    decided = found.decisions.set_index(["campaign_id", "metric"])
    seen = set()
    for _, row in results.lifts[results.lifts["headline"]].iterrows():
        word = words.verdict(row, sends.loc[row["campaign_id"]]).word
        one = decided.loc[(row["campaign_id"], row["metric"])]
        assert (word in {"works", "likely works"}) == (one["decision"] == "repeat")
        assert (word in {"hurts", "likely hurts"}) == (one["reason"] == "clear_harm")
        assert (word == "too early") == (one["decision"] == "wait")
        seen.add(word)
    assert {"works", "no clear effect", "too early"} <= seen


def test_insight_gives_the_same_why_for_a_number_as_its_verdict(results, found):
    heads = results.lifts[results.lifts["headline"]].set_index(["campaign_id", "metric"])
    unclear = found.decisions[found.decisions["reason"] == "unclear"]
    for _, row in unclear.head(20).iterrows():
        lift = heads.loc[(row["campaign_id"], row["metric"])]
        assert words.effect(lift) in row["why"]


def test_insight_ranks_with_the_numbers_of_the_lifts(results, found):
    heads = results.lifts[results.lifts["headline"]].set_index(["campaign_id", "metric"])
    keys = list(zip(found.rankings["campaign_id"], found.rankings["metric"], strict=True))
    for column in ("shrunk_rel_effect_size", "incremental_events", "incremental_events_ci_low"):
        np.testing.assert_array_equal(
            found.rankings[column].to_numpy(), heads.loc[keys, column].to_numpy()
        )
    assert found.rankings.groupby(["layer", "metric"])["place"].max().le(10).all()


def test_insight_values_the_metric_that_has_a_value(found):
    rows = found.rankings.set_index("metric")
    valued = rows.loc["confirmed_trades"]
    np.testing.assert_allclose(valued["value"], 12.5 * valued["incremental_events"])
    assert rows.drop(index="confirmed_trades")["value"].isna().all()
    assert found.currency == "EUR"


def test_members_of_results_are_those_pooled(loaded, estimates, results):
    pooled = members_of(loaded, estimates, results)
    row = results.layers[
        (results.layers["layer"] == "all") & (results.layers["method"] == HEADLINE)
    ].iloc[0]
    assert len(pooled) == row["n_campaigns"] <= can_pool(results.campaigns).sum()
    assert sum(one.n_users for one in pooled) == row["n_pushes"]


def test_insight_compares_the_later_half_with_the_earlier(loaded, found):
    assert found.period.until == loaded.span.until
    assert found.before.since == loaded.span.since
    assert found.before.until == found.period.since
    both = found.history[found.history["layer"] == "all"]
    assert (both["status"] == "ok").any()


def test_insight_of_a_period_compares_with_the_one_before(loaded, estimates, results, found):
    ids = campaigns_before(loaded, found.period)
    first = loaded.campaigns["first_delivered_at"]
    is_before = (first >= found.before.since) & (first < found.before.until)
    assert ids.tolist() == loaded.campaigns.loc[is_before, "campaign_id"].tolist()
    later = pd.Index(loaded.campaigns["campaign_id"]).difference(ids)
    now, before = (
        measure(loaded, RULES, campaign_ids=some, estimates=estimates) for some in (later, ids)
    )
    again = insight(
        loaded, estimates, now, patterns=NOTHING, previous=before, period=found.period
    )  # fmt: skip
    columns = ["layer", "metric", "now", "before", "difference", "pvalue", "n_now", "n_before"]
    pd.testing.assert_frame_equal(again.history[columns], found.history[columns])
    pooled = now.layers[now.layers["method"] == HEADLINE].set_index(["layer", "metric"])
    shown = again.history.set_index(["layer", "metric"])
    np.testing.assert_array_equal(
        shown["now"].to_numpy(), pooled.loc[shown.index, "rel_effect_size"].to_numpy()
    )


def test_insight_of_a_period_without_one_before_says_so(loaded, estimates, results):
    assert campaigns_before(loaded, loaded.span) is None
    whole = insight(loaded, estimates, results, patterns=NOTHING, period=loaded.span)
    assert set(whole.history["status"]) == {"not_loaded"}
    assert whole.before is None


def test_insight_of_some_campaigns_is_about_them_alone(loaded, estimates, results):
    ids = results.campaigns["campaign_id"][results.campaigns["layer"] == "3"]
    some = measure(loaded, RULES, campaign_ids=pd.Index(ids), estimates=estimates)
    own = insight(loaded, estimates, some, patterns=NOTHING, period=loaded.span)
    for table in (own.decisions, own.rankings):
        assert of(table, ids).all()
    assert set(own.rankings["layer"]) == {"3", "all"}
    assert set(own.trends["automation_id"]) <= set(some.campaigns["automation_id"].dropna())


def test_insight_of_no_campaign_is_empty(loaded, estimates):
    none = measure(loaded, RULES, campaign_ids=pd.Index([], dtype="str"), estimates=estimates)
    own = insight(loaded, estimates, none, patterns=NOTHING, period=loaded.span)
    for table in (own.decisions, own.rankings, own.what_if, own.trends):
        assert table.empty
    assert standing_out(own) == []


def test_insight_leaves_the_negative_control_out(loaded, estimates, results):
    settings = loaded.wiring.settings
    analysis = settings.analysis.model_copy(update={"negative_control": "wishlist_adds"})
    wiring = dataclasses.replace(
        loaded.wiring, settings=settings.model_copy(update={"analysis": analysis})
    )
    own = insight(
        dataclasses.replace(loaded, wiring=wiring), estimates, results, patterns=NOTHING
    )  # fmt: skip
    for table in (own.decisions, own.rankings, own.history, own.trends):
        assert "wishlist_adds" not in set(table["metric"])


def test_insight_without_values_speaks_of_no_money(loaded, estimates, results):
    settings = loaded.wiring.settings.model_copy(update={"value": Value()})
    wiring = dataclasses.replace(loaded.wiring, settings=settings)
    own = insight(
        dataclasses.replace(loaded, wiring=wiring), estimates, results, patterns=NOTHING
    )  # fmt: skip
    assert own.rankings["value"].isna().all()
    assert own.what_if["value_per_week"].isna().all()


def test_insight_looks_for_patterns_where_none_are_given(loaded, estimates, results, monkeypatch):
    asked = []
    monkeypatch.setattr(findings, "patterns_of", lambda *args: asked.append(args) or NOTHING)
    own = insight(loaded, estimates, results)
    assert asked == [(loaded, estimates, results)]
    assert own.cadence is NOTHING.cadence


def test_insight_is_the_same_each_time(loaded, estimates, results, found):
    again = insight(loaded, estimates, results, patterns=NOTHING)
    for name in ("decisions", "rankings", "what_if", "history", "trends"):
        pd.testing.assert_frame_equal(getattr(again, name), getattr(found, name))


def test_standing_out_of_a_run_is_three_to_six_sentences(results, found):
    names = dict(zip(results.campaigns["campaign_id"], results.campaigns["name"], strict=True))
    points = standing_out(found, names=names, zone="America/New_York")
    assert 3 <= len(points) <= 6
    assert points[0].text.startswith(f"By confirmed trades, of {len(results.campaigns)} campaigns")
    linked = [point.campaign_id for point in points if point.campaign_id]
    assert set(linked) <= set(results.campaigns["campaign_id"])
