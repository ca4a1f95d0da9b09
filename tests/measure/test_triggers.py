"""What sets a campaign off, and whom the rule would have reached, against a plain loop."""

import numpy as np
import pytest

from core.activity.timelines import MS_PER_HOUR, from_rows
from core.measure.study import Trigger
from core.measure.triggers import USUAL_LAG_MS, pseudo_sends, recognise
from core.measure.windows import NEVER, EventIndex
from tests.measure.studies import moments_of, study_of, whole
from tests.measure.worlds import T

LAG = 3 * MS_PER_HOUR
WEEK = 7 * 24 * MS_PER_HOUR
RECORDED = Trigger(event=0, source="trigger_at", min_lag_ms=1, max_lag_ms=24 * MS_PER_HOUR)
N = 50


def index_of(rows):
    persons, instants, kinds = (whole([row[i] for row in rows]) for i in range(3))
    ids = [f"{i:03}" for i in range(N)]
    return EventIndex(from_rows(ids, persons, T + instants, kinds, event_names=("a", "b")))


@pytest.fixture
def fired():
    """Everybody does the second event at an hour of their own, and is sent to 3 h later."""
    at = np.arange(N) * 60_000
    return index_of([(i, int(t), 1) for i, t in enumerate(at)]), moments_of(range(N), at + LAG)


def recognised(index, pushed, triggered_at=None, *, event=None, delay_ms=None):
    at = np.full(len(pushed), NEVER) if triggered_at is None else T + whole(triggered_at)
    return recognise(index, pushed, at, event=event, delay_ms=delay_ms, n_events=2)


def test_recognise_believes_the_automation_first(fired):
    found = recognised(*fired, event=0, delay_ms=(5, 7))
    assert (found.event, found.source) == (0, "automation")
    assert (found.min_lag_ms, found.max_lag_ms) == (5, 7)


def test_recognise_an_automation_that_names_no_delay_takes_the_usual_one(fired):
    found = recognised(*fired, event=0)
    assert (found.min_lag_ms, found.max_lag_ms) == (USUAL_LAG_MS[0], 24 * MS_PER_HOUR)


def test_recognise_by_the_event_at_the_recorded_instants(fired):
    found = recognised(*fired, np.arange(N) * 60_000 + 900)
    assert (found.event, found.source) == (1, "trigger_at")


def test_recognise_by_records_needs_them_for_most_pushes():
    rows = [(i, 0, 1) for i in range(N)]
    index, pushed = index_of(rows), moments_of(range(N), [9 * MS_PER_HOUR] * N)
    at = np.zeros(N, dtype=np.int64) + T
    few = np.where(np.arange(N) < 39, at, NEVER)
    some = np.where(np.arange(N) < 40, at, NEVER)
    options = {"event": None, "delay_ms": None, "n_events": 2}
    assert recognise(index, pushed, few, **options) is None
    assert recognise(index, pushed, some, **options).event == 1


def test_recognise_by_records_of_an_event_that_is_not_tracked_finds_none():
    index, pushed = index_of([(0, 5, 0)]), moments_of(range(N), [9 * MS_PER_HOUR] * N)
    assert recognised(index, pushed, np.zeros(N)) is None


def test_recognise_in_the_data_what_sends_follow_by_hours(fired):
    found = recognised(*fired)
    assert (found.event, found.source) == (1, "data")
    assert (found.min_lag_ms, found.max_lag_ms) == USUAL_LAG_MS


@pytest.mark.parametrize("share", [0.78, 0.8])
def test_recognise_in_the_data_needs_most_sends(share):
    rows = [(i, 0, 0) for i in range(round(N * share))]
    found = recognised(index_of(rows), moments_of(range(N), [LAG] * N))
    assert (found is not None) == (share >= 0.8)


def test_recognise_in_the_data_not_what_everybody_does_every_week():
    rows = [(i, back, 0) for i in range(N) for back in (0, -WEEK)]
    assert recognised(index_of(rows), moments_of(range(N), [LAG] * N)) is None


@pytest.mark.parametrize("lag", [1.9, 6.1])
def test_recognise_in_the_data_not_what_lies_nearer_or_farther(lag):
    rows = [(i, 0, 0) for i in range(N)]
    pushed = moments_of(range(N), [round(lag * MS_PER_HOUR)] * N)
    assert recognised(index_of(rows), pushed) is None


def test_recognise_without_recipients_finds_none():
    assert recognised(index_of([(0, 0, 0)]), moments_of([], [])) is None


def triggered_study(rng, *, recorded=True, n=80, share=0.5, back=0, trigger=RECORDED):
    """Return a study of sends 3 h after the first trigger of the day, to some; and all triggers."""
    n_events = rng.integers(0, 4, n)
    persons = np.repeat(np.arange(n), n_events)
    at = rng.integers(0, 8 * MS_PER_HOUR, len(persons)) - back * WEEK
    first = np.full(n, np.iinfo(np.int64).max)
    np.minimum.at(first, persons, at)
    sent = np.flatnonzero((n_events > 0) & (rng.random(n) < share))
    study = study_of(
        (persons, at, np.zeros(len(persons))),
        (np.zeros(len(sent)), sent, first[sent] + back * WEEK + LAG),
        n_seen=n, layers=["3"], triggers=[trigger],
        triggered_at=first[sent] + back * WEEK if recorded else None,
    )  # fmt: skip
    return study, persons, at, first[sent]


@pytest.mark.parametrize("seed", range(3))
def test_pseudo_sends_are_each_persons_first_trigger_and_the_lag(seed):
    study, persons, at, triggers = triggered_study(np.random.default_rng(seed))
    found = pseudo_sends(study, 0)
    since, until = triggers.min(), triggers.max()
    expected = {}
    for person, t in zip(persons.tolist(), at.tolist(), strict=True):
        if since <= t <= until:
            expected[person] = min(t, expected.get(person, t))
    assert dict(zip(found.persons.tolist(), (found.instants - T - LAG).tolist(), strict=True)) == (
        expected
    )


@pytest.mark.parametrize("seed", range(3))
def test_pseudo_sends_give_recipients_their_own_send(seed):
    study, *_ = triggered_study(np.random.default_rng(seed))
    found = pseudo_sends(study, 0)
    pushed = study.pushed(0)
    at = dict(zip(found.persons.tolist(), found.instants.tolist(), strict=True))
    own = dict(zip(pushed.persons.tolist(), pushed.instants.tolist(), strict=True))
    assert {person: at[person] for person in own} == own
    assert len(at) > len(own)


def test_pseudo_sends_earlier_are_the_same_rule_weeks_before():
    now, *_ = triggered_study(np.random.default_rng(1))
    then, *_ = triggered_study(np.random.default_rng(1), back=2)
    expected, found = pseudo_sends(now, 0), pseudo_sends(then, 0, weeks_earlier=2)
    assert found.persons.tolist() == expected.persons.tolist()
    assert (found.instants == expected.instants - 2 * WEEK).all()
    assert len(pseudo_sends(then, 0)) == 0


@pytest.mark.parametrize("seed", range(3))
def test_pseudo_sends_with_varying_lags_keep_to_the_hours_of_the_campaign(seed):
    rng = np.random.default_rng(seed)
    n = 200
    at = rng.integers(0, 10 * MS_PER_HOUR, 3 * n)
    persons = np.tile(np.arange(n), 3)
    sent = np.arange(0, n, 2)
    chosen = at[rng.integers(0, 3, len(sent)) * n + sent]
    lags = rng.integers(2 * MS_PER_HOUR, 6 * MS_PER_HOUR, len(sent))
    study = study_of(
        (persons, at, np.zeros(3 * n)), (np.zeros(len(sent)), sent, chosen + lags),
        n_seen=n, layers=["3"], triggers=[RECORDED], triggered_at=chosen,
    )  # fmt: skip
    found = pseudo_sends(study, 0)
    pushed = study.pushed(0).instants
    assert len(np.unique(found.persons)) == len(found) > 100
    assert found.instants.min() >= pushed.min()
    assert found.instants.max() <= pushed.max()
    own = at.reshape(3, n)[:, found.persons]
    lag = found.instants - T - own
    assert np.isin(lag, lags).any(axis=0).all()
    again = pseudo_sends(study, 0)
    assert (again.instants == found.instants).all()


def test_pseudo_sends_outside_the_hours_of_the_campaign_do_not_count():
    """Sends 5 h after the first and 2 h after the last trigger: 5 and 6 o'clock."""
    hour, n = MS_PER_HOUR, 60
    at = np.where(np.arange(n) % 2, 4 * hour, 0)
    study = study_of(
        (np.arange(n), at, np.zeros(n)), ([0, 0], [0, 1], [5 * hour, 6 * hour]), n_seen=n,
        layers=["3"], triggers=[RECORDED], triggered_at=[0, 4 * hour],
    )  # fmt: skip
    found = pseudo_sends(study, 0)
    assert 0 < len(found) < n
    assert set((found.instants - T).tolist()) == {5 * hour, 6 * hour}


def test_pseudo_sends_where_any_trigger_is_answered_take_the_first_that_fits():
    hour = MS_PER_HOUR
    rows = [(0, 0), (1, 0), (1, 4 * hour), (2, 0), (2, 4 * hour), (3, 5 * hour), (4, -hour)]
    persons, at = (whole(part) for part in zip(*rows, strict=True))
    study = study_of(
        (persons, at, np.zeros(len(rows))),
        ([0, 0, 0], [0, 1, 2], whole([0, 4 * hour, 4 * hour]) + LAG),
        n_seen=5, layers=["3"], triggers=[RECORDED], triggered_at=[0, 4 * hour, 4 * hour],
    )  # fmt: skip
    found = pseudo_sends(study, 0)
    assert found.persons.tolist() == [0, 1, 2]
    assert (found.instants - T - LAG).tolist() == [0, 0, 0]


def test_pseudo_sends_without_records_take_the_earliest_event_within_reach():
    trigger = Trigger(
        event=0, source="data", min_lag_ms=2 * MS_PER_HOUR, max_lag_ms=6 * MS_PER_HOUR
    )
    study, persons, at, triggers = triggered_study(
        np.random.default_rng(2), recorded=False, trigger=trigger
    )
    found = pseudo_sends(study, 0)
    starts = triggers + LAG - 2 * MS_PER_HOUR
    reach = {
        person: t
        for person, t in zip(persons.tolist(), at.tolist(), strict=True)
        if starts.min() <= t <= starts.max()
    }
    assert set(found.persons.tolist()) <= set(reach)
    assert len(np.unique(found.persons)) == len(found) > 0
    assert (found.instants >= study.pushed(0).instants.min()).all()
    assert (found.instants <= study.pushed(0).instants.max()).all()


def test_pseudo_sends_without_any_lag_are_none():
    study = study_of(
        ([0], [50 * MS_PER_HOUR], [0]), ([0, 0], [0, 1], [0, 5]),
        n_seen=2, layers=["3"], triggers=[RECORDED],
    )  # fmt: skip
    assert len(pseudo_sends(study, 0)) == 0


def test_pseudo_sends_of_an_unknown_trigger_raise():
    study = study_of(([0], [0], [0]), ([0], [0], [5]), n_seen=1, layers=["3"])
    with pytest.raises(ValueError, match="trigger is not known"):
        pseudo_sends(study, 0)


def test_pseudo_sends_of_records_that_lie_after_the_sends_go_by_the_data():
    """Clocks that disagree: what is recorded as the cause comes after the send."""
    study = study_of(
        ([0, 1], [0, 0], [0, 0]), ([0, 0], [0, 1], [LAG, LAG + 1]), n_seen=2, layers=["3"],
        triggers=[RECORDED], triggered_at=[LAG + 50, LAG + 60],
    )  # fmt: skip
    found = pseudo_sends(study, 0)
    assert len(np.unique(found.persons)) == len(found)
