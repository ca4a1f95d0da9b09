"""Who has to be told what after a run: thresholds that were missed, windows that closed."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
import pandas as pd

from core.health.frames import ALERTS, VERDICTS
from core.health.records import Record, Told, plain
from core.sections import Alerts

Severity = Literal["act", "know"]
MIN_REQUESTS = 20
"""Fewer requests than this say nothing about a rate of errors."""
_MIN_RECIPIENTS = 30
_MOST_NAMED = 80
_HOURS_A_DAY = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class _Alert:
    kind: str
    about: str
    severity: Severity
    value: float | None
    threshold: float | None
    words: str


def alerts_of(
    run: Record,
    *,
    campaigns: pd.DataFrame,
    scores: pd.DataFrame,
    verdicts: pd.DataFrame,
    rules: Alerts,
    now: datetime,
    last: Record | None = None,
) -> pd.DataFrame:
    """Return ALERTS of one run, those to act on first.

    Args:
        run: Its record; its own alerts are not read.
        campaigns: frames.CAMPAIGNS, judged; empty where the run failed.
        scores: quality.frames.SCORES; empty where they are not known.
        verdicts: VERDICTS of the campaigns.
        rules: The thresholds.
        now: The end of what was to be read, with a zone; the age of the data is counted from it.
        last: The last run of the same sources that did not fail; without it no window is known to
            have closed since.
    """
    if run.status == "failed":
        return _table([_failed(run)])
    found = [
        *_mapping(run, campaigns, rules),
        *_quality(run, scores, rules),
        *_errors(run, rules),
        *_data_age(run, rules, now),
        *_partial(run, campaigns),
        *_closed(run, campaigns, VERDICTS.checked(verdicts), last),
    ]
    return _table(sorted(found, key=lambda one: one.severity != "act"))


def told_of(
    alerts: pd.DataFrame, earlier: Sequence[Record]
) -> tuple[tuple[Told, ...], pd.DataFrame]:
    """Return the alerts as a record keeps them, and those of them that are news.

    An alert is news unless the last run, or the last one that did not fail, told the same: a share
    is the same within its percentage point, the age of data within its day.

    Args:
        alerts: ALERTS.
        earlier: The newest records of the same sources, oldest first.
    """
    known = {
        (one.kind, one.about, one.severity, one.state)
        for run in _remembered(earlier)
        for one in run.alerts
        if one.is_told
    }
    kept = tuple(_told(row, known) for row in alerts.to_dict("records"))
    is_news = [not one.is_told for one in kept]
    return kept, alerts[is_news].reset_index(drop=True)


def _told(row: Mapping[Hashable, Any], known: set[tuple[str, str, str, str]]) -> Told:
    kind, about, severity = str(row["kind"]), str(row["about"]), str(row["severity"])
    state = state_of(kind, row["value"])
    is_told = (kind, about, severity, state) in known
    return Told(
        kind=kind, about=about, severity=severity, state=state, words=str(row["words"]),
        is_told=is_told,
    )  # fmt: skip


def state_of(kind: str, value: float) -> str:
    """Return what of an alert must change for it to be told again.

    Args:
        kind: As in ALERTS.
        value: What was measured; NaN where it has none.
    """
    if math.isnan(value):
        return ""
    if kind == "data_age":
        return f"day {int(value // _HOURS_A_DAY)}"
    if kind in {"mapping", "quality", "errors"}:
        return f"{100 * value:.0f} %"
    return f"{value:g}"


def _remembered(earlier: Sequence[Record]) -> list[Record]:
    """Return the last run, and where that failed the last one that did not: it told the rest."""
    last = list(earlier[-1:])
    if last and last[0].status == "failed":
        last += [one for one in earlier if one.status != "failed"][-1:]
    return last


def _failed(run: Record) -> _Alert:
    return _Alert(
        kind="failed", about="all", severity="act", value=None, threshold=None,
        words=f"The run of {_instant(run.started_at)} failed: {run.error or 'it is not known why'}",
    )  # fmt: skip


def _mapping(run: Record, campaigns: pd.DataFrame, rules: Alerts) -> list[_Alert]:
    share = run.mapped_share
    if share is None or share >= rules.mapped_share:
        return []
    worst = _worst_mapped(campaigns)
    words = (
        f"{_share(share)} of recipients were found in PostHog, below {_share(rules.mapped_share)}: "
        f"the others are not measured.{worst} Check users.posthog_distinct_id, and which of its "
        "ids the app identifies people by."
    )
    return [_missed("mapping", "act", share, rules.mapped_share, words)]


def _worst_mapped(campaigns: pd.DataFrame) -> str:
    recipients = campaigns["n_delivered"] - campaigns["n_duplicates"]
    enough = campaigns[recipients >= _MIN_RECIPIENTS]
    if enough.empty:
        return ""
    shares = (enough["n_mapped"] / recipients[enough.index]).to_numpy()
    at = int(np.argmin(shares))
    return f" Lowest: {name_of(enough.to_dict('records')[at])}, {_share(shares[at])}."


def _quality(run: Record, scores: pd.DataFrame, rules: Alerts) -> list[_Alert]:
    quality = run.quality
    if quality is None or quality >= rules.quality:
        return []
    parts = scores[(scores["level"] == "all") & (scores["part"] != "total")]
    parts = parts[(parts["side"] != "combined") & parts["score"].notna()]
    lowest = ""
    if len(parts):
        row = parts.iloc[int(np.argmin(parts["score"]))]
        lowest = f" Lowest: {_label(row['part'])} ({row['side']}), {_share(row['score'])}."
    words = (
        f"Data quality is {_share(quality)}, below {_share(rules.quality)}.{lowest} The page Data "
        "quality says what to do about each shortfall."
    )
    return [_missed("quality", "act", quality, rules.quality, words)]


def _errors(run: Record, rules: Alerts) -> list[_Alert]:
    n_requests, n_errors = run.cost.requests, run.cost.errors
    rate = n_errors / n_requests if n_requests else 0.0
    if n_requests < MIN_REQUESTS or rate <= rules.error_rate:
        return []
    words = (
        f"{n_errors:,} of {n_requests:,} requests failed ({_share(rate)}, above "
        f"{_share(rules.error_rate)}); {run.cost.retries:,} were repeated. The log names each."
    )
    return [_missed("errors", "know", rate, rules.error_rate, words)]


def _data_age(run: Record, rules: Alerts, now: datetime) -> list[_Alert]:
    newest, most = run.newest_event_at, rules.data_age_hours
    if newest is None:
        words = "No tracked event was read at all. Check the names of events in the metrics."
        return [_Alert(kind="data_age", about=run.source, severity="act", value=None,
                       threshold=float(most), words=words)]  # fmt: skip
    hours = (now - newest).total_seconds() / 3600
    if hours <= most:
        return []
    words = (
        f"The newest event is of {_instant(newest)}, {hours:,.0f} h before the end of what was to "
        f"be read; {most:,} h are allowed. Check that events still arrive, or that the export is "
        "continued."
    )
    return [_Alert(kind="data_age", about=run.source, severity="act", value=hours,
                   threshold=float(most), words=words)]  # fmt: skip


def _partial(run: Record, campaigns: pd.DataFrame) -> list[_Alert]:
    if run.status != "partial":
        return []
    n = int((campaigns["status"] == "incomplete").sum())
    which = "1 campaign is" if n == 1 else f"{n:,} campaigns are"
    words = (
        f"The run of {_instant(run.started_at)} is partial: {which} withheld because data could "
        "not be read. Running it again fetches only what is missing."
    )
    return [_Alert(kind="partial", about="all", severity="act", value=float(n), threshold=None,
                   words=words)]  # fmt: skip


def _closed(
    run: Record, campaigns: pd.DataFrame, verdicts: pd.DataFrame, last: Record | None
) -> list[_Alert]:
    """Return the campaigns whose last window closed after the last run looked, up to this one."""
    if last is None or last.as_of is None or run.as_of is None:
        return []
    closes = campaigns["window_closes_at"]
    has_closed = (closes > last.as_of) & (closes <= run.as_of) & campaigns["window_complete"]
    table = campaigns[has_closed].merge(verdicts, on="campaign_id", how="left")
    return [
        _Alert(
            kind="window_closed", about=str(row["campaign_id"]), severity="know", value=None,
            threshold=None, words=_verdict_words(row),
        )
        for row in table.to_dict("records")
    ]  # fmt: skip


def _verdict_words(row: Mapping[Hashable, Any]) -> str:
    has_verdict = isinstance(row["word"], str)
    said = f"{row['word']}, {plain(str(row['number']))}" if has_verdict else "no verdict"
    return f"The window of {name_of(row)} has closed: {said}."


def name_of(row: Mapping[Hashable, Any]) -> str:
    """Return what a campaign is called in a sentence that leaves this machine.

    That is its automation's name; where it has none, its name is the message people were sent,
    and its id stands instead.

    Args:
        row: One row of frames.CAMPAIGNS.
    """
    is_message = row["name"] == row["title"]
    text = plain(str(row["campaign_id"] if is_message else row["name"]))
    short = f"{text[:_MOST_NAMED]}…" if len(text) > _MOST_NAMED else text
    return f"campaign {short}" if is_message or not short else short


def _missed(kind: str, severity: Severity, value: float, threshold: float, words: str) -> _Alert:
    return _Alert(
        kind=kind, about="all", severity=severity, value=value, threshold=threshold, words=words
    )


def _table(alerts: list[_Alert]) -> pd.DataFrame:
    frame = pd.DataFrame(
        {
            column.name: pd.Series(
                [getattr(one, column.name) for one in alerts],
                dtype="float64" if column.kind == "number" else "str",
            )
            for column in ALERTS.columns
        }
    )
    return ALERTS.checked(frame)


def _share(value: float) -> str:
    """Return a share to a tenth of a percent, cut so that what is short never looks reached."""
    return f"{int(value * 1000) / 10:.1f} %"


def _label(part: str) -> str:
    return part.replace("_", " ")


def _instant(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
