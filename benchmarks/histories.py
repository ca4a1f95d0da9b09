"""Activity as it would have been without any push, and what pushes of known effect make of it.

A push copies (or, for a negative effect, removes) each event of its window with a probability
that is its relative effect, so that the true relative effect on whoever was pushed is known
whatever decided on whom that was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray

from core.activity.timelines import MS_PER_DAY, MS_PER_HOUR, Int64, Timelines, from_rows
from core.measure.panel import Panel
from core.measure.ratios import Floats
from core.measure.state import Moments
from core.measure.study import Study, Trigger, Unsent, first_events
from core.measure.triggers import recognise
from core.measure.windows import NEVER, EventIndex, Sends, WindowLengths, count_windows

ORIGIN = 20_696 * MS_PER_DAY
"""A Monday, midnight UTC."""
WINDOW_HOURS = 48.0
LAG_HOURS = (2.0, 6.0)
"""How long after its trigger a triggered push goes out."""
_JITTER_HOURS = 0.15


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Send:
    """One campaign: whom, when, and who was left out.

    Attributes:
        name: Campaign id.
        layer: "1", "2" or "3".
        persons: Int64[pushes].
        hours: When, hours since ORIGIN.
        effect: True relative effect on activity in the 48 hours after.
        triggered: When what set each push off happened, hours; None for scheduled sends.
        is_recorded: Whether the push database holds `triggered`.
        held: Held out at random, and when they would have been sent to.
        held_hours: Hours of those.
    """

    name: str
    layer: str
    persons: Int64
    hours: Floats
    effect: float = 0.0
    triggered: Floats | None = None
    is_recorded: bool = False
    held: Int64 = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    held_hours: Floats = field(default_factory=lambda: np.empty(0))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class World:
    """A study and its truth.

    Attributes:
        study: What the estimators may look at.
        truth: True relative effect of each campaign on those it was sent to.
        tested: Campaigns worth estimating: what to call each, and its code.
    """

    study: Study
    truth: Floats
    tested: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Activity:
    """Events: who, and hours since ORIGIN; in no order.

    Attributes:
        persons: Int64[events].
        hours: Floats[events].
        n_persons: Persons, those without an event included.
    """

    persons: Int64
    hours: Floats
    n_persons: int

    def within(self, starts: Floats, length: float) -> NDArray[np.bool_]:
        """Say which events lie in [start, start + length) of their person, NaN for no start."""
        since = self.hours - starts[self.persons]
        return (since >= 0) & (since < length)

    def counts(self, starts: Floats, length: float) -> Floats:
        """Return each person's events in [start, start + length)."""
        rows = self.within(starts, length)
        return np.bincount(self.persons[rows], minlength=self.n_persons).astype(float)


def starts_of(persons: Int64, hours: Floats, n_persons: int) -> Floats:
    """Return each person's instant, NaN for those without one."""
    starts = np.full(n_persons, np.nan)
    starts[persons] = hours
    return starts


class History:
    """Activity with the effects of pushes sent one after the other."""

    def __init__(self, rng: np.random.Generator, base: Activity) -> None:
        """Start from activity without any push."""
        self.rng, self.base, self.now = rng, base, base
        self.sends: list[Send] = []
        self._usual = np.ones(len(base.hours))

    def send(self, send: Send) -> None:
        """Let a push have its effect on the events that would have happened without any."""
        self.sends.append(send)
        if not send.effect:
            return
        starts = starts_of(send.persons, send.hours, self.base.n_persons)
        rows = np.flatnonzero(self.base.within(starts, WINDOW_HOURS))
        self._usual[rows] += send.effect
        if send.effect < 0:
            self._remove(starts, -send.effect)
            return
        rows = np.repeat(rows, self.rng.poisson(send.effect, len(rows)))
        persons, hours = self.base.persons[rows], self.base.hours[rows]
        later = hours + self.rng.uniform(0, _JITTER_HOURS, len(rows))
        inside = later - starts[persons] < WINDOW_HOURS
        self.now = Activity(
            persons=np.concatenate([self.now.persons, persons]),
            hours=np.concatenate([self.now.hours, np.where(inside, later, hours)]),
            n_persons=self.base.n_persons,
        )

    def _remove(self, starts: Floats, share: float) -> None:
        gone = self.now.within(starts, WINDOW_HOURS)
        gone &= self.rng.random(len(gone)) < share
        self.now = Activity(
            persons=self.now.persons[~gone], hours=self.now.hours[~gone],
            n_persons=self.base.n_persons,
        )  # fmt: skip

    def truth(self, send: Send) -> float:
        """Return a push's relative effect, given that the other pushes were sent as they were."""
        if not send.effect:
            return 0.0
        starts = starts_of(send.persons, send.hours, self.base.n_persons)
        usual = self._usual[self.base.within(starts, WINDOW_HOURS)]
        without = (usual - send.effect).sum()
        return send.effect * len(usual) / without if without > 0 else np.nan

    def world(
        self,
        tested: Mapping[str, str] | None = None,
        *,
        until: float | None = None,
        rule: str = "known",
        least_week: float = 0.0,
    ) -> World:
        """Return the study and truth of what was sent.

        Args:
            tested: Campaigns worth estimating and what to call them; left out: all.
            until: Nothing later has been observed, hours.
            rule: "known" gives the estimators the rule of triggered sends; "data" leaves them
                to recognise it.
            least_week: Activity is read from so many hours on.
        """
        study = study_of(
            self.now, self.sends, until=until, is_known=rule == "known", since=least_week
        )
        names = [send.name for send in self.sends]
        wanted = dict(zip(names, names, strict=True)) if tested is None else tested
        return World(
            study=study,
            truth=np.array([self.truth(send) for send in self.sends]),
            tested=tuple((label, names.index(name)) for name, label in wanted.items()),
        )


def study_of(
    activity: Activity,
    sends: Sequence[Send],
    *,
    until: float | None = None,
    is_known: bool = True,
    since: float = 0.0,
) -> Study:
    """Return what the estimators may look at.

    Args:
        activity: Everybody's events; there is one metric.
        sends: The campaigns.
        until: Nothing later has been observed, hours.
        is_known: Whether automations name the triggers of triggered sends.
        since: Activity is read from so many hours on.
    """
    latest = max(float(send.hours.max()) for send in sends) + 2 * WINDOW_HOURS
    as_of = _ms(np.array([latest if until is None else until]))[0]
    timelines = _timelines(activity, int(as_of))
    panel = _panel(timelines, sends, int(as_of))
    triggered_at = np.concatenate(
        [
            _ms(send.triggered)
            if send.triggered is not None and send.is_recorded
            else np.full(len(send.persons), NEVER)
            for send in sends
        ]
    )
    triggers = tuple(
        _trigger(panel, code, send, triggered_at[panel.segments[code]], is_known=is_known)
        for code, send in enumerate(sends)
    )
    return Study(
        panel=panel,
        campaign_ids=tuple(send.name for send in sends),
        layers=tuple(send.layer for send in sends),
        triggers=triggers,
        triggered_at=triggered_at,
        unsent=_unsent(sends),
        signed_up=np.full(activity.n_persons, NEVER),
        first_event=first_events(timelines.offsets, timelines.instants, activity.n_persons),
        n_seen=activity.n_persons,
        n_events=1,
        offsets_ms=np.zeros(len(sends), dtype=np.int64),
        data_since=int(_ms(np.array([since]))[0]),
    )


@cache
def _ids(n: int) -> tuple[str, ...]:
    return tuple(f"{i:06}" for i in range(n))


def _ms(hours: Floats) -> Int64:
    return ORIGIN + np.rint(hours * MS_PER_HOUR).astype(np.int64)


def _timelines(activity: Activity, as_of: int) -> Timelines:
    instants = _ms(activity.hours)
    seen = instants < as_of
    return from_rows(
        _ids(activity.n_persons),
        activity.persons[seen],
        instants[seen],
        np.zeros(int(seen.sum()), dtype=np.int64),
        event_names=("acted",),
    )


def _panel(timelines: Timelines, sends: Sequence[Send], as_of: int) -> Panel:
    persons = np.concatenate([send.persons for send in sends])
    measured = Sends(
        persons=persons,
        instants=_ms(np.concatenate([send.hours for send in sends])),
        signed_up=np.full(len(persons), NEVER),
        as_of=as_of,
    )
    index, lengths, metrics = EventIndex(timelines), WindowLengths(), ([0],)
    return Panel(
        campaigns=np.repeat(np.arange(len(sends)), [len(send.persons) for send in sends]),
        n_campaigns=len(sends),
        persons=persons,
        sends=measured,
        index=index,
        metric_names=("acted",),
        metric_events=metrics,
        counts=count_windows(index, measured, lengths, metrics=metrics),
        lengths=lengths,
    )


def _trigger(
    panel: Panel, code: int, send: Send, triggered_at: Int64, *, is_known: bool
) -> Trigger | None:
    is_named = is_known and send.triggered is not None
    low, high = (int(hours * MS_PER_HOUR) for hours in LAG_HOURS)
    rows = panel.segments[code]
    return recognise(
        panel.index,
        Moments(persons=panel.persons[rows], instants=panel.sends.instants[rows]),
        triggered_at,
        event=0 if is_named else None,
        delay_ms=(low, high) if is_named else None,
        n_events=1,
    )


def _unsent(sends: Sequence[Send]) -> Unsent:
    n_held = [len(send.held) for send in sends]
    return Unsent(
        campaigns=np.repeat(np.arange(len(sends)), n_held),
        moments=Moments(
            persons=np.concatenate([send.held for send in sends]),
            instants=_ms(np.concatenate([send.held_hours for send in sends])),
        ),
        is_held=np.ones(sum(n_held), dtype=bool),
    )
