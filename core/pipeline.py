"""One run: from two data sources to lifts. `load` reads, `measure` only computes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core import frames
from core.activity.source import (
    Activity,
    ActivitySource,
    Period,
    Progress,
    Usage,
    silent,
)
from core.activity.timelines import MS_PER_DAY, MS_PER_HOUR, Int64, Timelines
from core.connect import Wiring, open_activity
from core.errors import DataError
from core.measure.lifts import classic_lifts
from core.measure.panel import Panel, Rules, all_rates
from core.measure.pooling import classic_layers
from core.measure.windows import NEVER, EventIndex, Sends, WindowLengths, count_windows
from core.sources.automations import read_automations
from core.sources.campaigns import Assigned, assign_campaigns
from core.sources.database import open_engine
from core.sources.identity import DIRECT, EMAIL, Identity, match_users
from core.sources.pushes import read_push_rows
from core.span import Span, to_ms


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Loaded:
    """Everything read for a span; windows, methods and rules can change without reading again.

    Attributes:
        wiring: Where it came from.
        span: What was asked for.
        lengths: The longest windows the activity was read for.
        pushes: Measured pushes: campaign_id, person_id, delivered_at, signed_up_at, sorted by
            campaign.
        campaigns: frames.CAMPAIGNS, identity counted, windows not yet judged.
        timelines: Everybody's tracked events.
        index: The same, searchable.
        usage: What reading cost.
        source_label: The source of activity in a few words.
        notices: What the reader of the numbers should know.
        seconds: Time each step took.
    """

    wiring: Wiring
    span: Span
    lengths: WindowLengths
    pushes: pd.DataFrame
    campaigns: pd.DataFrame
    timelines: Timelines
    index: EventIndex
    usage: Usage
    source_label: str
    notices: tuple[str, ...]
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Results:
    """What was computed from a load.

    Attributes:
        campaigns: frames.CAMPAIGNS.
        lifts: frames.LIFTS.
        layers: frames.LAYER_LIFTS.
        panel: The measured pushes and their counts.
        rules: How it was measured.
    """

    campaigns: pd.DataFrame
    lifts: pd.DataFrame
    layers: pd.DataFrame
    panel: Panel
    rules: Rules


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
        SourceError: A source could not be read.
        DataError: Nothing was delivered in the span, or a source broke its contract.
    """
    seconds: dict[str, float] = {}
    period = _event_period(span, lengths)
    events = wiring.settings.tracked_events
    with closing(open_activity(wiring.settings)) as source, ThreadPoolExecutor(1) as pool:

        def fetched(report: Progress) -> Activity:
            with _timed(seconds, "activity"):
                return source.fetch(period, events, refresh=refresh, on_progress=report)

        # files are read beside the pushes; an API is not asked before the pushes are known to be
        # there, since every request counts against its limits
        early = pool.submit(fetched, silent) if source.kind == "export" else None
        with _timed(seconds, "pushes"):
            assigned, problems = _read_sends(wiring, span, on_progress)
        activity = early.result() if early else fetched(on_progress)
        with _timed(seconds, "identity"):
            identity = _identify(assigned, source, activity.seen, on_progress)
    with _timed(seconds, "timelines"):
        timelines = activity.timelines.renamed(identity.renames)
        pushes = _measured(assigned, identity.users)
        campaigns = _identity_counts(assigned, identity.users, pushes, timelines)
        index = EventIndex(timelines)
    return Loaded(
        wiring=wiring,
        span=span,
        lengths=lengths,
        pushes=pushes,
        campaigns=campaigns,
        timelines=timelines,
        index=index,
        usage=source.usage,
        source_label=source.label,
        notices=(*problems, *assigned.notices, *activity.notices, *_shared(identity)),
        seconds=seconds,
    )


def measure(loaded: Loaded, rules: Rules, *, campaign_ids: pd.Index | None = None) -> Results:
    """Return lifts of every campaign, metric and layer under the given rules.

    Args:
        loaded: What was read; its windows must be at least as long as the rules'.
        rules: Windows, confidence, minimum recipients, outlier rule.
        campaign_ids: Only these campaigns; families and layers are then theirs alone.
    """
    campaigns, pushes = loaded.campaigns, loaded.pushes
    if campaign_ids is not None:
        campaigns = campaigns[campaigns["campaign_id"].isin(campaign_ids)].reset_index(drop=True)
        pushes = pushes[pushes["campaign_id"].isin(campaign_ids)].reset_index(drop=True)
    panel = _panel(loaded, campaigns, pushes, rules.lengths)
    campaigns = _judged(campaigns, panel, rules)
    rates = all_rates(panel, rules.outliers)
    lifts = classic_lifts(panel, rates, campaigns, rules)
    return Results(
        campaigns=campaigns,
        lifts=lifts,
        layers=classic_layers(panel, rates, campaigns, lifts, rules),
        panel=panel,
        rules=rules,
    )


def window_counts(loaded: Loaded, results: Results) -> pd.DataFrame:
    """Return frames.WINDOW_COUNTS with its text columns as categories, sorted by its key."""
    panel, counts = results.panel, results.panel.counts
    pushes = loaded.pushes
    ids = results.campaigns["campaign_id"]
    pushes = pushes[pushes["campaign_id"].isin(ids)]
    n_metrics = len(panel.metric_names)
    person = pd.Categorical(pushes["person_id"])
    per_push = {
        "delivered_at": pushes["delivered_at"].repeat(n_metrics).array,
        "baseline_days": (counts.baseline_ms / MS_PER_DAY).repeat(n_metrics),
        "post_hours": (counts.post_ms / MS_PER_HOUR).repeat(n_metrics),
        "baseline_aligned_days": (counts.aligned_ms / MS_PER_DAY).repeat(n_metrics),
    }
    table = pd.DataFrame(
        {
            "campaign_id": pd.Categorical.from_codes(
                panel.campaigns.repeat(n_metrics), categories=pd.Index(ids)
            ),
            "person_id": pd.Categorical.from_codes(
                person.codes.repeat(n_metrics), categories=person.categories
            ),
            "metric": pd.Categorical.from_codes(
                np.tile(np.arange(n_metrics), len(pushes)), categories=pd.Index(panel.metric_names)
            ),
            "n_baseline": counts.n_baseline.ravel(),
            "n_post": counts.n_post.ravel(),
            "n_baseline_aligned": counts.n_aligned.ravel(),
            **per_push,
        }
    )
    return table[frames.WINDOW_COUNTS.names]


def _read_sends(
    wiring: Wiring, span: Span, on_progress: Progress
) -> tuple[Assigned, tuple[str, ...]]:
    automations, problems = read_automations(wiring.settings.automations.dir)
    engine = open_engine(wiring.database)
    try:
        raw = read_push_rows(
            engine, wiring.database, span.since, span.until, on_progress=on_progress
        )
    finally:
        engine.dispose()
    assigned = assign_campaigns(raw, automations, wiring.settings.analysis.timezone)
    if assigned.campaigns.empty:
        raise DataError(
            f"No push was sent between {span.since:%Y-%m-%d %H:%M} and "
            f"{span.until:%Y-%m-%d %H:%M} UTC. Choose another period with --since and --until, "
            "or check that the database is the right one with `python -m core check`."
        )
    return assigned, tuple(str(problem) for problem in problems)


def _event_period(span: Span, lengths: WindowLengths) -> Period:
    return Period(
        to_ms(span.since) - lengths.baseline_ms,
        min(to_ms(span.until) + lengths.post_ms, span.as_of_ms),
    )


def _identify(
    assigned: Assigned, source: ActivitySource, seen: pd.DataFrame, on_progress: Progress
) -> Identity:
    users = assigned.pushes.drop_duplicates("user_id")[["user_id", "distinct_id", "email"]]
    return match_users(users.reset_index(drop=True), source, seen, on_progress=on_progress)


def _shared(identity: Identity) -> tuple[str, ...]:
    n = identity.n_shared_emails
    if not n:
        return ()
    return (f"{n} e-mail(s) belong to several persons in PostHog; each is measured as one.",)


def _measured(assigned: Assigned, users: pd.DataFrame) -> pd.DataFrame:
    """Return the first delivery to each mapped person of each campaign, in campaign order."""
    pushes = assigned.pushes
    person, ids = pd.factorize(users["person_id"], sort=True)
    person = person[_positions(users["user_id"], pushes["user_id"])]
    campaign = _positions(assigned.campaigns["campaign_id"], pushes["campaign_id"])
    order = np.lexsort((_milliseconds(pushes["delivered_at"]), person, campaign))
    order = order[person[order] >= 0]
    key = campaign[order] * (len(ids) + 1) + person[order]
    first = order[np.flatnonzero(np.diff(key, prepend=-1))]
    columns = pushes[["campaign_id", "delivered_at", "signed_up_at"]].take(first)
    return columns.reset_index(drop=True).assign(person_id=pd.Series(ids.take(person[first])))


def _identity_counts(
    assigned: Assigned, users: pd.DataFrame, measured: pd.DataFrame, timelines: Timelines
) -> pd.DataFrame:
    """Return campaigns with the identity columns filled in."""
    ids = assigned.campaigns["campaign_id"]

    def per_campaign(campaigns: pd.Series, selected: NDArray[np.bool_]) -> NDArray[np.int64]:
        return np.bincount(_positions(ids, campaigns)[selected], minlength=len(ids))

    recipients = assigned.pushes["campaign_id"]
    how = users["mapped_by"].to_numpy(dtype=object)
    how = how[_positions(users["user_id"], assigned.pushes["user_id"])]
    n_direct, n_email = (
        per_campaign(recipients, np.asarray(how == way)) for way in (DIRECT, EMAIL)
    )
    active = timelines.person_ids[np.diff(timelines.offsets) > 0]
    everybody = np.ones(len(measured), dtype=bool)
    n_measured = per_campaign(measured["campaign_id"], everybody)
    is_new = ~measured["person_id"].isin(active).to_numpy(dtype=bool)
    return assigned.campaigns.assign(
        n_direct=n_direct,
        n_email=n_email,
        n_mapped=n_direct + n_email,
        n_unmapped=per_campaign(recipients, ~np.isin(how, [DIRECT, EMAIL])),
        n_measured=n_measured,
        n_same_person=n_direct + n_email - n_measured,
        n_never_seen=per_campaign(measured["campaign_id"], is_new),
    )


def _positions(table: pd.Series, values: pd.Series) -> Int64:
    """Return where each value stands in a table of distinct ones, -1 where it does not."""
    found: Int64 = pd.Index(table).get_indexer(pd.Index(values)).astype(np.int64)
    return found


def _panel(
    loaded: Loaded, campaigns: pd.DataFrame, pushes: pd.DataFrame, lengths: WindowLengths
) -> Panel:
    settings, timelines = loaded.wiring.settings, loaded.timelines
    positions = {name: i for i, name in enumerate(timelines.event_names)}
    metrics = tuple([positions[e] for e in events] for events in settings.metrics.values())
    codes = _positions(campaigns["campaign_id"], pushes["campaign_id"])
    persons, _ = pd.factorize(pushes["person_id"])
    sends = Sends(
        persons=timelines.person_ids.get_indexer(pd.Index(pushes["person_id"])).astype(np.int64),
        instants=_milliseconds(pushes["delivered_at"]),
        signed_up=_milliseconds(pushes["signed_up_at"]),
        as_of=loaded.span.as_of_ms,
    )
    return Panel(
        campaigns=codes,
        n_campaigns=len(campaigns),
        persons=persons.astype(np.int64),
        sends=sends,
        index=loaded.index,
        metric_names=tuple(settings.metrics),
        metric_events=metrics,
        counts=count_windows(loaded.index, sends, lengths, metrics=metrics),
        lengths=lengths,
    )


def _milliseconds(instants: pd.Series) -> Int64:
    """Return instants as milliseconds since 1970 UTC, NEVER where one is missing."""
    milliseconds: Int64 = pd.DatetimeIndex(instants).as_unit("ms").asi8
    return np.where(instants.isna(), NEVER, milliseconds)


def _judged(campaigns: pd.DataFrame, panel: Panel, rules: Rules) -> pd.DataFrame:
    """Return campaigns with window_complete, qualifies, window_closes_at and status."""
    n_open = np.bincount(panel.campaigns, weights=panel.is_open, minlength=panel.n_campaigns)
    qualifies = campaigns["n_measured"] >= rules.min_recipients
    reasons = {
        "no_recipients": campaigns["n_measured"] == 0,
        "too_few_users": ~qualifies,
        "window_open": pd.Series(n_open > 0, index=campaigns.index),
    }
    status = np.select(list(reasons.values()), list(reasons), default="ok")
    closes = campaigns["last_delivered_at"] + pd.Timedelta(hours=rules.lengths.post_hours)
    return frames.CAMPAIGNS.checked(
        campaigns.assign(
            window_complete=n_open == 0,
            qualifies=qualifies.astype(bool),
            window_closes_at=closes.dt.as_unit("ms"),
            status=pd.array(status.astype(object), dtype="str"),
        )
    )


@contextmanager
def _timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    started = time.perf_counter()
    try:
        yield
    finally:
        seconds[step] = round(time.perf_counter() - started, 3)
