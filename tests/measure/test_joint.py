"""All campaigns in one regression, against dense weighted least squares with every dummy."""

import numpy as np
import pytest

from core.activity.timelines import MS_PER_DAY
from core.measure.joint import joint
from core.measure.study import Trigger
from core.measure.windows import NEVER
from tests.measure.studies import more_after, steady, study_of
from tests.measure.worlds import T

N, DAYS = 70, 24
HOUR = 3_600_000


def pushes_of(rng, n=N, *, days=(-9, -5, -4), share=0.55):
    """Return campaigns at some days to some users each, sorted, at hours of their own."""
    parts = []
    for code, day in enumerate(days):
        persons = np.flatnonzero(rng.random(n) < share)
        at = day * MS_PER_DAY + rng.integers(0, 12 * HOUR, len(persons))
        parts.append((np.full(len(persons), code), persons, at))
    return tuple(np.concatenate(part) for part in zip(*parts, strict=True))


def study_from(rng, *, effect=0.0, n=N, signed_up=None, **options):
    pushes = options.pop("pushes", None) or pushes_of(rng, n)
    events = steady(rng, n, start=-30)
    if effect:
        rows = pushes[0] == 0
        events = more_after(rng, events, pushes[1][rows], pushes[2][rows], effect)
    if signed_up is not None:
        there = (
            events[1]
            >= np.where(np.array(signed_up) == NEVER, -99 * MS_PER_DAY, signed_up)[events[0]]
        )
        events = tuple(part[there] for part in events)
    options = {"n_seen": n, "as_of": 0, "since": -DAYS * MS_PER_DAY, **options}
    return study_of(events, pushes, signed_up=signed_up, **options)


def dense(study, metric):
    """Return coefficients and their covariance by user, from one row per user and day."""
    panel, n, n_campaigns = study.panel, len(study.signed_up), study.panel.n_campaigns
    first = study.panel.sends.as_of - DAYS * MS_PER_DAY
    starts = first + np.arange(DAYS) * MS_PER_DAY
    rows, y, users = [], [], []
    counts = np.zeros((n, DAYS))
    for day, start in enumerate(starts):
        counts[:, day] = panel.index.count_between(
            metric, np.arange(n), np.full(n, start), np.full(n, start + MS_PER_DAY)
        )
    there = study.signed_up[:, None] <= starts
    usual = np.where(there, counts, 0).sum(axis=1) / there.sum(axis=1)
    own = [[] for _ in range(n)]
    for code, user, at in zip(panel.campaigns, panel.persons, panel.sends.instants, strict=True):
        own[user].append((int(code), int(at)))
    for user in range(n):
        for day, start in enumerate(starts.tolist()):
            if not there[user, day] or usual[user] == 0:
                continue
            z = np.zeros(n_campaigns)
            for code, at in own[user]:
                low, high = max(at, start), min(at + 48 * HOUR, start + MS_PER_DAY)
                z[code] += max(0, high - low) / MS_PER_DAY
            rows.append(np.concatenate([z, np.eye(n)[user], np.eye(DAYS)[day]]))
            y.append(counts[user, day] / usual[user])
            users.append(user)
    x, y, users = np.array(rows), np.array(y), np.array(users)
    root = np.sqrt(usual[users])
    inverse = np.linalg.pinv((x * root[:, None]).T @ (x * root[:, None]), hermitian=True)
    beta = np.linalg.lstsq(x * root[:, None], y * root, rcond=None)[0]
    residual = y - x @ beta
    scores = np.zeros((n, x.shape[1]))
    np.add.at(scores, users, x * (usual[users] * residual)[:, None])
    covariance = inverse @ (scores.T @ scores) @ inverse * n / (n - 1)
    return beta[:n_campaigns], covariance[:n_campaigns, :n_campaigns], usual


def relative(study, found, metric, usual):
    """Return each campaign's effect relative to the usual rate, and the errors."""
    rates = [usual[study.pushed(code).persons].mean() for code in range(len(found))]
    psi = [one.psi_post.astype(float) - one.psi_expected for one in found]
    return [
        (
            (one.post - one.expected)[metric] / rate,
            np.sqrt((own[:, metric] ** 2).sum()) / rate,
        )
        for one, own, rate in zip(found, psi, rates, strict=True)
    ]


@pytest.fixture(scope="module", params=["everybody there", "some sign up later"])
def world(request):
    rng = np.random.default_rng(1)
    signed_up = np.full(N, NEVER)
    if request.param != "everybody there":
        signed_up[:20] = rng.integers(-DAYS * MS_PER_DAY, -10 * MS_PER_DAY, 20)
    return study_from(rng, effect=0.8, signed_up=signed_up)


@pytest.mark.parametrize("metric", [0, 1])
def test_joint_is_weighted_least_squares_with_user_and_day_dummies(world, metric):
    beta, covariance, usual = dense(world, metric)
    found = joint(world)
    assert [one.status for one in found] == ["ok"] * 3
    said = relative(world, found, metric, usual)
    assert [effect for effect, _ in said] == pytest.approx(beta.tolist(), abs=1e-6)
    assert [error for _, error in said] == pytest.approx(np.sqrt(np.diag(covariance)), rel=1e-4)


def test_joint_says_on_whom_it_rests(world):
    for code, one in enumerate(joint(world)):
        pushed = world.pushed(code)
        counts = world.panel.counts.n_post[world.panel.segments[code]]
        assert one.post == pytest.approx(counts.mean(axis=0) / 2)
        assert one.n_users == len(pushed)
        assert np.isin(pushed.persons, one.persons).all()
        assert len(np.unique(one.persons)) == len(one.persons)


def test_joint_covers_a_planted_effect_and_finds_none_elsewhere():
    found = joint(study_from(np.random.default_rng(2), effect=1.0, n=400))
    psi = [(one.psi_post.astype(float) - one.psi_expected)[:, 0] for one in found]
    ratio = np.array([(one.post / one.expected - 1)[0] for one in found])
    error = np.sqrt([(own**2).sum() for own in psi]) / [one.expected[0] for one in found]
    assert abs(ratio[0] - 1.0) < 3 * error[0] + 0.3
    assert ratio[0] > 4 * error[0]
    assert (np.abs(ratio[1:]) < 3 * error[1:]).all()


def test_joint_days_before_a_sign_up_are_missing_not_empty():
    """Users who come at day -6 and are then sent to would look like a great success."""
    rng = np.random.default_rng(3)
    signed_up = np.where(np.arange(N) < 35, -6 * MS_PER_DAY, NEVER)
    persons = np.flatnonzero((np.arange(N) < 35) | (rng.random(N) < 0.2))
    pushes = (np.zeros(len(persons)), persons, np.full(len(persons), -3 * MS_PER_DAY))
    study = study_from(rng, pushes=pushes, signed_up=signed_up)
    blind = study_of(
        tuple(steady(np.random.default_rng(4), N, start=-30)), pushes, n_seen=N, as_of=0,
        since=-DAYS * MS_PER_DAY,
    )  # fmt: skip
    one = joint(study)[0]
    psi = (one.psi_post.astype(float) - one.psi_expected)[:, 0]
    assert abs((one.post - one.expected)[0]) < 3 * np.sqrt((psi**2).sum())
    assert joint(blind)[0].status == "ok"


def status(study, code=0):
    return joint(study)[code].status


def test_joint_says_why_there_is_no_number():
    rng = np.random.default_rng(5)
    trigger = Trigger(event=0, source="data", min_lag_ms=1, max_lag_ms=2)
    assert status(study_from(rng, since=-13 * MS_PER_DAY)) == "too_few_days"
    assert status(study_from(rng, layers=["3", "1", "1"])) == "triggered_sends"
    assert status(study_from(rng, triggers=[None, None, trigger]), 2) == "triggered_sends"
    assert status(study_from(rng, as_of=-4 * MS_PER_DAY + 13 * HOUR), 2) == "window_open"
    few = (np.zeros(29), np.arange(29), np.full(29, -5 * MS_PER_DAY))
    assert status(study_from(rng, pushes=few)) == "too_few_users"
    nobody = study_of(([0], [0], [0]), ([0], [0], [-5]), n_seen=20, as_of=0)
    assert status(nobody) == "too_few_days"


@pytest.mark.parametrize("spread", [0, HOUR])
def test_joint_cannot_separate_what_everybody_got_from_the_day(spread):
    rng = np.random.default_rng(6)
    at = -5 * MS_PER_DAY + rng.integers(0, spread + 1, N)
    assert status(study_from(rng, pushes=(np.zeros(N), np.arange(N), at))) == "not_separable"
    but_one = (np.zeros(N - 1), np.arange(N - 1), at[1:])
    assert status(study_from(rng, pushes=but_one)) == "not_separable"


def test_joint_cannot_separate_two_campaigns_to_the_same_people_minutes_apart():
    rng = np.random.default_rng(7)
    persons = np.flatnonzero(np.arange(N) % 2)
    at = np.full(len(persons), -5 * MS_PER_DAY)
    pushes = (
        np.repeat([0, 1], len(persons)),
        np.tile(persons, 2),
        np.concatenate([at, at + HOUR // 6]),
    )
    assert [one.status for one in joint(study_from(rng, pushes=pushes))] == ["not_separable"] * 2


def test_joint_does_not_depend_on_the_order_of_campaigns():
    rng = np.random.default_rng(8)
    codes, persons, at = pushes_of(rng)
    turned = np.array([2, 0, 1])[codes]
    order = np.argsort(turned, kind="stable")
    plain = joint(study_from(np.random.default_rng(9), pushes=(codes, persons, at)))
    other = joint(
        study_from(np.random.default_rng(9), pushes=(turned[order], persons[order], at[order]))
    )
    for code, place in ((0, 2), (1, 0), (2, 1)):
        assert other[place].expected == pytest.approx(plain[code].expected)
        assert other[place].persons.tolist() == plain[code].persons.tolist()
        assert other[place].psi_expected == pytest.approx(plain[code].psi_expected, abs=1e-6)


def test_joint_takes_in_persons_never_seen():
    rng = np.random.default_rng(10)
    codes, persons, at = pushes_of(rng)
    more = (np.append(codes, 2), np.append(persons, N), np.append(at, -4 * MS_PER_DAY))
    study = study_of(
        steady(rng, N, start=-30), more, n_seen=N, n_persons=N + 1, as_of=0,
        since=-DAYS * MS_PER_DAY,
    )  # fmt: skip
    one = joint(study)[2]
    counts = study.panel.counts.n_post[study.panel.segments[2]]
    assert one.post == pytest.approx(counts.mean(axis=0) / 2)
    assert one.n_users == len(counts)
    assert study.first_event[N] > T


def test_joint_cannot_separate_the_halves_of_an_ab_split_sent_at_one_instant():
    rng = np.random.default_rng(11)
    at = np.full(N, -5 * MS_PER_DAY)
    order = np.argsort(np.arange(N) % 2, kind="stable")
    pushes = (np.sort(np.arange(N) % 2), order, at)
    found = joint(study_from(rng, n=N, pushes=pushes))
    assert [one.status for one in found] == ["not_separable"] * 2


def test_joint_cannot_separate_a_campaign_from_its_copy():
    rng = np.random.default_rng(12)
    persons = np.flatnonzero(np.arange(N) % 2)
    at = np.full(2 * len(persons), -5 * MS_PER_DAY)
    pushes = (np.repeat([0, 1], len(persons)), np.tile(persons, 2), at)
    found = joint(study_from(rng, pushes=pushes))
    assert [one.status for one in found] == ["not_separable"] * 2


def test_joint_never_counts_fewer_than_nobody_to_compare_with():
    rng = np.random.default_rng(13)
    n, silent = 100, np.arange(40)
    events = steady(rng, n, start=-30)
    kept = ~np.isin(events[0], silent)
    events = tuple(
        np.concatenate([part[kept], more])
        for part, more in zip(
            events, (silent, np.full(40, -50 * MS_PER_DAY), np.zeros(40)), strict=True
        )
    )
    pushes = (np.zeros(40), silent, np.full(40, -5 * MS_PER_DAY))
    study = study_of(events, pushes, n_seen=n, as_of=0, since=-DAYS * MS_PER_DAY)
    assert joint(study)[0].n_comparison >= 0
