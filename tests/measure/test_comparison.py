"""Recipients against users held out or not pushed: who is compared, what comes out, when not."""

import dataclasses

import numpy as np
import pytest
import statsmodels.api as sm

from benchmarks import worlds
from core.activity.timelines import MS_PER_DAY, MS_PER_HOUR
from core.measure.comparison import (
    Groups,
    _on_reached,
    comparison,
    described,
    groups,
    holdout,
    randomised,
    randomised_and_compared,
)  # fmt: skip
from core.measure.imputation import adjust
from core.measure.study import Trigger
from core.measure.windows import NEVER
from tests.measure.studies import inferred, more_after, steady, study_of
from tests.measure.worlds import T

TRIGGER = Trigger(event=0, source="automation", min_lag_ms=1, max_lag_ms=6 * MS_PER_HOUR)


def by_lot(rng, n=240, *, n_pushed=100, n_held=0, n_missed=0, effect=0.0, **options):
    """Return a study of one send at T, by lot, to some; others are held out or not reached."""
    order = rng.permutation(n)
    pushed = np.sort(order[:n_pushed])
    held = order[n_pushed : n_pushed + n_held]
    missed = order[n_pushed + n_held : n_pushed + n_held + n_missed]
    events = steady(rng, n)
    if effect:
        events = more_after(rng, events, pushed, np.zeros(n_pushed, dtype=int), effect)
    unsent = [(0, int(p), 0, True) for p in held] + [(0, int(p), 0, False) for p in missed]
    instants = rng.integers(0, MS_PER_HOUR, n_pushed)
    options = {"n_seen": n, **options}
    return study_of(events, (np.zeros(n_pushed), pushed, instants), unsent=unsent, **options)


@pytest.fixture(scope="module")
def planted():
    rng = np.random.default_rng(1)
    return by_lot(rng, 600, n_pushed=250, n_held=80, n_missed=50, effect=0.8)


def test_groups_hold_each_person_once(planted):
    some = groups(planted, 0)
    parts = [some.reached, some.missed, some.held, some.others]
    persons = np.concatenate([part.persons for part in parts])
    assert len(persons) == len(np.unique(persons)) == 600
    assert [len(part) for part in parts] == [250, 50, 80, 220]


def test_groups_others_stand_at_instants_of_the_recipients(planted):
    some = groups(planted, 0)
    assert np.isin(some.others.instants, some.reached.instants).all()
    again = groups(planted, 0)
    assert (again.others.instants == some.others.instants).all()


def test_groups_others_are_only_those_who_were_there():
    """Person 3 is seen later, 4 never, 5 signs up later, 6 is never seen but was sent something."""
    events = ([0, 1, 2, 3, 5], [-9, -9, -9, 9, -9], [0] * 5)
    signed_up = [NEVER] * 5 + [MS_PER_DAY, NEVER]
    study = study_of(events, ([0, 1], [0, 6], [0, -5]), n_seen=6, n_persons=7, signed_up=signed_up)
    assert groups(study, 0).others.persons.tolist() == [1, 2, 6]


def test_groups_others_of_a_triggered_campaign_are_those_who_set_it_off():
    rng = np.random.default_rng(2)
    n, lag = 60, 3 * MS_PER_HOUR
    at = rng.integers(0, MS_PER_HOUR, n)
    at[[0, 1]] = [0, MS_PER_HOUR]
    fired = np.arange(40)
    events = (
        np.concatenate([fired, np.arange(n)]),
        np.concatenate([at[fired], np.full(n, -MS_PER_DAY)]), np.repeat([0, 1], [40, n]),
    )  # fmt: skip
    pushed = np.arange(20)
    study = study_of(
        events, (np.zeros(20), pushed, at[:20] + lag), n_seen=n, layers=["3"],
        triggers=[TRIGGER], triggered_at=at[:20],
    )  # fmt: skip
    others = groups(study, 0).others
    assert others.persons.tolist() == list(range(20, 40))
    assert (others.instants - T == at[20:40] + lag).all()


def test_described_says_what_followed_each_moment(planted):
    told = described(planted, groups(planted, 0))
    index = planted.panel.index
    some = told.moments
    ends = some.instants + 48 * MS_PER_HOUR
    counts = [index.count_between(event, some.persons, some.instants, ends) for event in (0, 1)]
    assert told.rates == pytest.approx(np.stack(counts, axis=1) / 2)
    assert told.rows(0, 1).tolist() == list(range(300))
    assert told.rows(3).tolist() == list(range(380, 600))


def test_described_leaves_out_whom_nobody_watched_for_an_hour():
    rng = np.random.default_rng(3)
    study = by_lot(rng, as_of=2 * MS_PER_HOUR)
    some = groups(study, 0)
    late = some.reached.instants + MS_PER_HOUR + 1
    late = dataclasses.replace(some.reached, instants=late)
    told = described(study, dataclasses.replace(some, reached=late))
    observed = study.panel.sends.as_of - late.instants
    assert told.rows(0).tolist() == np.flatnonzero(observed >= MS_PER_HOUR).tolist()


def test_described_caps_both_arms_at_one_value():
    plain = by_lot(np.random.default_rng(4))
    capped = by_lot(np.random.default_rng(4), is_capped=True)
    some = groups(plain, 0)
    before, after = described(plain, some), described(capped, groups(capped, 0))
    for metric in (0, 1):
        cap = np.quantile(before.rates[:, metric] * 2, 0.995) / 2
        assert after.rates[:, metric] == pytest.approx(np.minimum(before.rates[:, metric], cap))
    assert (after.rates < before.rates).any()


@pytest.mark.parametrize("method", [comparison, holdout])
def test_planted_effect_is_found_and_covered(planted, method):
    found = inferred(method(planted, 0))
    assert (found.pvalue < 0.01).all()
    assert (found.relative.ci_low < 0.8).all()
    assert (found.relative.ci_high > 0.8).all()


def test_no_effect_is_mostly_not_found():
    called = [
        inferred(contrast).pvalue[0] < 0.05
        for seed in range(12)
        for contrast in randomised_and_compared(
            by_lot(np.random.default_rng([7, seed]), 260, n_pushed=130, n_held=60), 0
        )
    ]
    assert np.mean(called) < 0.15


def test_comparison_of_recipients_by_lot_agrees_with_the_difference_of_means(planted):
    contrast = comparison(planted, 0)
    told = described(planted, groups(planted, 0))
    plain = told.rates[told.rows(0)].mean(axis=0) - told.rates[told.rows(1, 2, 3)].mean(axis=0)
    found = inferred(contrast)
    assert np.abs(found.effect_size[0] - plain) == pytest.approx(
        np.zeros(2), abs=3 * found.standard_error.max()
    )
    assert contrast.post == pytest.approx(told.rates[told.rows(0)].mean(axis=0), rel=0.02)


def test_comparison_counts_those_held_out_and_not_reached_among_the_others(planted):
    contrast = comparison(planted, 0)
    assert contrast.n_users <= 250
    assert contrast.n_comparison > 220
    assert contrast.df.tolist() == [min(contrast.n_users, contrast.n_comparison) - 1] * 2
    assert len(np.unique(contrast.persons)) == len(contrast.persons)


def test_holdout_is_intention_to_treat_over_the_share_reached(planted):
    contrast = holdout(planted, 0)
    told = described(planted, groups(planted, 0))
    ones, zeros = told.rows(0, 1), told.rows(2)
    n_columns = max(1, len(zeros) // 24)
    for metric in (0, 1):
        x = np.column_stack(
            [
                told.features.few(metric, np.arange(600)), told.features.exposure[:, 2:],
                told.features.tenure,
            ]
        )[:, :n_columns]  # fmt: skip
        y = told.rates[:, metric]
        rows = np.concatenate([ones, zeros])
        t = np.isin(rows, ones).astype(float)
        centred = x[rows] - x[rows].mean(axis=0)
        design = np.column_stack([np.ones(len(rows)), t, centred, centred * t[:, None]])
        fit = sm.OLS(y[rows], design).fit()
        effect = contrast.post[metric] - contrast.expected[metric]
        assert effect == pytest.approx(float(fit.params[1]) * 300 / 250, rel=1e-5)
        assert contrast.expected[metric] == pytest.approx(float(fit.params[0]), rel=1e-5)
    assert (contrast.n_users, contrast.n_comparison) == (300, 80)


@pytest.mark.parametrize("share", [0.2, 0.5, 1.0])
def test_share_reached_changes_neither_t_nor_p(share):
    rng = np.random.default_rng(5)
    two = adjust(rng.normal(1, 1, 90), rng.normal(size=(90, 2)), rng.normal(size=60),
                 rng.normal(size=(60, 2)))  # fmt: skip
    scaled = _on_reached(two, share)

    def effect(one):
        psi = np.concatenate([one.psi_pushed, one.psi_others])
        return one.post - one.expected, np.sqrt(((psi[:, 0] - psi[:, 1]) ** 2).sum())

    (plain, plain_se), (itt, itt_se) = effect(two), effect(scaled)
    assert itt == pytest.approx(plain / share)
    assert itt / itt_se == pytest.approx(plain / plain_se)
    assert scaled.expected == two.expected


def test_holdout_only_is_compared_with_those_held_out(planted):
    """Whatever people neither sent to nor held out did, the randomised comparison is the same."""
    some = groups(planted, 0)
    nobody = some.others.taken(np.empty(0, dtype=np.int64))
    alone = randomised(
        planted,
        described(
            planted,
            Groups(reached=some.reached, missed=some.missed, held=some.held, others=nobody),
        ),
    )
    assert alone.post == pytest.approx(holdout(planted, 0).post)
    assert alone.psi_post == pytest.approx(holdout(planted, 0).psi_post, abs=1e-7)


def statuses(study, campaign=0):
    return tuple(one.status for one in randomised_and_compared(study, campaign))


def test_statuses_of_small_arms():
    rng = np.random.default_rng(6)
    assert statuses(by_lot(rng, n_pushed=29)) == ("no_holdout", "too_few_users")
    assert statuses(by_lot(rng, 69, n_pushed=40)) == ("no_holdout", "no_comparison")
    assert statuses(by_lot(rng, n_pushed=40, n_held=29)) == ("too_few_held_out", "ok")
    assert statuses(by_lot(rng, n_pushed=29, n_held=40)) == ("too_few_held_out", "too_few_users")
    assert statuses(by_lot(rng, n_pushed=40, n_held=30)) == ("ok", "ok")


def test_statuses_without_recipients():
    study = study_of(([0], [0], [0]), ([1], [0], [0]), n_seen=1)
    assert statuses(study) == ("no_recipients", "no_recipients")


def test_status_where_nobody_did_the_like():
    rng = np.random.default_rng(8)
    events = steady(rng, 200)
    quiet = np.isin(events[0], np.arange(100)) & (events[1] > -2 * MS_PER_DAY)
    events = tuple(part[~quiet] for part in events)
    busy = np.arange(100, 200)
    events = tuple(
        np.concatenate([part, more])
        for part, more in zip(
            events, (busy, np.full(100, -MS_PER_HOUR), np.zeros(100)), strict=True
        )
    )
    study = study_of(events, (np.zeros(100), busy, np.zeros(100)), n_seen=200)
    assert statuses(study) == ("no_holdout", "no_support")


def test_statuses_where_nobody_knows_what_sets_a_campaign_off():
    rng = np.random.default_rng(9)
    study = by_lot(rng, n_held=40, layers=["3"])
    found = randomised_and_compared(study, 0)
    assert [one.status for one in found] == ["ok", "trigger_unknown"]
    assert found[1].n_users == 100
    assert statuses(by_lot(rng, layers=["3"])) == ("no_holdout", "trigger_unknown")


def test_comparison_adjusts_for_what_is_known_of_recipients():
    adjusted, plain = [], []
    for seed in range(5):
        study = worlds.tuesday(np.random.default_rng([10, seed]), n=500).study
        adjusted.append(inferred(comparison(study, 0)).relative.estimate[0, 0])
        told = described(study, groups(study, 0))
        plain.append(told.rates[told.rows(0)].mean() / told.rates[told.rows(3)].mean() - 1)
    assert np.mean(plain) > 0.5
    assert abs(np.mean(adjusted)) < 0.2
