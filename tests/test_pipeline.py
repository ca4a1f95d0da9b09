"""The computing half of a run on a small world with every trouble in it."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from core.measure.estimates import ORDER
from core.measure.panel import Rules
from core.pipeline import estimates_of, measure
from tests.test_loading import loaded_from, world_with_triggers
from tests.worlds import METRICS

RULES = Rules(min_recipients=5)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    return loaded_from(world_with_triggers().write(tmp_path_factory.mktemp("pipeline")))


@pytest.fixture(scope="module")
def estimates(loaded):
    return estimates_of(loaded, RULES.lengths, RULES.outliers)


@pytest.fixture(scope="module")
def results(loaded, estimates):
    return measure(loaded, RULES, estimates=estimates)


def sorted_lifts(results):
    return results.lifts.sort_values(["campaign_id", "metric", "method"], ignore_index=True)


def test_measure_has_every_method_of_every_campaign_and_metric(loaded, results):
    lifts = results.lifts
    assert len(lifts) == len(loaded.campaigns) * len(METRICS) * len(ORDER)
    assert set(lifts["method"]) == set(ORDER)
    assert lifts.groupby(["campaign_id", "metric"])["headline"].sum().tolist() == [1] * (
        len(loaded.campaigns) * len(METRICS)
    )


def test_measure_says_why_wherever_a_number_is_missing(results):
    missing = results.lifts[results.lifts["effect_size"].isna()]
    assert len(missing)
    assert not missing["status"].isin(["ok"]).any()
    ok = results.lifts[results.lifts["status"] == "ok"]
    assert ok[["effect_size", "pvalue", "rel_effect_size", "standard_error"]].notna().all(axis=None)


def test_measure_of_triggered_campaigns_never_leads_with_a_description(results):
    heads = results.lifts[results.lifts["headline"] & (results.lifts["layer"] == "3")]
    assert len(heads)
    assert not heads["method"].isin(["classic", "window"]).any()


def test_measure_without_estimates_at_hand_computes_the_same(loaded, results):
    again = measure(loaded, RULES)
    pd.testing.assert_frame_equal(again.lifts, results.lifts)
    pd.testing.assert_frame_equal(again.layers, results.layers)
    pd.testing.assert_frame_equal(again.checks, results.checks)


def test_measure_of_some_campaigns_gives_their_same_numbers_in_smaller_families(
    loaded, results, estimates
):
    wanted = pd.Index(loaded.campaigns["campaign_id"].iloc[[5, 2, 0]])
    some = measure(loaded, RULES, campaign_ids=wanted, estimates=estimates)
    assert set(some.campaigns["campaign_id"]) == set(wanted)
    own = results.lifts[results.lifts["campaign_id"].isin(wanted)].reset_index(drop=True)
    columns = [
        "campaign_id", "metric", "method", "headline", "status", "effect_size", "pvalue",
        "standard_error", "n_users", "rel_effect_size", "evidence",
    ]  # fmt: skip
    pd.testing.assert_frame_equal(some.lifts[columns], own[columns])
    both = pd.concat([some.lifts["qvalue"], own["qvalue"]], axis=1, keys=["some", "all"]).dropna()
    assert (both["some"] != both["all"]).any()


def test_measure_does_not_depend_on_the_order_of_rows(loaded, results):
    turned = dataclasses.replace(
        loaded, campaigns=loaded.campaigns.iloc[::-1].reset_index(drop=True),
        pushes=pd.concat(
            [part for _, part in reversed(list(loaded.pushes.groupby("campaign_id", sort=False)))],
            ignore_index=True,
        ),
    )  # fmt: skip
    order = loaded.campaigns["campaign_id"].tolist()[::-1]
    places = pd.Categorical(turned.pushes["campaign_id"], categories=order, ordered=True)
    assert (np.diff(places.codes) >= 0).all()
    one, other = sorted_lifts(results), sorted_lifts(measure(turned, RULES))
    exact = ["campaign_id", "metric", "method", "headline", "status", "n_users", "n_comparison"]
    pd.testing.assert_frame_equal(one[exact], other[exact])
    close = ["effect_size", "pvalue", "standard_error", "rel_effect_size_ci_high", "qvalue"]
    pd.testing.assert_frame_equal(one[close], other[close], rtol=1e-3)


def test_measure_of_capped_windows_never_finds_more_events(loaded, results):
    capped = measure(loaded, dataclasses.replace(RULES, outliers="winsorize"))
    merged = results.lifts.merge(
        capped.lifts, on=["campaign_id", "metric", "method"], suffixes=("", "_capped")
    )
    both = merged[
        merged["method"].eq("comparison")
        & merged["post_rate"].notna()
        & merged["post_rate_capped"].notna()
    ]
    assert len(both)
    assert (both["post_rate_capped"] <= both["post_rate"] + 1e-9).all()
