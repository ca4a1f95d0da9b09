"""Triggered recipients against themselves, against a plain reckoning user by user."""

import numpy as np
import pytest

from core.activity.timelines import MS_PER_DAY, MS_PER_HOUR
from core.measure.self_control import _of_metric, earlier_sends, self_control
from core.measure.study import Trigger
from core.measure.windows import NEVER
from tests.measure.studies import inferred, more_after, study_of
from tests.measure.worlds import T

LAG = 3 * MS_PER_HOUR
WEEK = 7 * MS_PER_DAY
TRIGGER = Trigger(event=0, source="automation", min_lag_ms=1, max_lag_ms=6 * MS_PER_HOUR)
N = 70


def rows_of(rng, n=N, *, share=0.8, effect=0.0, n_weeks=4):
    """Return events and triggers [weeks back, users] (NaN: none), the recipients' first row."""
    fired = rng.integers(0, 8 * MS_PER_HOUR, (n_weeks + 1, n)).astype(float)
    fired[0, :2] = [0, 8 * MS_PER_HOUR]  # the hours in which triggers count
    fired[1:][rng.random((n_weeks, n)) > share] = np.nan
    own = rng.gamma(2.0, 1.0, n)
    persons = np.repeat(np.arange(n), rng.poisson(own * 70))
    at = rng.integers(-9 * WEEK, WEEK, len(persons))
    spells = rng.random(len(at)) < 0.3
    events = (persons, np.where(spells, at // WEEK * WEEK + at % MS_PER_DAY, at), np.ones(len(at)))
    if effect:
        sent = fired[0].astype(np.int64) + LAG
        events = more_after(rng, events, np.arange(n), sent, effect)
    back, who = np.nonzero(~np.isnan(fired))
    triggers = (who, fired[back, who].astype(np.int64) - back * WEEK, np.zeros(len(who)))
    both = tuple(np.concatenate(pair) for pair in zip(events, triggers, strict=True))
    return both, fired


def study_from(events, fired, *, pushes=None, **options):
    n = fired.shape[1]
    first = fired[0].astype(np.int64)
    plain = (np.zeros(n), np.arange(n), first + LAG)
    options = {
        "n_seen": n,
        "layers": ["3"],
        "triggers": [TRIGGER],
        "triggered_at": first,
        **options,
    }
    return study_of(events, pushes or plain, **options)


def count(study, kind, person, start, end):
    timelines = study.panel.index
    one = np.array([person])
    return int(timelines.count_between(kind, one, np.array([start]), np.array([end]))[0])


def covariates(study, metric, person, at):
    def within(hours, kinds=(0, 1)):
        return sum(count(study, kind, person, at - hours * MS_PER_HOUR, at) for kind in kinds)

    day = within(24)
    return np.array([
        np.sqrt(within(6)), np.sqrt(day), day, np.sqrt(within(72)), 3 <= day < 8, day >= 8,
        np.sqrt(within(24, (metric,))),
    ])  # fmt: skip


def reckoned(study, fired, metric):
    """Return each user's rates and states after the push and after earlier triggers."""
    found = []
    for user in range(fired.shape[1]):
        weeks = [week for week in range(5) if not np.isnan(fired[week, user])]
        at = [T + int(fired[week, user]) + LAG - week * WEEK for week in weeks]
        if len(at) > 1:
            window = 48 * MS_PER_HOUR
            rates = [count(study, metric, user, one, one + window) / 2 for one in at]
            seen = np.array([covariates(study, metric, user, one) for one in at])
            found.append((np.array(rates), seen))
    return found


def effect_on(users):
    """Return the effect over users: each against the mean of the own earlier windows."""
    usual = [(rates[1:].mean(), states[1:].mean(axis=0)) for rates, states in users]
    both = [(*user, *own) for user, own in zip(users, usual, strict=True) if len(user[0]) > 2]
    y = np.concatenate([rates[1:] - rate for rates, _, rate, _ in both])
    x = np.concatenate([states[1:] - state for _, states, _, state in both])
    slopes = np.linalg.lstsq(x, y, rcond=None)[0]
    now = np.array([rates[0] - rate for (rates, _), (rate, _) in zip(users, usual, strict=True)])
    away = np.array([s[0] - state for (_, s), (_, state) in zip(users, usual, strict=True)])
    return float((now - away @ slopes).mean())


@pytest.fixture(scope="module")
def world():
    events, fired = rows_of(np.random.default_rng(1), effect=0.5)
    study = study_from(events, fired)
    return study, fired, self_control(study, 0)


def effect_of(contrast):
    psi = contrast.psi_post.astype(float) - contrast.psi_expected
    return contrast.post - contrast.expected, np.sqrt((psi**2).sum(axis=0))


@pytest.mark.parametrize("metric", [0, 1])
def test_self_control_agrees_with_a_plain_reckoning(world, metric):
    study, fired, contrast = world
    assert effect_of(contrast)[0][metric] == pytest.approx(
        effect_on(reckoned(study, fired, metric)), abs=2e-3
    )


def test_self_control_standard_error_agrees_with_the_jackknife_over_users(world):
    study, fired, contrast = world
    users = reckoned(study, fired, 1)
    n = contrast.n_users
    without = [effect_on(users[:out] + users[out + 1 :]) for out in range(n)]
    jackknife = np.sqrt((n - 1) / n * ((np.array(without) - np.mean(without)) ** 2).sum())
    assert effect_of(contrast)[1][1] == pytest.approx(jackknife, rel=0.15)


def test_self_control_says_on_whom_it_rests(world):
    _, fired, contrast = world
    has_earlier = ~np.isnan(fired[1:]).all(axis=0)
    assert contrast.persons.tolist() == np.flatnonzero(has_earlier).tolist()
    assert contrast.n_users == has_earlier.sum()
    assert contrast.n_comparison == (~np.isnan(fired[1:])).sum()
    assert contrast.support == pytest.approx(has_earlier.mean())
    assert contrast.df.tolist() == [contrast.n_users - 1] * 2


def test_self_control_finds_a_planted_effect(world):
    found = inferred(world[2])
    assert found.pvalue[0, 1] < 0.05
    assert found.relative.ci_low[0, 1] < 0.5 < found.relative.ci_high[0, 1]


def test_self_control_windows_recorded_twice_say_no_more():
    """Doubling each user's earlier windows adds no user, so it must not narrow anything."""
    rng = np.random.default_rng(2)
    of_user = np.repeat(np.arange(40), 3)
    before, state = rng.poisson(2.0, 120).astype(float), rng.normal(size=(120, 2))
    now, state_now = rng.poisson(2.0, 40).astype(float), rng.normal(size=(40, 2))

    def found(times):
        users = np.tile(of_user, times)
        return _of_metric(
            now, state_now, np.tile(before, times), np.tile(state, (times, 1)),
            place=np.arange(40), of_user=users, n_earlier=np.bincount(users).astype(float),
            several=np.ones(len(users), dtype=bool),
        )  # fmt: skip

    once, twice = found(1), found(2)
    assert twice[0] == pytest.approx(once[0])
    assert twice[1] == pytest.approx(once[1], abs=1e-9)


def test_self_control_influence_values_know_that_slopes_are_estimated():
    """Recipients are busier than they were: the error of the slopes then counts in full."""
    rng = np.random.default_rng(9)
    n, state = 60, rng.normal(size=(60, 4, 1))
    rates = 3 + state[:, :, 0] + rng.normal(0, 2, (n, 4))
    now, state_now = 3 + rng.normal(0, 0.1, n), np.full((n, 1), 2.0)

    def found(kept):
        users = np.repeat(np.arange(len(kept)), 4)
        return _of_metric(
            now[kept], state_now[kept], rates[kept].ravel(), state[kept].reshape(-1, 1),
            place=np.arange(len(kept)), of_user=users, n_earlier=np.full(len(kept), 4.0),
            several=np.ones(len(users), dtype=bool),
        )  # fmt: skip

    without = np.array([found(np.delete(np.arange(n), out))[0] for out in range(n)])
    jackknife = np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum())
    psi = found(np.arange(n))[1]
    assert np.sqrt((psi**2).sum()) == pytest.approx(jackknife, rel=0.06)


def test_earlier_sends_leave_out_windows_near_other_pushes(world):
    _, fired, _ = world
    events = rows_of(np.random.default_rng(1), effect=0.5)[0]
    touched = np.flatnonzero(~np.isnan(fired[2]))[:5]
    first = fired[0].astype(np.int64)
    pushes = (
        np.repeat([0, 1], [N, 5]), np.concatenate([np.arange(N), touched]),
        np.concatenate([first + LAG, fired[2, touched].astype(np.int64) - 2 * WEEK]),
    )  # fmt: skip
    triggered_at = np.concatenate([first, np.zeros(5)])
    options = {"triggers": [TRIGGER, None], "triggered_at": triggered_at, "pushes": pushes}
    scheduled = study_from(events, fired, layers=["3", "1"], **options)
    earlier, share = earlier_sends(scheduled, 0, scheduled.pushed(0))
    assert len(earlier) == (~np.isnan(fired[1:])).sum() - 5
    assert share == 0
    triggered = study_from(events, fired, layers=["3", "3"], **options)
    n_all = (~np.isnan(fired[1:])).sum()
    assert earlier_sends(triggered, 0, triggered.pushed(0))[1] == pytest.approx(5 / n_all)


def test_earlier_sends_begin_after_what_was_read_and_the_sign_up(world):
    events, fired = rows_of(np.random.default_rng(3))
    short = study_from(events, fired, since=-24 * MS_PER_DAY)
    earlier, _ = earlier_sends(short, 0, short.pushed(0))
    assert len(earlier) == (~np.isnan(fired[1:3])).sum()
    signed_up = np.where(np.arange(N) == 0, -8 * MS_PER_DAY, NEVER)
    late = study_from(events, fired, signed_up=signed_up)
    earlier, _ = earlier_sends(late, 0, late.pushed(0))
    assert (earlier.persons == 0).sum() == (not np.isnan(fired[1, 0]))


@pytest.mark.parametrize(
    ("days", "layer", "n_left"),
    [(1, "1", N - 4), (-1, "1", N - 4), (3, "1", N), (-1, "3", N - 4), (1, "3", N)],
)
def test_self_control_leaves_out_recipients_near_other_pushes(days, layer, n_left):
    """Triggered pushes that follow may be of this one's making: whom they reach stays."""
    events, fired = rows_of(np.random.default_rng(7), share=1.0)
    first = fired[0].astype(np.int64)
    near = np.arange(5, 9)
    pushes = (
        np.repeat([0, 1], [N, 4]), np.concatenate([np.arange(N), near]),
        np.concatenate([first + LAG, first[near] + LAG + days * MS_PER_DAY]),
    )  # fmt: skip
    study = study_from(
        events, fired, pushes=pushes, layers=["3", layer], triggers=[TRIGGER, None],
        triggered_at=np.concatenate([first, np.zeros(4)]),
    )  # fmt: skip
    contrast = self_control(study, 0)
    assert contrast.n_users == n_left
    assert np.isin(near, contrast.persons).all() == (n_left == N)
    assert contrast.support == pytest.approx(n_left / N)


def test_self_control_says_why_there_is_no_number():
    events, fired = rows_of(np.random.default_rng(4))

    def status(*, fired=fired, **options):
        return self_control(study_from(events, fired, **options), 0).status

    assert status(layers=["1"], triggers=[None]) == "not_triggered"
    assert status(triggers=[None]) == "trigger_unknown"
    assert status(as_of=MS_PER_DAY) == "window_open"
    assert status(since=-12 * MS_PER_DAY) == "too_few_earlier_triggers"
    few, rare = rows_of(np.random.default_rng(5), share=0.1)
    assert self_control(study_from(few, rare), 0).status == "too_few_earlier_triggers"
    assert status() == "ok"


def test_self_control_of_a_campaign_that_is_always_on_knows_nothing():
    events, fired = rows_of(np.random.default_rng(6), share=1.0)
    first = fired[0].astype(np.int64)
    weeks = np.arange(1, 4)
    earlier = np.concatenate([fired[week].astype(np.int64) - week * WEEK for week in weeks])
    pushes = (
        np.repeat([0, 1], [N, 3 * N]), np.tile(np.arange(N), 4),
        np.concatenate([first, earlier]) + LAG,
    )  # fmt: skip
    study = study_from(
        events, fired, pushes=pushes, layers=["3", "3"], triggers=[TRIGGER, TRIGGER],
        triggered_at=np.concatenate([first, earlier]),
    )  # fmt: skip
    assert self_control(study, 0).status == "always_on"


def test_self_control_of_a_campaign_that_reached_nobody_says_so():
    study = study_of(
        ([0], [0], [0]), ([1], [0], [0]), n_seen=1, layers=["3", "1"], triggers=[TRIGGER, None]
    )
    assert not self_control(study, 0).is_known
