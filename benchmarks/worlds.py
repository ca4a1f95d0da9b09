"""Worlds to be wrong in: who did what, on whom pushes were spent, and what they truly did.

Every world is a function of random numbers alone; see `benchmarks.histories` for the effects.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.histories import LAG_HOURS, Activity, History, Send, World, starts_of
from core.activity.timelines import Int64
from core.measure.ratios import Floats

WEEK = np.array([0.95, 1.18, 1.12, 1.0, 0.95, 0.90, 0.90])
"""Activity by weekday, Tuesday the highest."""
DAY_PROFILE = 1 + 0.8 * np.cos((np.arange(24) - 20) / 24 * 2 * np.pi)
_SPELL_HOURS = 18.0


def bursts(rng: np.random.Generator, n: int, days: int) -> Activity:
    """Return users who are idle most of the time and active in spells of 18 hours on average."""
    total = days * 24.0
    start = np.clip(rng.gamma(0.8, 1 / 60 / 0.8, n), 1e-4, 0.2)
    rate = rng.gamma(2.0, 0.25, n)
    n_spells = int(total / (1 / 0.2 + _SPELL_HOURS) * 2) + 10
    idle = rng.exponential(1 / start, (n_spells, n)).T
    idle[rng.random(n) < start / (start + 1 / _SPELL_HOURS), 0] = 0.0
    active = rng.exponential(_SPELL_HOURS, (n, n_spells))
    ends = np.minimum(np.cumsum(idle + active, axis=1), total)
    starts = np.minimum(np.cumsum(idle + active, axis=1) - active, total)
    n_events = rng.poisson(rate[:, None] * (ends - starts))
    spell = np.repeat(np.arange(n * n_spells), n_events.ravel())
    hours = rng.uniform(starts.ravel()[spell], ends.ravel()[spell])
    now_and_then = rng.integers(0, n, rng.poisson(0.004 * total * n))
    return Activity(
        persons=np.concatenate([spell // n_spells, now_and_then]).astype(np.int64),
        hours=np.concatenate([hours, rng.uniform(0, total, len(now_and_then))]),
        n_persons=n,
    )


def rates(rng: np.random.Generator, n: int, mean: float, *, shape: float = 0.6) -> Floats:
    """Return heavy-tailed daily rates: many users are almost inactive."""
    return rng.gamma(shape, mean / shape, n)


def daily(
    rng: np.random.Generator,
    rate: Floats,
    days: int,
    *,
    by_day: Floats | None = None,
    dispersion: float = 0.3,
) -> Activity:
    """Return users with negative-binomial daily counts, spread over the hours of the day.

    Args:
        rng: Random numbers.
        rate: Events per day of each user, or of each user and day.
        days: Days.
        by_day: Level of all users by day.
        dispersion: Of the counts; smaller is wilder.
    """
    by_day = np.ones(days) if by_day is None else by_day
    expected = np.maximum(rate.reshape(len(rate), -1) * by_day, 1e-12)
    n_events = rng.poisson(rng.gamma(dispersion, expected / dispersion))
    cell = np.repeat(np.arange(n_events.size), n_events.ravel())
    hour = rng.choice(24, len(cell), p=DAY_PROFILE / DAY_PROFILE.sum())
    return Activity(
        persons=(cell // days).astype(np.int64),
        hours=cell % days * 24.0 + hour + rng.random(len(cell)),
        n_persons=len(rate),
    )


def calendar(
    rng: np.random.Generator, days: int, *, around: int, trend: float = 0.0, shock: float = 0.0
) -> Floats:
    """Return activity by day: weekly cycle, growth per 30 days, and shocks to everybody."""
    day = np.arange(days)
    level = WEEK[day % 7] * np.exp(np.log1p(trend) * (day - around) / 30)
    return level * np.exp(rng.normal(-(shock**2) / 2, shock, days)) if shock else level


def thinned(rng: np.random.Generator, activity: Activity, by_day: Floats) -> Activity:
    """Return activity in proportion to a level by day."""
    level = by_day[(activity.hours // 24).astype(int)] / by_day.max()
    kept = rng.random(len(level)) < level
    return Activity(
        persons=activity.persons[kept], hours=activity.hours[kept], n_persons=activity.n_persons
    )


def independent(
    rng: np.random.Generator, *, n: int, effect: float, mean: float = 1.0, others: int = 1
) -> World:
    """Return users pushed by lot, steady activity: before and after is fine here."""
    history = History(rng, daily(rng, rates(rng, n * (1 + others), mean), 62))
    pushed = np.sort(rng.choice(n * (1 + others), n, replace=False))
    hours = 58 * 24 + 9 + rng.random(n)
    history.send(Send(name="a", layer="1", persons=pushed, hours=hours, effect=effect))
    return history.world()


def small(rng: np.random.Generator, *, n: int, mean: float, effect: float = 0.0) -> World:
    """Return few pushed users among four times as many, most of them rarely active."""
    return independent(rng, n=n, effect=effect, mean=mean, others=4)


def fired(rng: np.random.Generator, activity: Activity, day: int) -> tuple[Int64, Floats, Floats]:
    """Return who did something on a day, when first, and when the rule answers: 2 to 6 h later."""
    today = activity.hours // 24 == day
    first = np.full(activity.n_persons, np.inf)
    np.minimum.at(first, activity.persons[today], activity.hours[today])
    persons = np.flatnonzero(np.isfinite(first))
    return persons, first[persons], first[persons] + rng.uniform(*LAG_HOURS, len(persons))


def by_intensity(
    rng: np.random.Generator, activity: Activity, persons: Int64, hours: Floats
) -> NDArray[np.bool_]:
    """Choose with probability .3, .5 or .7 by the events of the last 24 hours."""
    starts = starts_of(persons, hours - 24, activity.n_persons)
    recent = activity.counts(starts, 24)[persons]
    return rng.random(len(persons)) < np.where(recent < 3, 0.3, np.where(recent < 8, 0.5, 0.7))


def triggered_send(
    history: History, name: str, day: int, *, effect: float, chosen: str = "some",
    holdout: float = 0.0, is_recorded: bool = False,
) -> Send:  # fmt: skip
    """Return a layer 3 send set off by the day's first event."""
    rng, now = history.rng, history.now
    persons, triggered, hours = fired(rng, now, day)
    if chosen == "some":
        rows = by_intensity(rng, now, persons, hours)
        persons, triggered, hours = persons[rows], triggered[rows], hours[rows]
    out = rng.random(len(persons)) < holdout
    return Send(
        name=name, layer="3", persons=persons[~out], hours=hours[~out],
        effect=effect, triggered=triggered[~out], is_recorded=is_recorded,
        held=persons[out], held_hours=hours[out],
    )  # fmt: skip


def triggered(
    rng: np.random.Generator, *, effect: float = 0.0, rule: str = "known", chosen: str = "some",
    holdout: float = 0.0, n: int = 1500, days: int = 46, open_at: float | None = None,
) -> World:  # fmt: skip
    """Return a triggered send on a day, to some or all of those who set it off.

    Args:
        rng: Random numbers.
        effect: True relative effect.
        rule: "recorded": the automation and the instants of the trigger are known; "known": the
            automation only; "data": neither.
        chosen: "some", by recent activity, or "all".
        holdout: Share of the chosen that is held out at random.
        n: Users.
        days: Of activity.
        open_at: Hours after the day's beginning at which everything is looked at.
    """
    day = days - 5
    history = History(rng, bursts(rng, n, days))
    send = triggered_send(
        history, "a", day, effect=effect, chosen=chosen, holdout=holdout,
        is_recorded=rule == "recorded",
    )  # fmt: skip
    history.send(send)
    until = None if open_at is None else day * 24 + open_at
    return history.world(until=until, rule="data" if rule == "data" else "known")


def tuesday(
    rng: np.random.Generator, *, trend: float = 0.0, shock: float = 0.0, hot: str = "observed",
    effect: float = 0.0, n: int = 1000,
) -> World:  # fmt: skip
    """Return a send on the busiest weekday, rather to hot users."""
    days, day = 72, 64
    rate = rates(rng, n, 1.0)
    by_day = calendar(rng, days, around=day, trend=trend, shock=shock)
    history = History(rng, daily(rng, rate, days, by_day=by_day))
    counts = history.now.counts(np.full(n, (day - 28) * 24.0), 28 * 24.0)
    strength = rate if hot == "latent" else counts
    chosen = rng.random(n) < np.where(strength > np.median(strength), 0.7, 0.3)
    hours = day * 24 + 9 + rng.random(int(chosen.sum()))
    history.send(
        Send(name="a", layer="1", persons=np.flatnonzero(chosen), hours=hours, effect=effect)
    )
    return history.world()


def overlapping(
    rng: np.random.Generator, *, receipt: str, effect: float = 0.0, others: float = 0.4,
    n: int = 1500,
) -> World:  # fmt: skip
    """Return a campaign among ten others of real effect, whose windows reach into its own.

    Args:
        rng: Random numbers.
        receipt: "random"; "propensity": some users get more of everything; "heavy": active users
            do; "follow-up": those sent to are mostly sent to again a day later.
        effect: Of the tested campaign.
        others: Of each other one.
        n: Users.
    """
    days, day = 64, 50
    by_day = calendar(rng, days, around=day)
    history = History(rng, daily(rng, rates(rng, n, 1.0), days, by_day=by_day))
    send_days = rng.choice(np.arange(8, 61), 11, replace=False)
    send_days = {int(d) for d in send_days if abs(d - day) > 1} | {day}
    send_days |= {day + 1} if receipt == "follow-up" else set()
    inclined = rng.beta(2, 2, n)
    tested = np.zeros(n, dtype=bool)
    for at in sorted(send_days):
        if receipt == "follow-up" and at == day + 1:
            share = np.where(tested, 0.7, 0.2)
        elif receipt == "heavy":
            counts = history.now.counts(np.full(n, (at - 28) * 24.0 + 9), 28 * 24.0)
            share = 0.2 + 0.6 * np.argsort(np.argsort(counts + rng.random(n))) / n
        else:
            share = np.full(n, 0.5) if receipt == "random" else inclined
        chosen = rng.random(n) < share
        tested = chosen if at == day else tested
        hours = at * 24 + 9 + rng.random(int(chosen.sum()))
        history.send(
            Send(
                name="a" if at == day else f"day {at}",
                layer="1",
                persons=np.flatnonzero(chosen),
                hours=hours,
                effect=effect if at == day else others,
            )
        )
    return history.world({"a": "a"})


def everything(rng: np.random.Generator, *, effect: float = 0.0, n: int = 1500) -> World:
    """Return all three layers at once, over weekly cycle, growth and shocks."""
    days = 66
    by_day = calendar(rng, days, around=58, trend=0.1, shock=0.1)
    history = History(rng, thinned(rng, bursts(rng, n, days), by_day))
    for day in range(34, 62):
        if day % 7 == 1:
            history.send(_to_all(history, f"all {day}", day, effect=effect))
        if day % 7 == 3:
            history.send(_to_heavy(history, f"segment {day}", day, effect=effect))
        if day >= 54 or day % 7 == 4:
            history.send(triggered_send(history, f"offer {day}", day, effect=effect))
    return history.world(
        {send.name: f"layer {send.layer}" for send in history.sends if send.hours.min() > 47 * 24}
    )


def _to_all(history: History, name: str, day: int, *, effect: float) -> Send:
    rng, n = history.rng, history.now.n_persons
    out = rng.random(n) < 0.15
    hours = day * 24 + 9 + rng.random(n)
    return Send(
        name=name, layer="1", persons=np.flatnonzero(~out), hours=hours[~out], effect=effect,
        held=np.flatnonzero(out), held_hours=hours[out],
    )  # fmt: skip


def _to_heavy(history: History, name: str, day: int, *, effect: float) -> Send:
    rng, n = history.rng, history.now.n_persons
    counts = history.now.counts(np.full(n, (day - 28) * 24.0 + 15), 28 * 24.0)
    order = np.argsort(np.argsort(counts + rng.random(n))) / n
    chosen = rng.random(n) < 0.15 + 0.5 * order
    hours = day * 24 + 15 + rng.random(int(chosen.sum()))
    return Send(name=name, layer="2", persons=np.flatnonzero(chosen), hours=hours, effect=effect)


def still_open(rng: np.random.Generator, *, observed: float, effect: float = 0.0) -> World:
    """Return an evening send to some at random, looked at some hours later."""
    n, day = 1000, 58
    history = History(rng, daily(rng, rates(rng, n, 2.0), 62))
    chosen = rng.random(n) < 0.5
    hours = np.full(int(chosen.sum()), day * 24 + 18.0)
    history.send(
        Send(name="a", layer="1", persons=np.flatnonzero(chosen), hours=hours, effect=effect)
    )
    return history.world(until=day * 24 + 18 + observed)


def layer(
    rng: np.random.Generator, *, spread: float, mean: float = 0.1, k: int = 10, n: int = 800
) -> World:
    """Return campaigns of normal log effects, sent to the same users again and again.

    Who gets one mostly gets all, and users' activity drifts over weeks: the errors of neighbouring
    campaigns are then much the same.
    """
    days = 32 + 3 * k + 2
    rate = drifting(rng, rates(rng, n, 1.0), days)
    history = History(rng, daily(rng, rate, days, dispersion=3.0))
    share = np.where(rng.random(n) < 0.5, 0.9, 0.1)
    effects = np.expm1(rng.normal(np.log1p(mean), spread, k))
    for code, effect in enumerate(effects):
        chosen = rng.random(n) < share
        hours = (32 + 3 * code) * 24 + 9 + rng.random(int(chosen.sum()))
        send = Send(
            name=f"{code:02}", layer="1", persons=np.flatnonzero(chosen), hours=hours,
            effect=float(effect),
        )  # fmt: skip
        history.send(send)
    return history.world()


def drifting(
    rng: np.random.Generator, rate: Floats, days: int, *, sd: float = 0.8, weeks: float = 3.0
) -> Floats:
    """Return each user's rate by day, wandering about the user's own: AR(1) in the logarithm."""
    keep = np.exp(-1 / (7 * weeks))
    wander = np.empty((len(rate), days))
    wander[:, 0] = rng.normal(0, sd, len(rate))
    steps = rng.normal(0, sd * np.sqrt(1 - keep**2), (len(rate), days))
    for day in range(1, days):
        wander[:, day] = keep * wander[:, day - 1] + steps[:, day]
    return rate[:, None] * np.exp(wander - sd**2 / 2)
