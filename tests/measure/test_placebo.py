"""Estimates where nothing was sent: right where the method is right, loud where it is not."""

import numpy as np
import pytest
from scipy import stats

from core.activity.timelines import MS_PER_DAY, MS_PER_HOUR
from core.measure.estimates import Estimates, _scales, checked, checks_table, estimate
from core.measure.headline import evidence
from core.measure.panel import all_rates
from core.measure.placebo import (
    SCHEDULED_WEEKS,
    WEEKS,
    Placebos,
    collected,
    false_positives,
    placebos_of,
)  # fmt: skip
from core.measure.study import Trigger
from core.measure.windows import NEVER
from tests.measure.studies import inferred, more_after, steady, study_of

WEEK = 7 * MS_PER_DAY
N_CAMPAIGNS, EACH, N = 10, 45, 600


def world(seed, *, wrong=False, **options):
    """Return campaigns to people of their own; where wrong, they did more in earlier weeks too."""
    rng = np.random.default_rng(seed)
    persons = np.concatenate(
        [np.sort(part) for part in rng.permutation(N)[: N_CAMPAIGNS * EACH].reshape(-1, EACH)]
    )
    at = np.repeat(np.arange(N_CAMPAIGNS) * MS_PER_DAY, EACH)
    at = at + rng.integers(0, MS_PER_HOUR, len(at))
    events = steady(rng, N, end=14)
    for weeks in SCHEDULED_WEEKS if wrong else ():
        events = more_after(rng, events, persons, at - weeks * WEEK, 1.0)
    pushes = (np.repeat(np.arange(N_CAMPAIGNS), EACH), persons, at)
    return study_of(events, pushes, n_seen=N, **{"as_of": 14 * MS_PER_DAY, **options})


def placebos(study):
    found = [placebos_of(study, code) for code in range(study.panel.n_campaigns)]
    return collected(found, study.n_metrics)


@pytest.fixture(scope="module")
def fair():
    return placebos(world(1))


@pytest.fixture(scope="module")
def unfair():
    return world(2, wrong=True)


def test_placebos_of_a_random_world_find_about_nothing(fair):
    said = false_positives(fair, np.ones(len(fair.z), dtype=bool))
    assert (said.n_checks, said.n_campaigns) == (2 * 2 * N_CAMPAIGNS, N_CAMPAIGNS)
    assert said.share <= 0.15
    assert said.ci_low <= 0.05 <= said.ci_high
    assert 0.7 < said.se_scale < 1.3
    assert set(fair.weeks.tolist()) == set(SCHEDULED_WEEKS)
    assert set(fair.methods.tolist()) == {"comparison"}


def test_placebos_where_recipients_were_moving_anyway_are_called(unfair):
    found = placebos(unfair)
    said = false_positives(found, np.ones(len(found.z), dtype=bool))
    assert said.share > 0.4
    assert said.ci_low > 0.05
    assert said.se_scale > 1.5
    assert (np.nanmedian(found.z, axis=0) > 1).all()


def test_estimates_are_widened_where_placebos_are_called(unfair):
    panel = unfair.panel
    found = estimate(unfair, all_rates(panel, "keep"))
    scale = found.se_scale(0, "comparison")
    every = false_positives(found.placebos, np.ones(len(found.placebos.z), dtype=bool))
    assert scale == every.se_scale > 1.5
    assert evidence("comparison", scale) == "C"
    for method in ("holdout", "joint", "window", "classic"):
        assert found.se_scale(0, method) == 1.0
    table = checks_table(found)
    assert table["layer"].tolist() == ["1"]
    assert table["se_scale"].tolist() == table["spread"].tolist() == [scale]
    assert table["false_positive_share"].tolist() == [every.share]


def test_estimates_by_lot_are_never_widened(unfair):
    rng = np.random.default_rng(8)
    z = rng.normal(0, 3, (20, 2))
    both = Placebos(
        campaigns=np.repeat(np.arange(10), 2), weeks=np.full(20, 3),
        methods=np.tile(["holdout", "comparison"], 10), z=z, pvalues=2 * stats.norm.sf(np.abs(z)),
    )  # fmt: skip
    assert set(checked(unfair, both)) == {("1", "holdout"), ("1", "comparison")}
    assert set(_scales(unfair, both)) == {("1", "comparison")}
    rows = np.flatnonzero(both.methods == "comparison")[:9]
    few = Placebos(
        campaigns=both.campaigns[rows], weeks=both.weeks[rows], methods=both.methods[rows],
        z=both.z[rows], pvalues=both.pvalues[rows],
    )  # fmt: skip
    assert _scales(unfair, few) == {}


def test_estimates_are_not_widened_where_checks_are_few_or_calm(fair, unfair):
    study = world(1)
    calm = Estimates(study=study, contrasts={}, placebos=fair, se_scales={})
    assert checked(study, fair)["1", "comparison"].se_scale < 1.3
    assert calm.se_scale(0, "comparison") == 1.0
    assert checks_table(calm)["se_scale"].tolist() == [1.0]


def test_placebos_of_scheduled_sends_compare_the_same_people_weeks_earlier():
    study = world(3)
    by_week = placebos_of(study, 0)
    assert [weeks for weeks, _ in by_week] == list(SCHEDULED_WEEKS)
    for _, contrast in by_week:
        persons = study.pushed(0).persons
        assert np.isin(contrast.persons, persons).sum() == contrast.n_users >= 0.8 * EACH
        assert not np.isnan(inferred(contrast).pvalue).any()


def test_placebos_leave_out_who_was_sent_something_else_then():
    """A campaign whose people were all sent another one three weeks before has one date left."""
    rng = np.random.default_rng(4)
    persons, n = np.arange(50), 200
    pushes = (
        np.repeat([0, 1], 50),
        np.tile(persons, 2),
        np.repeat([0, -3 * WEEK + MS_PER_DAY], 50),
    )
    study = study_of(steady(rng, n), pushes, n_seen=n)
    assert [weeks for weeks, _ in placebos_of(study, 0)] == [4]


def test_placebos_need_history_and_closed_windows():
    rng = np.random.default_rng(5)
    pushes = (np.zeros(50), np.arange(50), np.zeros(50))
    events = steady(rng, 200)
    short = study_of(events, pushes, n_seen=200, since=-4 * WEEK)
    assert placebos_of(short, 0) == []
    longer = study_of(events, pushes, n_seen=200, since=-5 * WEEK)
    assert [weeks for weeks, _ in placebos_of(longer, 0)] == [3]
    signed_up = np.full(200, NEVER)
    signed_up[:50] = -2 * WEEK
    assert placebos_of(study_of(events, pushes, n_seen=200, signed_up=signed_up), 0) == []


def test_placebos_of_a_triggered_campaign_apply_the_rule_again():
    rng = np.random.default_rng(6)
    n, lag = 400, 3 * MS_PER_HOUR
    trigger = Trigger(event=0, source="automation", min_lag_ms=1, max_lag_ms=6 * MS_PER_HOUR)
    fired = [np.flatnonzero(rng.random(n) < 0.4) for _ in range(5)]
    hours = [rng.integers(0, 8 * MS_PER_HOUR, len(who)) for who in fired]
    hours[0][:2] = [0, 8 * MS_PER_HOUR]
    sent = np.arange(len(fired[0])) % 2 == 0
    sent[1] = True
    plain = steady(rng, n)
    keep = plain[2] == 1
    triggers = (
        np.concatenate(fired),
        np.concatenate([at - back * WEEK for back, at in enumerate(hours)]),
        np.zeros(sum(map(len, fired))),
    )  # fmt: skip
    events = tuple(
        np.concatenate([part[keep], more]) for part, more in zip(plain, triggers, strict=True)
    )
    pushed = fired[0][sent]
    study = study_of(
        events, (np.zeros(len(pushed)), pushed, hours[0][sent] + lag), n_seen=n, layers=["3"],
        triggers=[trigger], triggered_at=hours[0][sent],
    )  # fmt: skip
    found = placebos_of(study, 0)
    assert {weeks for weeks, _ in found} <= set(WEEKS)
    assert len(found) >= 2
    for weeks, contrast in found:
        assert np.isin(contrast.persons, fired[weeks]).all()
        assert contrast.n_users <= np.isin(pushed, fired[weeks]).sum()


def test_placebos_of_what_nobody_knows_how_to_repeat_are_none():
    rng = np.random.default_rng(7)
    pushes = ([1] * 50, np.arange(50), np.zeros(50))
    study = study_of(steady(rng, 200), pushes, n_seen=200, layers=["1", "3"])
    assert placebos_of(study, 0) == placebos_of(study, 1) == []
    nothing = collected([[], []], 2)
    assert nothing.z.shape == (0, 2)
    assert false_positives(nothing, np.empty(0, dtype=bool)) is None


def said_of(pvalues, campaigns):
    pvalues = np.array(pvalues, dtype=float)
    z = stats.norm.isf(pvalues / 2)
    some = Placebos(
        campaigns=np.array(campaigns), weeks=np.ones(len(campaigns), dtype=np.int64),
        methods=np.array(["comparison"] * len(campaigns)), z=z, pvalues=pvalues,
    )  # fmt: skip
    return false_positives(some, np.ones(len(campaigns), dtype=bool))


def test_false_positives_by_hand():
    said = said_of([[0.01, 0.5], [0.04, np.nan], [0.2, 0.9], [0.03, 0.06]], [0, 0, 1, 2])
    assert (said.n_checks, said.n_campaigns) == (7, 3)
    assert said.share == pytest.approx(3 / 7)
    excess = np.array([2 - 3 * 3 / 7, 0 - 2 * 3 / 7, 1 - 2 * 3 / 7])
    error = np.sqrt((excess**2).sum() * 3 / 2) / 7
    assert said.ci_high == pytest.approx(min(3 / 7 + 1.96 * error, 1))
    z = stats.norm.isf(np.array([0.01, 0.5, 0.04, 0.2, 0.9, 0.03, 0.06]) / 2)
    assert said.se_scale == pytest.approx(np.sqrt((z**2).mean()))


def test_false_positives_without_a_single_one_have_wilsons_interval():
    said = said_of([[0.5]] * 8, range(8))
    interval = stats.binomtest(0, 8).proportion_ci(0.95, method="wilson")
    assert (said.share, said.ci_low) == (0, pytest.approx(interval.low, abs=1e-12))
    assert said.ci_high == pytest.approx(interval.high)
