"""A period against the one before: the difference by hand, shared people counted."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from core.insight.history import history
from core.measure.estimates import Estimates
from core.measure.layers import HEADLINE, pooled_members
from core.measure.panel import Rules
from core.measure.placebo import collected
from tests.measure.studies import study_of
from tests.measure.test_layers import contrast_of, member_of

N = 200
RULES = Rules(confidence_level=0.9)


@pytest.fixture(scope="module")
def estimates():
    study = study_of(([0], [0], [0]), ([0, 1, 2], [0, 1, 2], [0, 0, 0]), n_seen=N)
    return Estimates(study=study, contrasts={}, placebos=collected([], 2), se_scales={})


@pytest.fixture
def sends():
    rng = np.random.default_rng(1)
    return [
        member_of(0, contrast_of(rng, np.arange(0, 120)), n_users=50),
        member_of(1, contrast_of(rng, np.arange(60, 180), post=1.1), n_users=30),
        member_of(2, contrast_of(rng, np.arange(20, 200), post=1.6), n_users=20),
        member_of(3, contrast_of(rng, np.arange(0, 200), post=1.2), layer="2", n_users=60),
    ]


def row_of(found, layer, metric="first"):
    return found[(found["layer"] == layer) & (found["metric"] == metric)].iloc[0]


def test_history_is_the_difference_of_pooled_effects_with_shared_people_counted(estimates, sends):
    found = row_of(history(sends[:2], sends[2:3], estimates, RULES), "1")
    psi, ratios = np.zeros(N), []
    for sign, own in ((1, sends[:2]), (-1, sends[2:3])):
        weights = np.array([one.n_users for one in own]) / sum(one.n_users for one in own)
        post = sum(w * one.contrast.post[0] for w, one in zip(weights, own, strict=True))
        expected = sum(w * one.contrast.expected[0] for w, one in zip(weights, own, strict=True))
        ratios.append(post / expected)
        for weight, one in zip(weights, own, strict=True):
            moved = one.contrast.psi_post[:, 0] - post / expected * one.contrast.psi_expected[:, 0]
            psi[one.contrast.persons] += sign * weight * moved / expected
    difference, error = ratios[0] - ratios[1], np.sqrt((psi**2).sum())
    df = int((psi != 0).sum()) - 1
    half = stats.t.ppf(0.95, df) * error
    assert (found["now"], found["before"]) == pytest.approx((ratios[0] - 1, ratios[1] - 1))
    assert found["difference"] == pytest.approx(difference)
    assert found["difference_ci_low"] == pytest.approx(difference - half, rel=1e-4)
    assert found["difference_ci_high"] == pytest.approx(difference + half, rel=1e-4)
    assert found["pvalue"] == pytest.approx(2 * stats.t.sf(abs(difference) / error, df), rel=1e-4)
    assert (found["n_now"], found["n_before"], found["status"]) == (2, 1, "ok")


def test_history_shows_the_pooled_effects_that_layers_show(estimates, sends):
    found = row_of(history(sends, sends[:1], estimates, RULES), "all", "second")
    pooled = pooled_members(sends, estimates, RULES, method=HEADLINE)
    assert found["now"] == pooled["rel_effect_size"].iloc[1]


def test_history_of_the_same_campaigns_twice_is_no_difference_at_all(estimates, sends):
    found = row_of(history(sends[:1], sends[:1], estimates, RULES), "1")
    assert found["difference"] == 0
    assert pd.isna(found["pvalue"])


def test_history_without_the_period_before_says_so(estimates, sends):
    found = history(sends, None, estimates, RULES)
    assert set(found["status"]) == {"not_loaded"}
    assert found["now"].notna().all()
    assert found[["before", "difference", "difference_ci_low", "pvalue"]].isna().all(axis=None)


def test_history_of_a_layer_without_sends_before_says_so(estimates, sends):
    found = history(sends, sends[:3], estimates, RULES)
    assert row_of(found, "2")["status"] == "no_campaigns"
    assert pd.isna(row_of(found, "2")["difference"])
    assert (row_of(found, "1")["status"], row_of(found, "all")["status"]) == ("ok", "ok")


def test_history_of_an_expected_rate_near_zero_has_no_difference(estimates, sends):
    vague = sends[0].contrast.psi_expected * np.float32(40)
    unsure = dataclasses.replace(
        sends[0], contrast=dataclasses.replace(sends[0].contrast, psi_expected=vague)
    )
    found = row_of(history([unsure], sends[1:2], estimates, RULES), "1")
    assert found["status"] == "baseline_near_zero"
    assert pd.isna(found["difference"])


def test_history_leaves_the_negative_control_out(estimates, sends):
    found = history(sends, sends, estimates, RULES, control="second")
    assert set(found["metric"]) == {"first"}


def test_history_of_nothing_keeps_the_row_of_all_layers(estimates):
    found = history([], [], estimates, RULES)
    assert found["layer"].tolist() == ["all", "all"]
    assert set(found["status"]) == {"no_campaigns"}
