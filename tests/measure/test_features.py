"""Covariates and strata of the comparison, by hand."""

import numpy as np
import pytest

from core.activity.timelines import MS_PER_DAY, MS_PER_HOUR
from core.measure.features import LEAST_OTHERS, features, strata
from core.measure.state import EDGES_HOURS, states
from core.measure.windows import NEVER
from tests.measure.studies import moments_of, steady, study_of


@pytest.fixture
def told():
    rng = np.random.default_rng(1)
    signed_up = [NEVER, -14 * MS_PER_DAY, NEVER, NEVER]
    study = study_of(
        steady(rng, 4), ([0, 1, 2], [0, 0, 0], [-5 * MS_PER_DAY, -MS_PER_DAY, MS_PER_DAY]),
        n_seen=4, layers=["1", "3", "1"], signed_up=signed_up,
    )  # fmt: skip
    moments = moments_of(range(4), [0] * 4)
    state = states(
        study.panel.index, moments, study.panel.lengths, n_events=2,
        as_of=study.panel.sends.as_of, first_seen=study.signed_up,
    )  # fmt: skip
    return study, moments, features(study, moments, state)


def test_features_count_back_from_the_moment(told):
    study, moments, found = told
    index, at = study.panel.index, moments.instants
    for place, hours in enumerate(EDGES_HOURS[1:]):
        start = at - hours * MS_PER_HOUR
        counts = [index.count_between(e, moments.persons, start, at) for e in (0, 1)]
        assert found.own[:, :, place].tolist() == np.stack(counts, axis=1).tolist()
        assert found.everything[:, place].tolist() == np.sum(counts, axis=0).tolist()


def test_features_exposure_tells_of_other_pushes(told):
    exposure = told[2].exposure
    assert exposure[0].tolist() == pytest.approx([0.1, 0.1, 0.0, 0.5, 0.5])
    assert (exposure[1:] == 0).all()


def test_features_tenure_is_the_share_of_the_history_a_person_was_there(told):
    assert told[2].tenure.tolist() == [1, 0.5, 1, 1]


def test_features_columns_of_a_metric_and_the_few_strongest(told):
    found, rows = told[2], np.arange(4)
    wide, few = found.columns(1, rows), found.few(1, rows)
    assert len(wide) == len(few) == 4
    month = found.own[:, 1, -1]
    assert few[:, 1] == pytest.approx(month / found.tenure)
    assert few[:, 0] == pytest.approx(np.sqrt(month / found.tenure))
    assert few[:, 3] == pytest.approx(np.sqrt(found.own[:, 1, EDGES_HOURS.index(24) - 1]))
    assert any(wide[:, j] == pytest.approx(month) for j in range(wide.shape[1]))
    assert (found.columns(1, rows[[2, 0]]) == wide[[2, 0]]).all()


def strata_of(everything, is_pushed, hours=0):
    n = len(is_pushed)
    at = np.broadcast_to(np.asarray(hours), n) * MS_PER_HOUR
    return strata(
        np.asarray(everything, dtype=float), moments_of(range(n), at),
        is_pushed=np.asarray(is_pushed), offset_ms=0,
    )  # fmt: skip


def test_strata_are_dummies_of_which_each_has_others_and_each_moment_one():
    rng = np.random.default_rng(2)
    everything = np.cumsum(rng.poisson(1.0, (300, 6)), axis=1)
    is_pushed = rng.random(300) < 0.4
    dummies, has_support = strata_of(everything, is_pushed, rng.integers(0, 24, 300))
    assert (dummies.sum(axis=1) == 1).all()
    others = dummies[~is_pushed].sum(axis=0)
    assert (others[dummies[has_support].argmax(axis=1)] >= LEAST_OTHERS).all()
    assert (others[dummies[~has_support].argmax(axis=1)] < LEAST_OTHERS).all()
    assert dummies.shape[1] > 5


def test_strata_keep_apart_who_was_just_active():
    everything = np.repeat([[0, 0, 0, 5, 5, 5], [2, 2, 2, 5, 5, 5]], 10, axis=0)
    dummies, has_support = strata_of(everything, np.tile([True, False], 10))
    assert has_support.all()
    assert dummies.shape == (20, 2)


def test_strata_with_too_few_others_are_merged():
    """One other user each, apart by the last 2 hours, together by the last 6."""
    everything = np.repeat([[2, 2, 2, 9, 9, 9], [0, 2, 2, 9, 9, 9]], 2, axis=0)
    dummies, has_support = strata_of(everything, [True, False, True, False])
    assert has_support.all()
    assert dummies.shape == (4, 1)


def test_strata_without_any_like_others_have_no_support():
    everything = np.repeat([[2, 2, 2, 9, 9, 9], [0, 0, 0, 9, 9, 9]], 5, axis=0)
    _, has_support = strata_of(everything, [True] * 5 + [False] * 5)
    assert has_support.tolist() == [False] * 5 + [True] * 5
