"""Every method on a small study; what must not matter does not."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from core.activity.timelines import MS_PER_DAY, MS_PER_HOUR
from core.measure.contrasts import moments
from core.measure.estimates import ORDER, control_checks, estimate
from core.measure.panel import all_rates
from core.measure.study import Trigger
from core.measure.windows import WindowLengths
from tests.measure.studies import more_after, steady, study_of

N, LAG = 240, 3 * MS_PER_HOUR
TRIGGER = Trigger(event=0, source="automation", min_lag_ms=1, max_lag_ms=6 * MS_PER_HOUR)
IDS = ("all but some", "half", "reply")
DAYS = (0, 4, 8)


def drawn(rng):
    """Return events, and (persons, instants, triggers, held out) of each of three campaigns."""
    events = steady(rng, N, end=14)
    fired = np.flatnonzero(rng.random(N) < 0.8)
    at = DAYS[2] * MS_PER_DAY + rng.integers(0, 6 * MS_PER_HOUR, len(fired))
    events = tuple(
        np.concatenate([part, more])
        for part, more in zip(events, (fired, at, np.zeros(len(fired))), strict=True)
    )
    sends = []
    for day, share in zip(DAYS[:2], (0.7, 0.5), strict=True):
        pushed = rng.random(N) < share
        persons, held = np.flatnonzero(pushed), np.flatnonzero(~pushed)[:40]
        instants = day * MS_PER_DAY + rng.integers(0, MS_PER_HOUR, len(persons))
        sends.append((persons, instants, np.zeros(len(persons)), held))
    some = rng.random(len(fired)) < 0.5
    sends.append((fired[some], at[some] + LAG, at[some], np.empty(0, dtype=np.int64)))
    return more_after(rng, events, sends[0][0], sends[0][1], 0.6), sends


def study_in(order, *, seed=1):
    """Return the study with its campaigns in some order."""
    events, sends = drawn(np.random.default_rng(seed))
    layers, triggers = ("1", "2", "3"), (None, None, TRIGGER)
    parts = [sends[code] for code in order]
    return study_of(
        events,
        (
            np.repeat(np.arange(len(order)), [len(part[0]) for part in parts]),
            *(np.concatenate([part[i] for part in parts]) for i in (0, 1)),
        ),
        n_seen=N, as_of=14 * MS_PER_DAY, ids=[IDS[code] for code in order],
        layers=[layers[code] for code in order], triggers=[triggers[code] for code in order],
        triggered_at=np.concatenate([part[2] for part in parts]),
        unsent=[
            (place, int(person), DAYS[code] * MS_PER_DAY, True)
            for place, code in enumerate(order)
            for person in sends[code][3]
        ],
    )  # fmt: skip


def estimated(order, **options):
    study = study_in(order, **options)
    return estimate(study, all_rates(study.panel, "keep"))


@pytest.fixture(scope="module")
def plain():
    return estimated((0, 1, 2))


def test_estimate_gives_every_method_of_every_campaign(plain):
    assert set(plain.contrasts) == set(ORDER)
    assert {len(found) for found in plain.contrasts.values()} == {3}
    statuses = {method: [one.status for one in found] for method, found in plain.contrasts.items()}
    assert statuses["holdout"] == ["ok", "ok", "no_holdout"]
    assert statuses["comparison"] == ["ok"] * 3
    assert statuses["joint"] == ["ok", "ok", "triggered_sends"]
    assert statuses["window"][2] == "triggered_sends"
    assert statuses["self_control"][:2] == ["not_triggered"] * 2
    assert statuses["classic"] == ["ok"] * 3
    for method, found in plain.contrasts.items():
        assert {one.method for one in found} == {method}


@pytest.mark.parametrize("order", [(2, 0, 1), (1, 2, 0)])
def test_estimate_does_not_depend_on_the_order_of_campaigns(plain, order):
    other = estimated(order)
    for method in ORDER:
        for place, code in enumerate(order):
            one, two = plain.contrasts[method][code], other.contrasts[method][place]
            assert (two.status, two.n_users, two.n_comparison) == (
                one.status, one.n_users, one.n_comparison
            )  # fmt: skip
            assert two.post == pytest.approx(one.post, nan_ok=True)
            assert two.expected == pytest.approx(one.expected, nan_ok=True)
            for own, its in zip(moments([one]), moments([two]), strict=True):
                assert its == pytest.approx(own, rel=1e-4, abs=1e-12, nan_ok=True)
            assert other.se_scale(place, method) == pytest.approx(plain.se_scale(code, method))
    first = {(c, w, m): z for c, w, m, z in rows_of(plain.placebos, (0, 1, 2))}
    second = {(c, w, m): z for c, w, m, z in rows_of(other.placebos, order)}
    assert first.keys() == second.keys()
    for key, z in first.items():
        assert second[key] == pytest.approx(z, rel=1e-4)


def rows_of(placebos, order):
    codes = [order[place] for place in placebos.campaigns]
    return zip(codes, placebos.weeks.tolist(), placebos.methods.tolist(), placebos.z, strict=True)


def test_estimate_of_one_campaign_alone_is_the_same_but_where_others_matter(plain):
    alone = estimated((1,))
    for method in ("classic", "holdout"):
        one, two = plain.contrasts[method][1], alone.contrasts[method][0]
        assert two.post == pytest.approx(one.post, rel=0.02)
        assert two.n_users == one.n_users


def test_estimate_tells_how_far_it_is():
    told = []
    study = study_in((0, 1))
    estimate(study, all_rates(study.panel, "keep"), on_progress=lambda *step: told.append(step))
    assert [step[1:] for step in told] == [(1, 2), (2, 2)]


def sent(persons, at=0):
    return np.zeros(len(persons)), np.asarray(persons), np.full(len(persons), at)


NOBODY = ([], [], [])
STRANGE = {
    "held out alone": ((np.ones(50), np.arange(50), np.zeros(50)), {
        "unsent": [(0, i, 0, True) for i in range(60, 99)]}),
    "everybody": (sent(range(100)), {}),
    "never seen": (sent(range(60, 140)), {"n_persons": 150}),
    "just delivered": (sent(range(50)), {"as_of": 1}),
    "just delivered, capped": (sent(range(50)), {"as_of": 1, "is_capped": True}),
    "not yet delivered": (sent(range(50), 9 * MS_PER_DAY), {"as_of": 1}),
    "nobody knows why": (sent(range(50)), {
        "layers": ["3"], "unsent": [(0, i, 0, True) for i in range(60, 99)]}),
    "one user": (sent([0]), {}),
    "a trigger that is not recorded": (sent(range(50)), {"layers": ["3"], "triggers": [TRIGGER]}),
    "an hour": (sent(range(50)), {"lengths": WindowLengths(baseline_days=7, post_hours=1)}),
    "signed up later": (sent(range(50), -9 * MS_PER_DAY), {"signed_up": [3 * MS_PER_DAY] * 100}),
}  # fmt: skip


@pytest.mark.parametrize("name", STRANGE)
def test_estimate_of_strange_sends_has_a_number_or_says_why_not(name):
    pushes, options = STRANGE[name]
    events = steady(np.random.default_rng(1), 100)
    study = study_of(events, pushes, **{"n_seen": 100, **options})
    found = estimate(study, all_rates(study.panel, "keep"))
    for one in (one for every in found.contrasts.values() for one in every):
        assert np.isnan(one.post).any() != one.is_known
        assert np.isnan(one.expected).any() != one.is_known
        assert min(one.n_users, one.n_comparison) >= 0
        assert len(one.persons) == len(one.psi_post) == len(one.psi_expected)


@pytest.mark.parametrize("n_seen", [0, 50])
def test_estimate_without_any_event_finds_nothing(n_seen):
    unsent = [(0, i, 0, True) for i in range(50, 150)]
    study = study_of(NOBODY, sent(range(50)), n_seen=n_seen, n_persons=150, unsent=unsent)
    found = estimate(study, all_rates(study.panel, "keep")).contrasts
    assert found["holdout"][0].is_known
    for one in (every[0] for every in found.values() if every[0].is_known):
        assert one.post.tolist() == one.expected.tolist() == [0, 0]
        assert not moments([one])[0].any()


def test_control_checks_count_headlines_that_found_the_control_moved():
    lifts = pd.DataFrame(
        {
            "layer": ["1", "1", "1", "2", "1", "1"],
            "metric": ["still"] * 5 + ["trades"],
            "headline": [True, True, True, True, False, True],
            "pvalue": [0.01, 0.5, np.nan, 0.3, 0.001, 0.001],
            "statistic": [2.6, -0.7, np.nan, 1.0, 5.0, 5.0],
        }
    )
    found = control_checks(lifts, "still").set_index("layer")
    assert found["n_checks"].tolist() == [2, 1]
    assert found["false_positive_share"].tolist() == [0.5, 0]
    assert found.loc["1", "spread"] == pytest.approx(np.sqrt((2.6**2 + 0.7**2) / 2))
    for layer, called in (("1", 1), ("2", 0)):
        n = int(found.loc[layer, "n_checks"])
        interval = stats.binomtest(called, n).proportion_ci(0.95, method="wilson")
        assert found.loc[layer, "false_positive_share_ci_low"] == pytest.approx(interval.low)
        assert found.loc[layer, "false_positive_share_ci_high"] == pytest.approx(interval.high)
    assert len(control_checks(lifts, "nothing")) == 0
