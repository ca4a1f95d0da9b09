"""The same automation over time: a planted slope found, and none where there is none."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from core.insight.trends import FEWEST_SENDS, trends
from core.measure.influence import log_ratio_influence
from core.measure.multiplicity import bh_qvalues
from core.measure.regression import combined, meta_regression
from tests.insight.rows import START, campaign, campaigns, lift, lifts
from tests.measure.test_layers import contrast_of, member_of

N, SIZE = 300, 0.3


def noisy(contrast, luck):
    """Return a contrast whose ratio is off by what its people's luck makes of it."""
    own = contrast.psi_post / contrast.post - contrast.psi_expected / contrast.expected
    off = np.exp(luck[contrast.persons] @ own)
    psi = (contrast.psi_post * off).astype(np.float32)
    return dataclasses.replace(contrast, post=contrast.post * off, psi_post=psi)


def sends_of(slope, *, automation="hot", n=8, first=0, seed=1, day=7):
    """Return members and campaigns of an automation whose effect changes by `slope` a week.

    Estimates are off by the luck of each person, the same in every send that they are in, so
    that their errors have the covariance that influence values say.
    """
    rng = np.random.default_rng(seed)
    luck = rng.standard_normal(N)
    found, rows = [], []
    for place in range(n):
        persons = np.sort(rng.choice(N, 150, replace=False))
        post = float(np.exp(0.2 + slope * (place - (n - 1) / 2) * day / 7))
        contrast = noisy(contrast_of(rng, persons, post=post, size=SIZE), luck)
        found.append(member_of(first + place, contrast))
        rows.append(
            campaign(
                campaign_id=f"{automation}{place}", automation_id=automation,
                first_delivered_at=START + pd.Timedelta(days=day * place),
            )
        )  # fmt: skip
    return found, rows


def found_of(*parts, **options):
    members = [one for found, _ in parts for one in found]
    rows = [row for _, own in parts for row in own]
    heads = [
        lift(campaign_id=row["campaign_id"], metric=metric)
        for row in rows
        for metric in ("first", "second")
    ]
    return trends(
        members, lifts(*heads), campaigns(*rows), n_persons=N, confidence_level=0.95, **options
    )


def first_of(table, automation="hot"):
    return table[(table["automation_id"] == automation) & (table["metric"] == "first")].iloc[0]


def test_trends_find_a_planted_slope():
    row = first_of(found_of(sends_of(0.1)))
    planted = np.exp(0.2) * np.expm1(0.1)
    assert row["slope_per_week_ci_low"] < planted < row["slope_per_week_ci_high"]
    assert row["slope_per_week_ci_low"] > 0
    assert row["pvalue"] < 0.01
    assert (row["n_campaigns"], row["status"]) == (8, "ok")


def test_trends_are_the_regression_on_weeks():
    sends = sends_of(0.05, day=3)
    row = first_of(found_of(sends))
    logs, psi = log_ratio_influence([one.contrast for one in sends[0]], 0, n_persons=N)
    weeks = np.arange(8) * 3 / 7
    design = np.column_stack([np.ones(8), weeks - weeks.mean()])
    fit = meta_regression(logs, psi.astype(float).T @ psi.astype(float), design)
    line = combined(fit, np.array([0.0, 1.0]), confidence_level=0.95)
    level = np.exp(fit.coefficients[0])
    assert row["slope_per_week"] == pytest.approx(level * np.expm1(line.estimate))
    assert row["slope_per_week_ci_low"] == pytest.approx(level * np.expm1(line.ci_low))
    assert row["pvalue"] == pytest.approx(line.pvalue)


def test_trends_correct_over_automations():
    parts = [sends_of(0.08), sends_of(0.0, automation="cold", first=8, seed=2)]
    table = found_of(*parts)
    for _, own in table.groupby("metric"):
        np.testing.assert_allclose(own["qvalue"], bh_qvalues(own["pvalue"].to_numpy()))


def test_trends_of_too_few_sends_say_so():
    row = first_of(found_of(sends_of(0.1, n=FEWEST_SENDS - 1)))
    assert row["status"] == "too_few_campaigns"
    assert row[["slope_per_week", "pvalue", "qvalue"]].isna().all()


def test_trends_leave_out_what_was_sent_once_and_one_offs():
    once = sends_of(0.1, n=1)
    one_offs = sends_of(0.1, automation="x", first=1)
    no_automation = (one_offs[0], [{**row, "automation_id": None} for row in one_offs[1]])
    assert found_of(once, no_automation).empty


def test_trends_of_sends_at_one_instant_say_so():
    row = first_of(found_of(sends_of(0.1, day=0)))
    assert row["status"] == "too_few_campaigns"


def test_trends_leave_out_sends_that_carry_no_ratio():
    members, rows = sends_of(0.1)
    heads = [lift(campaign_id=row["campaign_id"], metric="first") for row in rows]
    heads[0]["shrunk_rel_effect_size"] = float("nan")
    table = trends(
        members, lifts(*heads), campaigns(*rows), n_persons=N, confidence_level=0.95
    )  # fmt: skip
    assert table["n_campaigns"].tolist() == [7]


def test_trends_leave_the_negative_control_out():
    assert set(found_of(sends_of(0.1), control="second")["metric"]) == {"first"}


def test_trends_cover_the_planted_slope_and_find_nothing_more_often_than_they_say():
    planted, n = 0.04, 60
    rows = [first_of(found_of(sends_of(planted, seed=seed))) for seed in range(n)]
    truth = np.exp(0.2) * np.expm1(planted)
    covered = [one["slope_per_week_ci_low"] < truth < one["slope_per_week_ci_high"] for one in rows]
    assert np.mean(covered) >= 0.9
    slopes = np.array([one["slope_per_week"] for one in rows])
    halves = np.array([one["slope_per_week_ci_high"] - one["slope_per_week"] for one in rows])
    # half an interval on six degrees of freedom is 2.45 standard errors
    assert slopes.std() == pytest.approx(np.median(halves) / 2.45, rel=0.4)
    none = [first_of(found_of(sends_of(0.0, seed=seed)))["pvalue"] <= 0.05 for seed in range(n)]
    assert sum(none) <= 7
