"""Days around the push on worlds of known truth: level, bias, power, and what is left out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from benchmarks import worlds
from benchmarks.histories import Activity, History, Send
from core.measure.event_study import DAYS, REFERENCE, _pre_trend, event_study
from core.measure.windows import NEVER

DAY = 66
AT = DAY * 24 + 9.0


def steady(seed, *, n=500, effect=0.0, drift=0.0, share=0.5, until=80.0, since=0.0, held=0.0):
    """Return a study of one scheduled campaign; `drift` more events a day each day from -14 on."""
    rng = np.random.default_rng([11, seed])
    activity = worlds.daily(rng, worlds.rates(rng, n, 1.0, shape=2.0), 80, dispersion=3.0)
    is_pushed, is_held = rng.random(n) < share, rng.random(n) < held
    history = History(rng, more(rng, activity, np.flatnonzero(is_pushed), drift))
    persons, out = np.flatnonzero(is_pushed & ~is_held), np.flatnonzero(is_pushed & is_held)
    history.send(
        Send(
            name="a", layer="1", persons=persons, hours=AT + rng.random(len(persons)),
            effect=effect, held=out, held_hours=AT + rng.random(len(out)),
        )
    )  # fmt: skip
    return history.world(until=until * 24, least_week=since * 24).study


def more(rng, activity, persons, drift):
    """Return activity in which some persons do more from day to day until three days before."""
    if not drift:
        return activity
    n = rng.poisson(drift * np.arange(1, 13), (len(persons), 12))
    person = np.repeat(np.repeat(persons, 12), n.ravel())
    day = np.repeat(np.tile(np.arange(-14, -2), len(persons)), n.ravel())
    hours = AT + (day + rng.random(len(day))) * 24
    return Activity(
        persons=np.concatenate([activity.persons, person]),
        hours=np.concatenate([activity.hours, hours]),
        n_persons=activity.n_persons,
    )


def covers_zero(found):
    known = ~np.isnan(found.band_low)
    return bool(((found.band_low <= 0) & (found.band_high >= 0))[known].all())


def test_event_study_without_effect_holds_its_level():
    found = [event_study(steady(seed), 0, 0, seed=seed) for seed in range(80)]
    covered = np.mean([covers_zero(one) for one in found])
    single = np.mean([(one.ci_low <= 0) & (one.ci_high >= 0) for one in found])
    rejected = np.mean([one.pre_trend.pvalue < 0.05 for one in found])
    assert 0.87 <= covered <= 0.995
    assert 0.93 <= single <= 0.97
    assert rejected <= 0.10
    assert {one.source for one in found} == {"comparison"}


def test_event_study_after_a_trigger_is_not_biased_at_the_peak():
    found = [
        event_study(worlds.triggered(np.random.default_rng([5, seed]), n=1000).study, 0, 0)
        for seed in range(24)
    ]
    effects = np.array([one.effect_size for one in found])[:, (DAYS >= -2) & (DAYS <= 2)]
    z = effects.mean(axis=0) / effects.std(axis=0, ddof=1) * np.sqrt(len(found))
    assert np.abs(z).max() < 3.5
    rates = np.array([one.pushed_rate for one in found]).mean(axis=0)
    peak, reference = rates[DAYS == -1][0], rates[REFERENCE].mean()
    assert peak > 1.5 * reference  # that a comparison with day -1 would fall for


def test_event_study_finds_an_effect_of_two_days():
    found = event_study(steady(1, n=1500, effect=0.6), 0, 0)
    after = (found.days == 0) | (found.days == 1)
    assert (found.band_low[after] > 0).all()
    assert np.abs(found.effect_size[~after]).max() < found.effect_size[after].min()
    assert found.effect_size[after].mean() == pytest.approx(0.6, rel=0.35)
    assert found.pre_trend.pvalue > 0.01


def test_event_study_finds_a_planted_drift_before():
    calm, drifting = (event_study(steady(2, n=1500, drift=d), 0, 0) for d in (0.0, 0.04))
    assert drifting.pre_trend.pvalue < 0.001 < calm.pre_trend.pvalue
    assert 0 < calm.pre_trend.missed_slope < 0.04
    reference = drifting.effect_size[REFERENCE]
    assert reference.mean() == pytest.approx(0, abs=1e-9)
    slope = np.polyfit(DAYS[REFERENCE], reference, 1)[0]
    assert slope == pytest.approx(0.04, abs=0.02)


def test_pre_trend_misses_its_missed_slope_half_of_the_time():
    rng = np.random.default_rng(3)
    psi = rng.normal(size=(4000, 12)) @ rng.normal(size=(12, 12)) / 100
    psi -= psi.mean(axis=1, keepdims=True)  # days less their mean: one is told by the others
    days = np.arange(-14, -2)
    asked = _pre_trend(np.zeros(12), psi, days, 3999.0, 0.95)
    assert asked.df == 11
    assert asked.pvalue == 1
    drift = asked.missed_slope * (days - days.mean())
    noise = rng.normal(size=(1500, len(psi))) @ psi
    pvalues = [_pre_trend(drift + one, psi, days, 3999.0, 0.95).pvalue for one in noise]
    assert np.mean(np.array(pvalues) < 0.05) == pytest.approx(0.5, abs=0.05)
    nothing = [_pre_trend(one, psi, days, 3999.0, 0.95).statistic for one in noise]
    assert stats.kstest(nothing, "chi2", (11,)).pvalue > 0.001


def test_event_study_leaves_out_days_that_were_not_wholly_observed():
    found = event_study(steady(4, until=DAY + 2.9, since=DAY - 9.0), 0, 0)
    seen = ~np.isnan(found.effect_size)
    # deliveries lie between 9 and 10 h: day 2 of the first ends before the last was observed
    assert found.days[seen].tolist() == list(range(-9, 2))
    assert np.isnan(found.band_high[~seen]).all()
    assert found.pre_trend.df == 6
    frame = found.frame()
    assert frame["is_observed"].tolist() == seen.tolist()
    assert frame.loc[frame["is_reference"], "day"].tolist() == list(range(-14, -2))


def test_event_study_without_days_before_has_no_number():
    found = event_study(steady(4, since=DAY - 3.0), 0, 0)
    assert found.status == "no_history"
    assert np.isnan(found.effect_size).all()


def test_event_study_where_everybody_was_pushed_shows_their_own_curve():
    found = event_study(steady(5, share=1.0), 0, 0)
    assert (found.is_compared, found.source, found.status) == (False, "none", "no_comparison")
    assert np.isnan(found.pre_trend.pvalue)
    assert found.effect_size[REFERENCE].mean() == pytest.approx(0, abs=1e-9)
    assert found.expected_rate == pytest.approx(found.reference_rate)
    by_hand = found.pushed_rate - found.pushed_rate[REFERENCE].mean()
    assert found.effect_size == pytest.approx(by_hand)


def test_event_study_rates_are_counts_by_hand():
    study = steady(6, n=120)
    found, panel = event_study(study, 0, 0), study.panel
    for day in (-14, -1, 0, 6):
        start = panel.sends.instants + day * 86_400_000
        n = panel.index.count_between(0, panel.persons, start, start + 86_400_000).sum()
        assert found.pushed_rate[found.days == day][0] == pytest.approx(n / len(panel.persons))


def test_event_study_prefers_those_held_out_at_random():
    study = steady(7, n=1200, held=0.4, effect=0.5)
    found = event_study(study, 0, 0)
    assert (found.source, found.status, found.support) == ("holdout", "ok", 1.0)
    assert found.n_comparison == len(study.unsent.of(0, held=True))
    assert found.band_low[found.days == 0][0] > 0


def test_event_study_leaves_out_newcomers():
    study = steady(8)
    signed = np.full(len(study.signed_up), NEVER)
    newcomers = study.panel.persons[:25]
    signed[newcomers] = study.panel.sends.instants.min() - 10 * 86_400_000
    found = event_study(replace(study, signed_up=signed), 0, 0)
    assert found.n_users == len(study.panel.persons) - 25


def test_event_study_is_the_same_for_a_seed_and_wider_with_more_confidence():
    study = steady(9)
    first, second = (event_study(study, 0, 0, seed=3) for _ in range(2))
    assert first.critical == second.critical
    assert event_study(study, 0, 0, seed=4).critical == pytest.approx(first.critical, rel=0.05)
    assert first.critical > stats.norm.ppf(0.975)
    assert event_study(study, 0, 0, confidence_level=0.99).critical > first.critical


def test_event_study_too_few_recipients_say_so():
    found = event_study(steady(10, n=60, share=0.3), 0, 0)
    assert found.status == "too_few_users"
    assert found.frame()["effect_size"].isna().all()


def test_event_study_caps_days_where_windows_are_capped():
    study = steady(11)
    wild, capped = event_study(study, 0, 0), event_study(replace(study, is_capped=True), 0, 0)
    assert np.nansum(capped.standard_error) < np.nansum(wild.standard_error)
