"""Why a part of the quality falls short, as far as it can be counted, and what mends it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from core.quality.days import NEVER_SEEN, NOT_READ
from core.quality.parts import (
    COMPLETENESS,
    CONSISTENCY,
    COVERAGE,
    EVENTS,
    IDENTIFIERS,
    MAPPING,
    READINESS,
    TIMESTAMPS,
    TIMING,
    mute,
    unclassified,
)

Place = str
MOST_DAYS = 5
"""Days named for gaps of one kind."""
_MOST_EVENTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Short:
    """A part below what it is held against, of all campaigns, a layer or one campaign."""

    level: str
    of: str
    side: str
    part: str
    score: float
    threshold: float
    n: int
    n_of: int
    inputs: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One thing that is short.

    Attributes:
        about: The campaign, day or setting it is about.
        what: What is short, with its number.
        todo: What mends it, one sentence.
    """

    about: Place
    what: str
    todo: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counted:
    """A cause that a count per campaign shows."""

    about: Place
    count: Callable[[pd.DataFrame], pd.Series]
    what: str
    todo: str


def _column(name: str) -> Callable[[pd.DataFrame], pd.Series]:
    return lambda campaigns: campaigns[name]


def _unknown(campaigns: pd.DataFrame) -> pd.Series:
    """Return recipients not found although something is recorded to find them by."""
    unknown: pd.Series = (campaigns["n_unmapped"] - campaigns["n_no_id"]).clip(lower=0)
    return unknown


def _small(campaigns: pd.DataFrame) -> pd.Series:
    small: pd.Series = (~campaigns["qualifies"]).astype("int64")
    return small


_COUNTED: dict[str, tuple[_Counted, ...]] = {
    MAPPING: (
        _Counted(
            about="users.posthog_distinct_id",
            count=_unknown,
            what="{n} recipients have an id or e-mail that PostHog does not know",
            todo="write the distinct id that the app passes to posthog.identify into this column.",
        ),
        _Counted(
            about="users.email",
            count=_column("n_no_id"),
            what="{n} recipients have neither distinct id nor e-mail",
            todo="record the distinct id at sign-up; an e-mail, also set as a person property in "
            "PostHog, does as well.",
        ),
        _Counted(
            about="posthog",
            count=_column("n_unresolved"),
            what="{n} people could not be looked up",
            todo="run again: what was answered is kept.",
        ),
    ),
    TIMESTAMPS: (
        _Counted(
            about="push_notifications.delivered_at",
            count=_column("n_sent_at_used"),
            what="{n} recipients have no delivered_at, so that sent_at stands in",
            todo="have the sender's receipts written into this column.",
        ),
        _Counted(
            about="database.timezone",
            count=_column("n_early"),
            what="{n} deliveries come before their sending or trigger",
            todo="check that all three columns are in one time zone, and the sender's clock.",
        ),
        _Counted(
            about="users.created_at",
            count=_column("n_before_sign_up"),
            what="{n} deliveries come before the sign-up",
            todo="check whether this column is rewritten, as imports and merges of users do, and "
            "its time zone.",
        ),
    ),
    COMPLETENESS: (
        _Counted(
            about="users.created_at",
            count=_column("n_no_sign_up"),
            what="the sign-up of {n} recipients is not known",
            todo="fill this column: without it the baseline is not cut at the sign-up.",
        ),
        _Counted(
            about="push_notifications.trigger_at",
            count=_column("n_no_trigger"),
            what="the trigger of {n} recipients in layer 3 is not recorded",
            todo="have the automation write when it was set off: pushes that follow activity "
            "cannot be compared without it.",
        ),
        _Counted(
            about="automations.dir",
            count=unclassified,
            what="{n} recipients' pushes belong to no layer",
            todo="add their automations' files to this folder, or the layer to these files.",
        ),
        _Counted(
            about="push_notifications.title",
            count=mute,
            what="{n} recipients' pushes have neither title nor body",
            todo="have the message recorded with the push.",
        ),
    ),
    IDENTIFIERS: (
        _Counted(
            about="users.posthog_distinct_id",
            count=_column("n_odd_id"),
            what="{n} recipients' identifiers can be nobody's",
            todo="leave the column empty until the user is known, never undefined or null.",
        ),
        _Counted(
            about="users.posthog_distinct_id",
            count=_column("n_shared_id"),
            what="{n} recipients share their distinct id with another user",
            todo="call posthog.reset() on logging out, and give every user an id of their own.",
        ),
    ),
    READINESS: (
        _Counted(
            about="analysis.min_recipients",
            count=_small,
            what="{n} campaigns have fewer measured persons than analysis.min_recipients",
            todo="read them by layer, or send to more people before judging one by itself.",
        ),
    ),
}

EVERYWHERE = {
    COVERAGE: Cause(
        about="[metrics]",
        what="more measured persons than quiet ones explain have no tracked event",
        todo="check that the metrics name the events the app sends today, on every platform, and "
        "that these carry the distinct id of the signed-in user.",
    ),
    EVENTS: Cause(
        about="[metrics]",
        what="events are missing on some days",
        todo="look at the days without them.",
    ),
    READINESS: Cause(
        about="[metrics]",
        what="some metrics are too rare for a test of single campaigns",
        todo="judge single campaigns by the commoner metrics and the rare ones by layer.",
    ),
    CONSISTENCY: Cause(
        about="analysis.baseline_days",
        what="baselines drift, other pushes lie in them, or self-checks find effects where "
        "nothing was sent",
        todo="keep a random holdout, which needs no baseline, and leave two days between pushes "
        "to the same people.",
    ),
}
"""What is said of a part whose causes are not counted per campaign, or add up to nothing."""
DETAILED = Cause(
    about="[metrics]",
    what="events are missing on days of these campaigns' windows",
    todo="see the days and events named for all campaigns.",
)


def causes_of(short: Short, campaigns: pd.DataFrame) -> list[Cause]:
    """Return why a part of these campaigns falls short; never nothing.

    Args:
        short: The part; of event completeness `gap_causes` knows.
        campaigns: frames.CAMPAIGNS, those it is the score of.
    """
    if short.part == TIMING:
        return _timing(short, campaigns)
    told = [(cause, int(cause.count(campaigns).sum())) for cause in _COUNTED.get(short.part, ())]
    causes = [
        Cause(about=cause.about, what=cause.what.format(n=f"{n:,}"), todo=cause.todo)
        for cause, n in told
        if n
    ]
    rest = EVERYWHERE.get(short.part)
    if rest is not None and (not causes or short.part == READINESS):
        causes.append(rest)
    return causes or [Cause(about=short.part, what=short.inputs, todo="look at the rows behind.")]


def _timing(short: Short, campaigns: pd.DataFrame) -> list[Cause]:
    """Return what keeps windows from being whole: time to come, holes, impossible instants."""
    causes = []
    is_sent = (campaigns["n_measured"] > 0) & campaigns["window_closes_at"].notna()
    waiting = campaigns[is_sent & ~campaigns["window_complete"]]
    if len(waiting):
        last = waiting.sort_values("window_closes_at", kind="stable").iloc[-1]
        closes = last["window_closes_at"].strftime("%Y-%m-%d %H:%M UTC")
        causes.append(
            Cause(
                about=str(last["campaign_id"]),
                what=f"{len(waiting):,} of {len(campaigns):,} campaigns' windows are still open",
                todo=f"run again once the last has closed, {closes}.",
            )
        )
    n_cut = int(campaigns["n_incomplete"].sum())
    if n_cut:
        causes.append(
            Cause(
                about="posthog",
                what=f"the windows of {n_cut:,} measured persons were not wholly read",
                todo="run again: what was read is kept and only the rest is asked for.",
            )
        )
    closed = short.n / short.n_of if short.n_of else 0.0
    if short.score < closed or not causes:
        causes.append(
            Cause(
                about="events.timestamp",
                what="events lie at instants nobody can have made them at",
                todo="have the app send each event's own time, not the hour of a batch, and each "
                "event once, with its uuid.",
            )
        )
    return causes


def gap_causes(
    event_days: pd.DataFrame, *, metrics: Mapping[str, Sequence[str]], zone: str
) -> list[Cause]:
    """Return the events that never show and the days with gaps, those that miss most first.

    Args:
        event_days: quality.frames.EVENT_DAYS.
        metrics: Metric -> its events; others are left out.
        zone: Days are named as they are here.
    """
    metric_of = {
        event: name for name, events in reversed(list(metrics.items())) for event in events
    }
    gaps = event_days[event_days["is_gap"] & event_days["event"].isin(metric_of)]
    gaps = gaps.assign(date=gaps["day"].dt.tz_convert(zone).dt.strftime("%Y-%m-%d"))
    never = gaps.loc[gaps["why"] == NEVER_SEEN, "event"].unique()
    return [
        *(
            Cause(
                about=f"[metrics] {metric_of[event]}",
                what=f"{event} never shows in what was read",
                todo="check its spelling, capitals included, against PostHog's list of events.",
            )
            for event in never
        ),
        *_unread(gaps[gaps["why"] == NOT_READ]),
        *_low(gaps[~gaps["why"].isin([NEVER_SEEN, NOT_READ])]),
    ]


def _unread(gaps: pd.DataFrame) -> list[Cause]:
    dates = sorted(gaps["date"].unique())
    if not dates:
        return []
    named = ", ".join(dates[:MOST_DAYS])
    return [
        Cause(
            about=dates[0],
            what=f"not wholly read: {named}{_and_more(len(dates) - MOST_DAYS)}",
            todo="run again: what was read is kept and only the rest is asked for.",
        )
    ]


def _low(gaps: pd.DataFrame) -> list[Cause]:
    """Return a cause for each of the days that lack most events."""
    lacking = gaps.assign(lack=gaps["expected"] - gaps["n_events"])
    worst = lacking.groupby("date")["lack"].sum().sort_values(ascending=False, kind="stable")
    n_more = len(worst) - MOST_DAYS
    causes = []
    for place, date in enumerate(worst.index[:MOST_DAYS], start=1):
        rows = lacking[lacking["date"] == date].sort_values("lack", ascending=False, kind="stable")
        named = [
            f"{event} {n:,} of about {expected:,.0f}"
            for event, n, expected in rows[["event", "n_events", "expected"]]
            .head(_MOST_EVENTS)
            .itertuples(index=False)
        ]
        more = _and_more(len(rows) - _MOST_EVENTS)
        rest = f" {n_more:,} more days have gaps." if place == MOST_DAYS and n_more > 0 else ""
        causes.append(
            Cause(
                about=date,
                what=f"{date} has {', '.join(named)}{more}",
                todo="look for an outage or a release of the app on that day; if PostHog took "
                f"events in later, raise posthog.settle_hours and run again.{rest}",
            )
        )
    return causes


def _and_more(n: int) -> str:
    return f" and {n:,} more" if n > 0 else ""
