"""Sums of influence values over shared people, by hand."""

import dataclasses

import numpy as np
import pytest

from core.measure.influence import log_ratio_influence, weighted_sum
from tests.measure.test_contrasts import contrast_of


@pytest.fixture
def pair():
    rng = np.random.default_rng(1)
    first = contrast_of(rng, 4)
    second = dataclasses.replace(contrast_of(rng, 3), persons=np.array([3, 0, 5]))
    return [first, second]


def test_weighted_sum_adds_a_persons_influence_on_every_campaign(pair):
    post, expected = weighted_sum(pair, np.array([0.25, 0.75]), n_persons=7, n_metrics=2)
    for found, name in ((post, "psi_post"), (expected, "psi_expected")):
        first, second = (getattr(one, name) for one in pair)
        assert found[0] == pytest.approx(0.25 * first[0] + 0.75 * second[1])
        assert found[3] == pytest.approx(0.25 * first[3] + 0.75 * second[0])
        assert found[1] == pytest.approx(0.25 * first[1])
        assert found[5] == pytest.approx(0.75 * second[2])
        assert (found[[4, 6]] == 0).all()


def test_weighted_sum_of_a_campaign_counted_twice_is_no_more_certain(pair):
    once = weighted_sum(pair[:1], np.ones(1), n_persons=7, n_metrics=2)
    twice = weighted_sum([pair[0]] * 2, np.full(2, 0.5), n_persons=7, n_metrics=2)
    assert twice[0] == pytest.approx(once[0])
    assert twice[1] == pytest.approx(once[1])


def test_log_ratio_influence_is_the_derivative_of_the_log_ratio(pair):
    logs, psi = log_ratio_influence(pair, 1, n_persons=7)
    assert logs == pytest.approx(np.full(2, np.log(2.0 / 1.5)))
    one, step = pair[1], 1e-5
    for place, person in enumerate(one.persons):
        moved = np.log(
            (2.0 + step * float(one.psi_post[place, 1]))
            / (1.5 + step * float(one.psi_expected[place, 1]))
        )
        assert (moved - logs[1]) / step == pytest.approx(psi[person, 1], rel=1e-3)
    assert (psi[[1, 2, 4, 6], 1] == 0).all()
