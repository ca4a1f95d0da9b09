"""The reading half of a run: from two data sources to everything that can be measured."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from core import logs
from core.activity.source import (
    Activity,
    ActivitySource,
    Hole,
    Period,
    Progress,
    Usage,
    silent,
)
from core.activity.timelines import Int64, Timelines
from core.connect import Wiring, open_activity
from core.errors import NothingSent
from core.measure.windows import NEVER, EventIndex, WindowLengths
from core.sources.automations import Automation, read_automations, with_triggers
from core.sources.campaigns import Assigned, assign_campaigns
from core.sources.database import open_engine
from core.sources.identity import Identity, match_users
from core.sources.pushes import read_push_rows
from core.sources.recipients import by_person, everybody, users_of, with_identities
from core.span import Span, to_ms

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Loaded:
    """Everything read for a span; windows, methods and rules can change without reading again.

    Attributes:
        wiring: Where it came from.
        span: What was asked for.
        lengths: The longest windows the activity was read for.
        pushes: Measured pushes: campaign_id, person_id, delivered_at, trigger_at (missing where
            not recorded), signed_up_at; sorted by campaign, then person.
        others: Who was to be sent a campaign and has no delivery, or was held out of it at
            random: campaign_id, person_id, status ("undelivered" or "holdout"), assigned_at (the
            instant of sending, or of what would have been it), trigger_at, signed_up_at; one row
            per campaign and person, sorted as the pushes, nobody of them twice or in both.
        campaigns: frames.CAMPAIGNS, identity counted, windows not yet judged.
        automations: What the automations' files say, by id.
        timelines: Everybody's tracked events: those of the metrics, then other triggers.
        person_ids: Everybody's person id, distinct; see `person_codes`.
        index: The timelines, searchable.
        usage: What reading cost.
        source_label: The source of activity in a few words.
        notices: What the reader of the numbers should know.
        seconds: Time each step took.
        holes: Stretches of time whose activity could not be had; the timelines lack it.
        n_unresolved: Users whose person could not be asked for; their pushes are left out.
        why_unresolved: Why not, in a sentence or two.
    """

    wiring: Wiring
    span: Span
    lengths: WindowLengths
    pushes: pd.DataFrame
    others: pd.DataFrame
    campaigns: pd.DataFrame
    automations: Mapping[str, Automation]
    timelines: Timelines
    person_ids: pd.Index
    index: EventIndex
    usage: Usage
    source_label: str
    notices: tuple[str, ...]
    seconds: dict[str, float] = field(default_factory=dict)
    holes: tuple[Hole, ...] = ()
    n_unresolved: int = 0
    why_unresolved: str = ""

    @property
    def is_partial(self) -> bool:
        """Say whether something that was asked for could not be had."""
        return bool(self.holes) or self.n_unresolved > 0


def load(
    wiring: Wiring,
    span: Span,
    lengths: WindowLengths,
    *,
    on_progress: Progress = silent,
    refresh: bool = False,
) -> Loaded:
    """Return everything needed to measure the sends of a span.

    Args:
        wiring: The sources.
        span: Which sends.
        lengths: The windows; events are read from the first baseline to the last post window.
        on_progress: Told what is done, in words and counts.
        refresh: Fetch again what might have changed, also where a stored answer is young.

    Raises:
        SourceError: A source could not be read; where only a part of the activity could not,
            that is named in the result instead.
        NothingSent: Nothing was sent in the span.
        DataError: A source broke its contract.
    """
    seconds: dict[str, float] = {}
    period = _event_period(span, lengths)
    automations, problems = read_automations(wiring.settings.automations.dir)
    events = with_triggers(wiring.settings.tracked_events, automations)
    with closing(open_activity(wiring.settings)) as source, ThreadPoolExecutor(1) as pool:

        def fetched(report: Progress) -> Activity:
            with _timed(seconds, "activity"):
                return source.fetch(period, events, refresh=refresh, on_progress=report)

        # files are read beside the pushes; an API is not asked before the pushes are known to be
        # there, since every request counts against its limits
        early = pool.submit(fetched, silent) if source.kind == "export" else None
        with _timed(seconds, "pushes"):
            assigned = _read_sends(wiring, span, automations, on_progress)
        activity = early.result() if early else fetched(on_progress)
        with _timed(seconds, "identity"):
            identity = _identify(assigned, source, activity.seen, on_progress)
    logs.note(
        _LOG, "Sources read", requests=source.usage.requests, errors=source.usage.errors,
        holes=len(activity.holes), n_unresolved=identity.n_unresolved,
    )  # fmt: skip
    with _timed(seconds, "timelines"):
        timelines = activity.timelines.renamed(identity.renames)
        recipients = by_person(assigned, identity.users)
        campaigns = with_identities(
            assigned,
            identity.users,
            recipients.pushes,
            timelines,
            n_events=len(wiring.settings.tracked_events),
        )
        index = EventIndex(timelines)
    return Loaded(
        wiring=wiring,
        span=span,
        lengths=lengths,
        pushes=recipients.pushes,
        others=recipients.others,
        campaigns=campaigns,
        automations={one.id: one for one in automations},
        timelines=timelines,
        person_ids=everybody(timelines, recipients),
        index=index,
        usage=source.usage,
        source_label=source.label,
        notices=(*map(str, problems), *assigned.notices, *activity.notices, *_shared(identity)),
        seconds=seconds,
        holes=activity.holes,
        n_unresolved=identity.n_unresolved,
        why_unresolved=identity.why,
    )


def person_codes(loaded: Loaded, person_ids: pd.Series) -> Int64:
    """Return the code of each person: one space for pushes, others and timelines.

    A person in the timelines has their position there; those never seen follow from
    ``len(loaded.timelines.person_ids)`` on, in the order of their ids.

    Args:
        loaded: What was read.
        person_ids: As in its pushes and others; anybody else is -1.
    """
    codes: Int64 = loaded.person_ids.get_indexer(pd.Index(person_ids)).astype(np.int64)
    return codes


def milliseconds(instants: pd.Series) -> Int64:
    """Return instants as milliseconds since 1970 UTC, NEVER where one is missing."""
    milliseconds: Int64 = pd.DatetimeIndex(instants).as_unit("ms").asi8
    return np.where(instants.isna(), NEVER, milliseconds)


def _read_sends(
    wiring: Wiring, span: Span, automations: Sequence[Automation], on_progress: Progress
) -> Assigned:
    engine = open_engine(wiring.database)
    try:
        raw = read_push_rows(
            engine, wiring.database, span.since, span.until, on_progress=on_progress
        )
    finally:
        engine.dispose()
    assigned = assign_campaigns(raw, automations, wiring.settings.analysis.timezone)
    if assigned.campaigns.empty:
        raise NothingSent(
            f"No push was sent between {span.since:%Y-%m-%d %H:%M} and "
            f"{span.until:%Y-%m-%d %H:%M} UTC. Choose another period, or see with "
            "`python -m core check` whether the database is the right one."
        )
    return assigned


def _event_period(span: Span, lengths: WindowLengths) -> Period:
    return Period(
        to_ms(span.since) - lengths.baseline_ms,
        min(to_ms(span.until) + lengths.post_ms, span.as_of_ms),
    )


def _identify(
    assigned: Assigned, source: ActivitySource, seen: pd.DataFrame, on_progress: Progress
) -> Identity:
    return match_users(users_of(assigned), source, seen, on_progress=on_progress)


def _shared(identity: Identity) -> tuple[str, ...]:
    n = identity.n_shared_emails
    if not n:
        return ()
    return (f"{n} e-mail(s) belong to several persons in PostHog; each is measured as one.",)


@contextmanager
def _timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    started = time.perf_counter()
    try:
        yield
    finally:
        seconds[step] = round(time.perf_counter() - started, 3)
