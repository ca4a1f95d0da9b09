"""Kinds of sends compared."""

import numpy as np
import pytest

from core.insight.groups import NO_SPREAD, TOO_FEW, Sample, compare, slope
from core.insight.labels import NO_LABEL
from core.measure.regression import combined, meta_regression

NAMES = ("a", "b", "c")
NOWHERE = (np.nan,) * 3


def sample(values, *, noise=0.05, campaigns=None, n_pushes=None):
    values = np.asarray(values, dtype=float)
    n = len(values)
    return Sample(
        values=values,
        covariance=noise**2 * np.eye(n),
        campaigns=np.arange(n) if campaigns is None else np.asarray(campaigns),
        n_pushes=np.full(n, 100) if n_pushes is None else np.asarray(n_pushes),
        expected=np.full(n, 50.0),
    )


def compared(one, codes, **options):
    return compare(
        one, np.asarray(codes), names=NAMES, positions=NOWHERE, confidence_level=0.95, **options
    )


def test_compare_of_two_kinds_is_one_regression():
    one = sample([0.3, 0.25, 0.35, 0.1, 0.12])
    found = compared(one, [0, 0, 0, 1, 1])
    design = np.column_stack([[1, 1, 1, 0, 0], [0, 0, 0, 1, 1]]).astype(float)
    fit = meta_regression(one.values, one.covariance, design)
    said = combined(fit, np.array([1.0, -1.0]), confidence_level=0.95)
    (difference,) = found.differences
    assert (difference.group, difference.other) == ("a", "b")
    assert difference.test == said
    assert (difference.n_campaigns, difference.n_other) == (3, 2)
    low, high = (group.effect.estimate for group in found.groups[::-1])
    assert difference.as_relative(said.estimate) == pytest.approx(np.exp(high) - np.exp(low))


def test_compare_of_three_kinds_sets_each_against_all_others():
    one = sample([0.3, 0.3, 0.1, 0.1, 0.2, 0.2, 0.2, 0.2])
    found = compared(one, [0, 0, 1, 1, 2, 2, 2, 2])
    assert [(d.group, d.other) for d in found.differences] == [
        ("a", "all others"), ("b", "all others"), ("c", "all others"),
    ]  # fmt: skip
    # the others' mean by campaigns: two of .1 and four of .2
    assert found.differences[0].test.estimate == pytest.approx(0.3 - 1 / 6)
    assert found.differences[0].n_other == 6


def test_compare_of_ordered_kinds_adds_those_after_each():
    one = sample([0.1, 0.1, 0.3, 0.3, 0.2, 0.2])
    found = compared(one, [0, 0, 1, 1, 2, 2], is_ordered=True)
    assert [(d.group, d.other) for d in found.differences][3:] == [("b", "later")]
    assert found.differences[3].test.estimate == pytest.approx(0.1)


def test_compare_with_a_single_campaign_of_a_kind_says_so():
    found = compared(sample([0.3, 0.1, 0.1]), [0, 1, 1])
    assert [d.status for d in found.differences] == [TOO_FEW]
    assert found.differences[0].test is None
    assert [group.effect is None for group in found.groups] == [True, False]


def test_compare_of_one_kind_alone_has_nothing_to_compare_with():
    found = compared(sample([0.3, 0.1, 0.1]), [1, 1, NO_LABEL])
    assert [(d.group, d.status, d.n_other) for d in found.differences] == [("b", TOO_FEW, 0)]


def test_compare_of_nothing_is_nothing():
    found = compared(sample([]), np.empty(0, dtype=int))
    assert found.groups == found.differences == ()


def test_compare_within_campaigns_takes_out_what_campaigns_differ_in():
    levels = np.repeat([0.0, 2.0, -1.0, 0.7], 2)
    one = sample(levels + np.tile([0.2, 0.0], 4), campaigns=np.repeat(np.arange(4), 2))
    found = compared(one, np.tile([0, 1], 4), is_within=True)
    (difference,) = found.differences
    assert difference.test.estimate == pytest.approx(0.2)
    assert difference.test.pvalue < 0.02
    assert compared(one, np.tile([0, 1], 4)).differences[0].test.pvalue > 0.5


def test_compare_within_leaves_out_campaigns_of_one_kind():
    one = sample([0.2, 0.0, 0.2, 0.0, 9.0], campaigns=[0, 0, 1, 1, 2])
    found = compared(one, [0, 1, 0, 1, 0], is_within=True)
    assert found.differences[0].n_campaigns == 2
    assert found.differences[0].test.estimate == pytest.approx(0.2)


def test_compare_within_weighs_others_by_pushes():
    one = sample(
        np.tile([0.3, 0.0, 0.1], 3), campaigns=np.repeat(np.arange(3), 3),
        n_pushes=np.tile([10, 300, 100], 3),
    )  # fmt: skip
    found = compared(one, np.tile([0, 1, 2], 3), is_within=True)
    assert found.differences[0].test.estimate == pytest.approx(0.3 - 0.025)


def test_slope_is_the_regressions():
    x = np.array([0.0, 1.0, 2.0, 3.0, 4.0])
    found = slope(
        sample(0.1 + 0.05 * x), x, names=("size", "per step"), least_spread=0.5,
        confidence_level=0.95,
    )  # fmt: skip
    assert found.test.estimate == pytest.approx(0.05)
    assert found.base == pytest.approx(0.2)
    assert found.as_relative(0.05) == pytest.approx(np.exp(0.25) - np.exp(0.2))
    assert (found.group, found.other, found.status) == ("size", "per step", "ok")


def test_slope_within_campaigns_takes_out_their_levels():
    x = np.tile([0.0, 1.0, 2.0], 4)
    campaigns = np.repeat(np.arange(4), 3)
    one = sample(np.repeat([0.0, 1.0, -2.0, 0.5], 3) - 0.1 * x, campaigns=campaigns)
    found = slope(
        one, x, names=("pushes", "per push"), least_spread=0.5, confidence_level=0.95,
        is_within=True,
    )  # fmt: skip
    assert found.test.estimate == pytest.approx(-0.1)


@pytest.mark.parametrize(
    ("values", "x", "status"),
    [([0.1, 0.2], [0.0, 1.0], TOO_FEW), ([0.1, 0.2, 0.3, 0.1], [1.0, 1.0, 1.01, 1.0], NO_SPREAD)],
)
def test_slope_without_enough_says_why(values, x, status):
    found = slope(
        sample(values), np.array(x), names=("size", "step"), least_spread=0.25,
        confidence_level=0.95,
    )  # fmt: skip
    assert found.status == status
    assert found.test is None


def test_compare_cries_wolf_at_most_as_often_as_it_says():
    rng = np.random.default_rng(5)
    codes = np.repeat([0, 1], [5, 7])
    pvalues = [
        compared(sample(rng.normal(0.2, np.hypot(0.05, 0.1), 12)), codes).differences[0].test.pvalue
        for _ in range(800)
    ]
    share = np.mean(np.array(pvalues) < 0.05)
    assert 0.02 < share < 0.05 + 2 * np.sqrt(0.05 * 0.95 / 800)
