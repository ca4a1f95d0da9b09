"""Effects of many campaigns by one regression: what they recover, and how sure they are."""

import dataclasses

import numpy as np
import pytest

from core.activity.timelines import MS_PER_DAY, MS_PER_HOUR
from core.measure import proportional
from core.measure.comparison import comparison
from core.measure.influence import log_ratio_influence
from core.measure.proportional import effects, expectation, expectations, hours_since, rows_of
from core.measure.study import Trigger
from tests.measure.studies import moments_of, more_after, steady, study_of

N = 500


def several(rng, *, n_sends=4, effect=0.0, **options):
    """Return a study of sends every third day, each by lot to half of the users."""
    events = steady(rng, N, rate=2.0, end=4)
    codes, persons, instants = [], [], []
    for send in range(n_sends):
        pushed = np.sort(rng.permutation(N)[: N // 2])
        at = (3 * send - 3 * n_sends) * MS_PER_DAY + rng.integers(0, MS_PER_HOUR, len(pushed))
        if effect:
            events = more_after(rng, events, pushed, at, effect)
        codes.append(np.full(len(pushed), send))
        persons.append(pushed)
        instants.append(at)
    pushes = tuple(np.concatenate(part) for part in (codes, persons, instants))
    return study_of(events, pushes, n_seen=N, **options)


@pytest.fixture(scope="module")
def planted():
    return several(np.random.default_rng(2), effect=0.3)


@pytest.fixture(scope="module")
def rows(planted):
    return rows_of(planted, [0, 1, 2, 3])


def test_rows_of_hold_everybody_of_each_campaign_once(rows):
    both = np.column_stack([rows.campaigns, rows.moments.persons])
    assert len(np.unique(both, axis=0)) == len(rows) == 4 * N
    assert np.bincount(rows.campaigns, weights=rows.is_pushed).tolist() == [N // 2] * 4
    assert (rows.days == 2.0).all()


def test_rows_of_draws_from_arms_that_are_larger_than_needed(planted, monkeypatch):
    monkeypatch.setattr(proportional, "_MOST", 100)
    few = rows_of(planted, [0, 1])
    assert np.bincount(few.campaigns, weights=few.is_pushed).tolist() == [100, 100]
    assert len(few) == 400


def test_effects_recover_what_was_planted(rows):
    for told in expectations(rows):
        found = effects(rows, told)
        errors = np.sqrt(np.diag(found.covariance(found)))
        assert (np.abs(found.values - np.log(1.3)) < 3.5 * errors).all()
        assert (errors < 0.15).all()
        assert found.n_pushes.tolist() == [N // 2] * 4
        assert found.expected == pytest.approx(rows.counts[:, told.metric].sum() / 9, rel=0.4)


def test_effects_are_surer_than_each_campaigns_own_comparison(planted, rows):
    found = effects(rows, expectation(rows, 0))
    own = [comparison(planted, campaign) for campaign in range(4)]
    _, psi = log_ratio_influence(own, 0, n_persons=N)
    theirs = np.sqrt((psi.astype(float) ** 2).sum(axis=0))
    assert np.sqrt(np.diag(found.covariance(found))).mean() < theirs.mean()


def test_effects_without_any_effect_are_within_their_errors():
    z = []
    for seed in range(25):
        study = several(np.random.default_rng(100 + seed))
        rows = rows_of(study, [0, 1, 2, 3])
        for told in expectations(rows):
            found = effects(rows, told)
            z += (found.values / np.sqrt(np.diag(found.covariance(found)))).tolist()
    assert len(z) == 200
    assert np.sqrt(np.mean(np.square(z))) == pytest.approx(1.0, abs=0.15)
    assert np.mean(np.abs(z) > 1.96) < 0.10


def test_effects_of_parts_leave_out_pushes_without_label(rows):
    labels = np.where(rows.moments.persons % 3 == 0, -1, rows.moments.persons % 2)
    found = effects(rows, expectation(rows, 0), labels)
    assert len(found) == 8
    assert found.n_pushes.sum() == (rows.is_pushed & (labels >= 0)).sum()
    assert sorted(zip(found.campaigns.tolist(), found.labels.tolist(), strict=True)) == [
        (campaign, label) for campaign in range(4) for label in range(2)
    ]


def test_effects_leave_out_parts_with_too_little_to_expect(rows):
    labels = np.where(rows.moments.persons < 20, 1, 0)
    found = effects(rows, expectation(rows, 0), labels)
    assert set(found.labels.tolist()) == {0}


def test_covariance_of_effects_is_that_of_their_influences(rows):
    one, other = (effects(rows, told) for told in expectations(rows))
    psi = [e.direct.toarray() - e.coefficients @ e.through.T for e in (one, other)]
    assert one.covariance(other) == pytest.approx(psi[0].T @ psi[1])
    assert one.joint(other) == pytest.approx(np.diag(psi[0].T @ psi[1]))
    some = one.taken(np.array([True, False, True, False]))
    assert some.covariance(some) == pytest.approx((psi[0].T @ psi[0])[::2, ::2])


def test_effects_do_not_depend_on_the_other_campaigns_level(planted):
    two = rows_of(planted, [1, 3])
    found = effects(two, expectation(two, 0))
    assert found.campaigns.tolist() == [1, 3]
    assert found.values == pytest.approx([np.log(1.3)] * 2, abs=0.35)


def test_hours_since_is_that_of_the_last_event_within_a_day():
    at = [-30 * MS_PER_HOUR, -5 * MS_PER_HOUR, -2 * MS_PER_HOUR, -26 * MS_PER_HOUR]
    study = study_of(
        ([0, 0, 0, 1], at, [0, 0, 1, 0]), ([0, 0, 0], [0, 1, 2], [0, 0, 0]), n_seen=3,
        triggers=[Trigger(event=0, source="data", min_lag_ms=0, max_lag_ms=1)], layers=["3"],
    )  # fmt: skip
    since = hours_since(study, 0, moments_of([0, 1, 2], [0, 0, 0]))
    assert since.tolist() == [5.0, np.inf, np.inf]


def test_rows_of_nothing_raises(planted):
    with pytest.raises(proportional.DataError):
        rows_of(planted, [])


def test_capped_studies_count_capped_events(planted):
    capped = dataclasses.replace(planted, is_capped=True)
    assert rows_of(capped, [0]).counts.max() <= rows_of(planted, [0]).counts.max()
