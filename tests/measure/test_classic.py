"""The classic comparison in the shape of the others, against scipy's paired test."""

import numpy as np
import pytest
from scipy import stats

from core.activity.timelines import MS_PER_DAY
from core.measure.classic import classic
from core.measure.panel import all_rates
from tests.measure.studies import inferred, steady, study_of
from tests.measure.worlds import T


@pytest.fixture
def study():
    rng = np.random.default_rng(1)
    at = np.concatenate([np.zeros(60), np.full(1, MS_PER_DAY)])
    return study_of(
        steady(rng, 61, start=-40), (np.repeat([0, 1], [60, 1]), np.arange(61), at), n_seen=61
    )


def test_classic_is_the_paired_t_test(study):
    panel = study.panel
    contrast = classic(panel, all_rates(panel, "keep"), 0)
    found = inferred(contrast)
    for metric in (0, 1):
        after = panel.counts.n_post[:60, metric] / 2
        before = panel.counts.n_baseline[:60, metric] / 30
        test = stats.ttest_rel(after, before)
        assert found.statistic[0, metric] == pytest.approx(test.statistic, rel=1e-5)
        assert found.pvalue[0, metric] == pytest.approx(test.pvalue, rel=1e-4)
        assert contrast.post[metric] == pytest.approx(after.mean())
        assert contrast.expected[metric] == pytest.approx(before.mean())
    assert contrast.df.tolist() == [59, 59]
    assert contrast.n_comparison == 0


def test_classic_influence_values_sum_to_nothing(study):
    contrast = classic(study.panel, all_rates(study.panel, "keep"), 0)
    assert contrast.psi_post.sum(axis=0) == pytest.approx([0, 0], abs=1e-5)
    assert contrast.psi_expected.sum(axis=0) == pytest.approx([0, 0], abs=1e-5)


def test_classic_of_one_user_has_no_number(study):
    contrast = classic(study.panel, all_rates(study.panel, "keep"), 1)
    assert contrast.status == "too_few_users"
    assert contrast.n_users == 1


def test_classic_leaves_out_whom_an_outlier_rule_drops():
    rng = np.random.default_rng(2)
    persons, at, kinds = steady(rng, 60, start=-40)
    more = np.full(400, 7)
    events = (
        np.concatenate([persons, more]), np.concatenate([at, rng.integers(0, MS_PER_DAY, 400)]),
        np.concatenate([kinds, np.zeros(400, dtype=int)]),
    )  # fmt: skip
    study = study_of(events, (np.zeros(60), np.arange(60), np.zeros(60)), n_seen=60)
    rates = all_rates(study.panel, "zscore")
    contrast = classic(study.panel, rates, 0)
    kept = rates[0].is_used
    assert not kept[7]
    assert contrast.post[0] == pytest.approx(rates[0].post[kept].mean())
    assert contrast.df[0] == kept.sum() - 1
    assert study.panel.sends.as_of > T
