"""PostHog's own totals per event and day, as its trends insight gives them.

The days are those of the project's time zone, which the answer names; neither test accounts are
filtered out nor is anything sampled, because neither is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from core.activity.timelines import Int64
from core.errors import DataError, PostHogError, QueryTooBig
from core.quality.native import TOLD
from core.sources.posthog_answers import Answer, Reply
from core.sources.posthog_client import PostHogClient, Value
from core.span import midnight, to_ms

T = TypeVar("T")
MOST_DAYS = 31
MOST_EVENTS = 25
"""Series asked for at once."""
_OK = 200
_COLUMNS = ("position", "event", "day", "n", "timezone")
_TRENDS = "TrendsQuery"  # stands where a query's text would
_ROWS_QUERY = """
SELECT event, arrayCount(x -> x <= toUnixTimestamp(timestamp), {starts}) - 1 AS day,
       count() AS n, uniqExact(uuid) AS n_once
FROM events
WHERE timestamp >= fromUnixTimestamp({t_from}) AND timestamp < fromUnixTimestamp({t_to})
  AND event IN {events}
GROUP BY event, day
ORDER BY event, day
LIMIT 50000
"""


class Insights(PostHogClient):
    """Asks one project for insights under the limits, retries and checks of all its questions.

    An insight's question differs from a query's in the body sent, its answer in the form of the
    rows: both are turned where they leave and come in.
    """

    def daily_totals(self, events: Sequence[str], first: date, last: date) -> pd.DataFrame:
        """Return TOLD, PostHog's totals of each event and day, days without any as zeros.

        Args:
            events: Names, each once.
            first: First day.
            last: Last day; at most 31 days are asked for.

        Raises:
            ValueError: There are more days, or none.
            PostHogError: PostHog did not answer, or does not say what its days are.
        """
        n_days = (last - first).days + 1
        if not 0 < n_days <= MOST_DAYS:
            raise ValueError(f"{n_days} days were asked for at once; {MOST_DAYS} is the most.")
        wanted = sorted(set(events))
        batches = [wanted[at : at + MOST_EVENTS] for at in range(0, len(wanted), MOST_EVENTS)]
        parts = [self._asked_for(batch, first, last) for batch in batches]
        return TOLD.checked(pd.concat([TOLD.empty(), *parts], ignore_index=True))

    def rows_by_day(self, events: Sequence[str], starts: Int64, end: int) -> pd.DataFrame:
        """Return how many rows PostHog's table of events holds, and how many once each.

        Args:
            events: Names, each once.
            starts: Where each day begins, ascending, milliseconds since 1970 UTC.
            end: Where the last one ends.

        Returns:
            A row per event and day that has any: `event`, `day` (position in starts), `n`
            (rows), `n_once` (distinct uuids).

        Raises:
            PostHogError: PostHog did not answer.
        """
        seconds = [int(one) for one in starts // 1000]
        return self.read(
            _ROWS_QUERY,
            {
                "starts": seconds,
                "t_from": seconds[0],
                "t_to": end // 1000,
                "events": sorted(set(events)),
            },
            name="rows of tracked events by day",
            parse=lambda answer: _read_rows(answer, set(events), len(seconds)),
        )

    def _asked_for(self, events: list[str], first: date, last: date) -> pd.DataFrame:
        values: dict[str, Value] = {
            "events": events, "first": first.isoformat(), "last": last.isoformat(),
        }  # fmt: skip
        try:
            return self.read(
                _TRENDS,
                values,
                name="its own totals by day",
                parse=lambda answer: _read_totals(answer, events, first, last),
            )
        except QueryTooBig:
            parts = _halves(events, first, last)
            if not parts:
                raise
        return pd.concat([self._asked_for(*part) for part in parts], ignore_index=True)

    def _attempt(
        self, body: bytes, parse: Callable[[Answer], T], *, name: str, deadline: float
    ) -> T:
        return super()._attempt(_as_insight(body), parse, name=name, deadline=deadline)

    def _exchange(self, body: Any, deadline: float) -> Reply:  # noqa: ANN401 - the client's own
        reply = super()._exchange(body, deadline)
        if reply.status != _OK:
            return reply
        return replace(reply, content=_as_rows(reply.content))


def _halves(events: list[str], first: date, last: date) -> list[tuple[list[str], date, date]]:
    """Return two questions that together ask for the same, none where it cannot be halved."""
    if len(events) > 1:
        middle = len(events) // 2
        return [(events[:middle], first, last), (events[middle:], first, last)]
    if last > first:
        day = first + (last - first) // 2
        return [(events, first, day), (events, day + timedelta(days=1), last)]
    return []


def _as_insight(body: bytes) -> bytes:
    """Return the body that asks for an insight where one is meant."""
    asked = json.loads(body)
    query = asked["query"]
    if query["query"] != _TRENDS:
        return body
    values = query["values"]
    trends = {
        "kind": "TrendsQuery",
        "series": [
            {"kind": "EventsNode", "event": event, "name": event, "math": "total"}
            for event in values["events"]
        ],
        "interval": "day",
        "dateRange": {
            "date_from": values["first"], "date_to": values["last"], "explicitDate": False,
        },
        "filterTestAccounts": False,
    }  # fmt: skip
    return json.dumps({**asked, "query": trends}).encode()


def _as_rows(content: bytes) -> bytes:
    """Return an insight's answer in the form of a query's; anything else stays as it is."""
    try:
        body = json.loads(content)
        zone = body["timezone"] if "columns" not in body else None
        series = body["results"] if "columns" not in body else None
        if series is None:
            return content
        rows = [
            [position, one["action"]["id"], day, n, zone]
            for position, one in enumerate(series)
            for day, n in zip(one["days"], one["data"], strict=True)
        ]
    except (ValueError, KeyError, TypeError, RecursionError):
        return content  # which the client refuses, since it has no columns
    kept = {name: body[name] for name in ("is_cached", "hasMore", "error") if name in body}
    return json.dumps({**kept, "columns": _COLUMNS, "results": rows}).encode()


def _read_totals(answer: Answer, events: Sequence[str], first: date, last: date) -> pd.DataFrame:
    """Return the totals of an answer, once each event has each day and nothing else is in it."""
    _require(answer.columns == _COLUMNS, "has other columns")
    days = [first + timedelta(days=step) for step in range((last - first).days + 1)]
    wanted = [(at, name, day.isoformat()) for at, name in enumerate(events) for day in days]
    _require(
        [(row[0], row[1], str(row[2])[:10]) for row in answer.rows] == wanted,
        "has other events or days",
    )
    counts = [row[3] for row in answer.rows]
    is_count = all(type(n) in {int, float} and n >= 0 and n == int(n) for n in counts)
    _require(is_count, "has counts that are not whole numbers")
    starts, ends = _bounds(days, {row[4] for row in answer.rows})
    return pd.DataFrame(
        {
            "event": pd.Series([name for _, name, _ in wanted], dtype="str"),
            "day": pd.to_datetime(np.tile(starts, len(events)), unit="ms", utc=True).as_unit("ms"),
            "until": pd.to_datetime(np.tile(ends, len(events)), unit="ms", utc=True).as_unit("ms"),
            "n": np.array([int(n) for n in counts], dtype=np.int64),
        }
    )


def _bounds(days: Sequence[date], zones: set[object]) -> tuple[Int64, Int64]:
    """Return where days begin and end in the zone an answer names, milliseconds since 1970 UTC."""
    zone = next(iter(zones)) if len(zones) == 1 else None
    try:
        ZoneInfo(str(zone or "unnamed"))
    except (KeyError, ValueError, OSError) as error:
        raise PostHogError(
            "PostHog's answer does not name the time zone of its days, so they cannot be compared "
            "with others."
        ) from error
    edges = [to_ms(midnight(day, str(zone))) for day in [*days, days[-1] + timedelta(days=1)]]
    return np.array(edges[:-1], dtype=np.int64), np.array(edges[1:], dtype=np.int64)


def _read_rows(answer: Answer, events: set[str], n_days: int) -> pd.DataFrame:
    _require(answer.columns == ("event", "day", "n", "n_once"), "has other columns")
    is_right = all(
        row[0] in events and all(type(one) is int for one in row[1:])
        and 0 <= row[1] < n_days and 0 < row[3] <= row[2]
        for row in answer.rows
    )  # fmt: skip
    _require(is_right, "has counts nobody asked for")
    _require(len({(row[0], row[1]) for row in answer.rows}) == len(answer.rows), "repeats a day")
    frame = pd.DataFrame(answer.rows, columns=["event", "day", "n", "n_once"])
    return frame.astype({"event": "str", "day": "int64", "n": "int64", "n_once": "int64"})


def _require(is_right: bool, what: str) -> None:  # noqa: FBT001
    if not is_right:
        raise DataError(f"PostHog's answer {what}.")
