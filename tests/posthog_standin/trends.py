"""A trends insight: totals per project-zone day, for the cross-check of counts made in HogQL."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any, Final

from .engine import Engine
from .errors import query_error
from .literals import print_value
from .results import rows_of
from .schema import EventsNode, TrendsQuery
from .views import view_name

_MATH: Final = {"total": "count()", "dau": "uniqExact(person_id)"}


def answer_trends(
    query: TrendsQuery, engine: Engine, *, timezone: str, seconds: float
) -> tuple[list[dict[str, Any]], int]:
    """Return one object a series, and the bytes read.

    Days without events count zero. `date_to` is rounded to the end of its day, as PostHog does
    unless `explicitDate`.

    Raises:
        Refusal: 400 for a range that is not two absolute dates.
    """
    first, last = _days(query)
    mode = query.modifiers.person_mode if query.modifiers else None
    view = view_name("events+person", timezone, *([mode] if mode else []))
    results, bytes_read = [], 0
    for order, series in enumerate(query.series):
        rows = engine.query(_sql(series, view, (first, last), timezone), seconds=seconds)
        counts = {row[0]: row[1] for row in rows_of(rows)}
        bytes_read += rows.bytes_read
        results.append(_series(series, order, (first, last), counts))
    return results, bytes_read


def _days(query: TrendsQuery) -> tuple[date, date]:
    span = query.dateRange
    if span is None or not span.date_from or not span.date_to or span.explicitDate:
        raise query_error("The stand-in covers trends between two absolute days only")
    try:
        return _day(span.date_from), _day(span.date_to)
    except ValueError:
        raise query_error("The stand-in covers trends between two absolute days only") from None


def _day(text: str) -> date:
    return datetime.fromisoformat(text).date()


def _sql(series: EventsNode, view: str, days: tuple[date, date], timezone: str) -> str:
    zone = print_value(timezone)
    start = f"toDateTime64({print_value(days[0].isoformat())}, 6, {zone})"
    after = f"toDateTime64({print_value((days[1] + timedelta(days=1)).isoformat())}, 6, {zone})"
    event = f"AND event = {print_value(series.event)}" if series.event else ""
    return (
        f"SELECT toDate(timestamp) AS day, {_MATH[series.math or 'total']} AS n FROM {view} "  # noqa: S608
        f"WHERE timestamp >= {start} AND timestamp < {after} {event} GROUP BY day ORDER BY day"
    )


def _series(
    series: EventsNode, order: int, days: tuple[date, date], counts: dict[str, int]
) -> dict[str, Any]:
    span = [days[0] + timedelta(days=step) for step in range((days[1] - days[0]).days + 1)]
    data = [counts.get(day.isoformat(), 0) for day in span]
    name = series.custom_name or series.name or series.event or "All events"
    return {
        "action": {
            "id": series.event,
            "type": "events",
            "order": order,
            "name": name,
            "custom_name": series.custom_name,
            "math": series.math,
        },
        "label": name,
        "count": sum(data),
        "data": data,
        "labels": [f"{day.day}-{day:%b-%Y}" for day in span],
        "days": [day.isoformat() for day in span],
    }
