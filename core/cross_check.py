"""What was read against what PostHog itself counts."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from functools import partial

import pandas as pd

from core.activity.source import Period, Progress, silent
from core.activity.timelines import MS_PER_HOUR
from core.errors import ConfigError, PostHogError
from core.loading import Loaded
from core.partial import holes_of
from core.quality.native import day_starts, native_totals, whole_days
from core.sources.posthog_trends import MOST_DAYS, Insights
from core.span import to_ms

_LOG = logging.getLogger(__name__)
_STEP = "Comparing with PostHog's own totals"
_MOST_NAMED = 5


def cross_check(
    loaded: Loaded, *, on_progress: Progress = silent, insights: Insights | None = None
) -> pd.DataFrame:
    """Return quality.frames.NATIVE: what was read against PostHog's own totals, by event and day.

    The newest days that were wholly read, 31 at most, in the project's time zone. It costs one
    request for up to 25 events, and a second one where some day differs.

    Args:
        loaded: What was read; its usage counts the requests.
        on_progress: Told the step and how far it is.
        insights: Who asks; by default as the settings say.

    Raises:
        ConfigError: Activity did not come from PostHog's query API.
        PostHogError: PostHog did not answer, or does not let this key ask.
    """
    settings = loaded.wiring.settings
    if settings.posthog is None:
        raise ConfigError(
            "PostHog's own totals can only be had from its query API, and activity was read from "
            "an export: set [posthog] in the place of [events] to compare with them."
        )
    pace = settings.cache.dir / "pace"
    on_progress(_STEP, 0, 2)
    with closing(insights or Insights(settings.posthog, loaded.usage, folder=pace)) as asking:
        period = _read_period(loaded)
        last = datetime.fromtimestamp((period.end - 1) / 1000, UTC).date()
        events = loaded.timelines.event_names
        told = asking.daily_totals(events, _first_day(period, last), last)
        on_progress(_STEP, 1, 2)
        compare = partial(
            native_totals,
            loaded.timelines,
            told,
            period=period,
            settled_until=loaded.span.as_of_ms - settings.posthog.settle_hours * MS_PER_HOUR,
            holes=holes_of(loaded),
        )
        table = compare()
        if not table["agrees"].all():
            table = compare(rows=_rows(asking, events, whole_days(told, period)))
    on_progress(_STEP, 2, 2)
    return table


def in_words(table: pd.DataFrame) -> list[str]:
    """Return a comparison in a sentence, and one more for each of the largest differences.

    Args:
        table: quality.frames.NATIVE.
    """
    if table.empty:
        return ["Cross-check with PostHog: no whole day was read, so none can be compared."]
    n_days, n_events = table["day"].nunique(), table["event"].nunique()
    differs = table[~table["agrees"]]
    first = (
        f"Cross-check with PostHog: {len(table) - len(differs):,} of {len(table):,} totals "
        f"({n_events:,} events, {n_days:,} days) agree within the tolerance."
    )
    gaps = (differs["native"] - differs["ours"]).abs()
    worst = differs.loc[gaps.sort_values(ascending=False, kind="stable").index[:_MOST_NAMED]]
    named = [
        f"  {row['event']}, {row['day']:%Y-%m-%d %H:%M} UTC: {row['ours']:,} read, "
        f"{row['native']:,} by PostHog. {row['why']}"
        for row in worst.to_dict("records")
    ]
    return [first, *named]


def _rows(asking: Insights, events: Sequence[str], days: pd.DataFrame) -> pd.DataFrame | None:
    """Return what PostHog's table holds; None where it does not say: reasons are guesses then."""
    starts = day_starts(days)
    end = int(pd.DatetimeIndex(days["until"]).as_unit("ms").asi8.max())
    try:
        return asking.rows_by_day(events, starts, end)
    except PostHogError as error:
        _LOG.warning("Differences from PostHog's totals are not explained: %s", str(error))
        return None


def _read_period(loaded: Loaded) -> Period:
    span, lengths = loaded.span, loaded.lengths
    return Period(
        to_ms(span.since) - lengths.baseline_ms,
        min(to_ms(span.until) + lengths.post_ms, span.as_of_ms),
    )


def _first_day(period: Period, last: date) -> date:
    first = datetime.fromtimestamp(period.start / 1000, UTC).date()
    return max(first, last - timedelta(days=MOST_DAYS - 1))
