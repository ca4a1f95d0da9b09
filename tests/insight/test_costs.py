"""What straying from the plan cost."""

import numpy as np
import pytest

from core.insight.cadence import MISSED, MOVED, ON_PLAN, OPEN
from core.insight.costs import basis_of, cost_of
from core.insight.groups import Sample


def basis(values, kinds, *, expected=None):
    n = len(values)
    one = Sample(
        values=np.array(values, dtype=float), covariance=0.01**2 * np.eye(n),
        campaigns=np.arange(n) + 10, n_pushes=np.full(n, 100),
        expected=np.full(n, 200.0) if expected is None else np.array(expected),
    )  # fmt: skip
    return basis_of(one, np.array(kinds, dtype=np.int64), confidence_level=0.95)


def cost(state, basis, campaign):
    return cost_of(state, basis, campaign, say=repr)


EVEN = basis(np.log([1.3, 1.3, 1.1, 1.1]), [0, 0, 1, 1], expected=[100.0, 100.0, 100.0, 300.0])


def test_cost_of_a_missed_send_is_what_a_typical_one_on_plan_adds():
    found = cost(MISSED, EVEN, None)
    assert found.events == pytest.approx(0.3 * 150)
    assert found.low < found.events < found.high
    assert "2 measured sends on plan" in found.why


def test_cost_of_a_moved_send_is_the_difference_on_its_own_audience():
    found = cost(MOVED, EVEN, 13)
    assert found.events == pytest.approx(0.2 * 300)
    assert 0 < found.low < found.events < found.high
    assert cost(MOVED, EVEN, 99).events == pytest.approx(0.2 * 150)


def test_cost_of_a_send_on_plan_is_nothing():
    assert cost(ON_PLAN, EVEN, 10).events == 0


def test_cost_of_an_open_send_is_not_known():
    assert np.isnan(cost(OPEN, EVEN, None).events)


def test_cost_without_two_sends_on_plan_rests_on_all_or_nothing():
    few = basis(np.log([1.3, 1.1, 1.1]), [0, 1, 1])
    assert np.isnan(cost(MOVED, few, 11).events)
    assert "no basis" in cost(MOVED, few, 11).why
    missed = cost(MISSED, few, None)
    assert 0.1 * 200 < missed.events < 0.3 * 200
    assert "3 measured sends" in missed.why


@pytest.mark.parametrize("values", [[], [0.2]])
def test_cost_with_less_than_two_sends_says_there_is_no_basis(values):
    none = basis(values, [0] * len(values))
    for state in (MISSED, MOVED):
        found = cost(state, none, None)
        assert np.isnan(found.events)
        assert "no basis" in found.why


def test_cost_says_the_effect_it_rests_on_with_its_interval():
    grounds = []
    missed, moved = (
        cost_of(state, EVEN, campaign, say=lambda one: grounds.append(one) or "said")
        for state, campaign in ((MISSED, None), (MOVED, 13))
    )
    assert (missed.why, moved.why) == ("said", "said")
    of_missed, of_moved = grounds
    assert (of_missed.effect, of_missed.events) == (pytest.approx(0.3), pytest.approx(150))
    assert (of_moved.effect, of_moved.events) == (pytest.approx(0.2), pytest.approx(300))
    assert missed.low == pytest.approx(of_missed.low * 150)
    assert moved.high == pytest.approx(of_moved.high * 300)
    assert of_moved.sends == "2 sends on plan against 2 off it"
