"""Windows of earlier weeks as the sample, against the textbook formulas."""

import numpy as np
import pytest
from scipy import stats

from core.activity.timelines import MS_PER_DAY, MS_PER_HOUR
from core.measure.study import Trigger
from core.measure.window_control import window
from core.measure.windows import NEVER
from tests.measure.studies import inferred, steady, study_of

WEEK = 7 * MS_PER_DAY
N = 25


def study_over(weeks, *, seed=1, n=N, pushes=None, more_days=1, **options):
    rng = np.random.default_rng(seed)
    events = steady(rng, n, start=-70)
    pushes = pushes or (np.zeros(n), np.arange(n), rng.integers(0, MS_PER_HOUR, n))
    since = -weeks * WEEK - more_days * MS_PER_DAY
    return study_of(events, pushes, **{"n_seen": n, "since": since, **options})


def means_of(study, weeks, hours=48):
    """Return the mean rate in the window so many weeks back, [weeks + 1, metrics]."""
    pushed, index = study.pushed(0), study.panel.index
    return np.array(
        [
            [
                index.count_between(
                    kind, pushed.persons, pushed.instants - back * WEEK,
                    pushed.instants - back * WEEK + hours * MS_PER_HOUR,
                ).mean() / (hours / 24)
                for kind in (0, 1)
            ]
            for back in range(weeks + 1)
        ]
    )  # fmt: skip


@pytest.mark.parametrize("weeks", [4, 5])
def test_window_over_few_weeks_is_a_forecast_from_their_mean(weeks):
    study = study_over(weeks)
    contrast, means = window(study, 0), means_of(study, weeks)
    found = inferred(contrast)
    t = (means[0] - means[1:].mean(axis=0)) / (
        means[1:].std(axis=0, ddof=1) * np.sqrt(1 + 1 / weeks)
    )
    assert contrast.n_comparison == weeks
    assert contrast.df.tolist() == [weeks - 1] * 2
    assert found.statistic[0] == pytest.approx(t)
    assert found.pvalue[0] == pytest.approx(2 * stats.t.sf(np.abs(t), weeks - 1))


@pytest.mark.parametrize(("weeks", "used"), [(6, 6), (7, 7), (9, 8)])
def test_window_over_more_weeks_is_a_forecast_from_a_line(weeks, used):
    study = study_over(weeks)
    contrast, means = window(study, 0), means_of(study, used)
    found, back = inferred(contrast), -np.arange(1, used + 1)
    for metric in (0, 1):
        y = means[1:, metric]
        line = np.polyfit(back, y, 1)
        forecast = np.polyval(line, 0)
        spread = ((y - np.polyval(line, back)) ** 2).sum() / (used - 2)
        away = (0 - back.mean()) ** 2 / ((back - back.mean()) ** 2).sum()
        error = np.sqrt(spread * (1 + 1 / used + away))
        assert contrast.expected[metric] == pytest.approx(forecast)
        assert found.standard_error[0, metric] == pytest.approx(error)
    assert contrast.df.tolist() == [used - 2] * 2
    assert contrast.n_comparison == used


def test_window_influence_values_give_the_same_standard_error():
    contrast = window(study_over(6), 0)
    psi = contrast.psi_post.astype(float) - contrast.psi_expected
    error = np.sqrt((psi**2).sum(axis=0))
    assert error == pytest.approx(inferred(contrast).standard_error[0], rel=1e-5)
    assert psi.sum(axis=0) == pytest.approx([0, 0], abs=1e-6)


def test_window_of_open_windows_compares_the_hours_seen_so_far():
    at = np.zeros(N, dtype=np.int64)
    study = study_over(4, pushes=(np.zeros(N), np.arange(N), at), as_of=7 * MS_PER_HOUR)
    contrast, means = window(study, 0), means_of(study, 4, hours=7)
    assert contrast.post == pytest.approx(means[0])
    assert contrast.expected == pytest.approx(means[1:].mean(axis=0))


def test_window_leaves_out_who_signed_up_in_between():
    signed_up = np.where(np.arange(N) < 3, -2 * WEEK, NEVER)
    contrast = window(study_over(5, signed_up=signed_up), 0)
    assert contrast.persons.tolist() == list(range(3, N))
    assert contrast.n_users == N
    assert contrast.support == pytest.approx(1 - 3 / N)


def test_window_says_why_there_is_no_number():
    trigger = Trigger(event=0, source="data", min_lag_ms=1, max_lag_ms=2)
    assert window(study_over(5, layers=["3"]), 0).status == "triggered_sends"
    assert window(study_over(5, triggers=[trigger]), 0).status == "triggered_sends"
    assert window(study_over(3), 0).status == "too_few_weeks"
    assert window(study_over(5, pushes=([0], [0], [0])), 0).status == "too_few_users"
    assert window(study_over(5, as_of=MS_PER_HOUR // 2), 0).status == "too_few_users"
    signed_up = np.where(np.arange(N) < 9, -2 * WEEK, NEVER)
    assert window(study_over(5, signed_up=signed_up), 0).status == "too_few_weeks"


@pytest.mark.parametrize(("n_weekly", "status"), [(2, "ok"), (4, "contaminated_baseline")])
def test_window_on_weeks_full_of_other_pushes_has_no_number(n_weekly, status):
    at = np.concatenate([[0], -np.arange(1, n_weekly + 1) * WEEK])
    pushes = (
        np.repeat(np.arange(n_weekly + 1), N),
        np.tile(np.arange(N), n_weekly + 1),
        np.repeat(at, N),
    )
    contrast = window(study_over(4, pushes=pushes), 0)
    assert contrast.status == status


def test_window_without_any_variation_between_weeks_has_no_test():
    at = np.concatenate([[0], -np.arange(1, 5) * WEEK])
    events = (np.tile(np.arange(N), 5), np.repeat(at, N) + 5, np.zeros(5 * N))
    study = study_of(
        events, (np.zeros(N), np.arange(N), np.zeros(N)), n_seen=N, since=-4 * WEEK - 5
    )
    found = inferred(window(study, 0))
    assert found.effect_size[0].tolist() == [0, 0]
    assert np.isnan(found.pvalue).all()
