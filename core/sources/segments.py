"""A period cut into segments, each a condition a database can answer from an index.

Every row of the period satisfies exactly one segment's condition. Columns that do not sort as
instants do (text with offsets, clocks of a zone) are cut generously at both ends, so that what
was read has to be cut exactly afterwards.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.sql.expression import ColumnElement

from core.sources.tables import SourceTable

_DAY = timedelta(days=1)


def conditions(
    table: SourceTable, since: datetime, until: datetime, *, zone: str | None, days: int
) -> list[ColumnElement[bool]]:
    """Return one condition a segment: delivered in it or, without a delivery, sent in it.

    Args:
        table: The pushes.
        since: Start of the period, inclusive.
        until: End of the period, exclusive.
        zone: The zone of columns that carry none.
        days: The length of a segment.
    """
    edges = _edges(since.astimezone(UTC), until.astimezone(UTC), timedelta(days=days))
    delivered = _within(table, "delivered_at", edges, zone)
    if "sent_at" not in table.kinds:
        return delivered
    undelivered = table["delivered_at"].is_(None)
    return [
        sa.or_(of_delivery, sa.and_(undelivered, of_sending))
        for of_delivery, of_sending in zip(
            delivered, _within(table, "sent_at", edges, zone), strict=True
        )
    ]


def _edges(since: datetime, until: datetime, length: timedelta) -> list[datetime]:
    """Return the instants between which segments lie, the period's ends included."""
    count = max(1, -(-(until - since) // length))
    return [since + i * length for i in range(count)] + [until]


def _within(
    table: SourceTable, column: str, edges: list[datetime], zone: str | None
) -> list[ColumnElement[bool]]:
    value = table[column]
    bounds = _bounds(table.kinds[column], edges, zone)
    return [sa.and_(value >= low, value < high) for low, high in pairwise(bounds)]


def _bounds(kind: str, edges: list[datetime], zone: str | None) -> list[Any]:
    """Return the edges as the column's kind compares them, the outer ones a day further out."""
    if kind == "zoned":
        return list(edges)
    wider = [edges[0] - _DAY, *edges[1:-1], edges[-1] + _DAY]
    if kind == "naive":
        return [edge.astimezone(ZoneInfo(zone or "UTC")).replace(tzinfo=None) for edge in wider]
    dates = [edge.date() for edge in wider]  # an offset moves a date by at most one day
    return [day.isoformat() for day in [*dates[:-1], dates[-1] + _DAY]]
