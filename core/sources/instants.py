"""Timestamps of a database as instants: UTC, floored to the millisecond.

Where a column carries no zone and settings declare one, an hour that occurs twice (clocks go
back) is read as its first occurrence, and one that does not occur (clocks go forward) as the
first instant after the gap; how many were so read is said in a notice.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlalchemy.sql.expression import ColumnElement

from core.errors import DataError
from core.sources.tables import SourceTable

_WALL = pa.timestamp("ms")
_UTC = pa.timestamp("ms", "UTC")
_US_PER_MS = 1_000
_FINE = pa.timestamp("us", "UTC")
_WITH_OFFSET = r":\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}(?::?\d{2})?)$"
_WITHOUT_OFFSET = r"^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)?$"


def selected(table: SourceTable, column: str, dialect: str) -> ColumnElement[Any]:
    """Return what to select for a timestamp: milliseconds from PostgreSQL, else as it is."""
    value = table[column]
    if dialect != "postgresql" or column not in table.kinds:
        return value
    # whole numbers travel and convert several times faster than datetimes; infinity has none
    milliseconds = sa.extract("epoch", sa.func.date_trunc("milliseconds", value)) * 1000
    return sa.case((sa.func.isfinite(value), sa.cast(sa.func.round(milliseconds), sa.BigInteger)))


def fetched_type(table: SourceTable, column: str, dialect: str) -> pa.DataType:
    """Return the Arrow type of what `selected` gives."""
    if column not in table.kinds or dialect == "postgresql":
        return pa.int64()
    by_kind = {"iso": pa.large_string(), "zoned": _FINE, "naive": pa.timestamp("us")}
    return by_kind[table.kinds[column]]


def to_utc(
    values: pa.ChunkedArray, table: SourceTable, column: str, *, zone: str | None
) -> tuple[pa.ChunkedArray, int]:
    """Return timestamp[ms, UTC] for what was fetched, and how many clock changes made unclear.

    Args:
        values: What `selected` gave, of the type `fetched_type` names.
        table: Where it came from.
        column: The contract's name of the column.
        zone: The zone of timestamps without one; None refuses them.

    Raises:
        DataError: A text is no ISO 8601 timestamp, or has no offset while no zone is declared.
    """
    kind = table.kinds.get(column)
    if kind == "iso":
        named = f"The column {table.names[column]} of the table {table.name}"
        return _from_text(values, named, zone)
    if kind == "naive" and zone:
        return _localised(_floored(values).cast(_WALL), zone)
    return _floored(values).cast(_UTC), 0


def _floored(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return milliseconds as they are, and microseconds floored to them, as whole numbers."""
    if pa.types.is_integer(values.type):
        return values
    fine = values.cast(pa.int64())  # Arrow's own floor_temporal is ten times slower
    towards_zero = pc.divide(fine, _US_PER_MS)
    is_above = pc.greater(pc.multiply(towards_zero, _US_PER_MS), fine)
    return pc.subtract(towards_zero, is_above.cast(pa.int64()))


def _from_text(values: pa.ChunkedArray, named: str, zone: str | None) -> tuple[Any, int]:
    try:
        return _floored(values.cast(_FINE)).cast(_UTC), 0
    except pa.ArrowInvalid:
        return _from_untidy_text(values, named, zone)


def _from_untidy_text(values: pa.ChunkedArray, named: str, zone: str | None) -> tuple[Any, int]:
    """Return instants of texts of which some need tidying, or lack an offset."""
    texts = _tidied(values)
    has_offset = pc.match_substring_regex(texts, _WITH_OFFSET)
    without = pc.match_substring_regex(texts, _WITHOUT_OFFSET)
    n_without = pc.sum(without).as_py() or 0
    if n_without and not zone:
        raise DataError(
            f"{named} holds {n_without:,} timestamps without an offset. Write them with one, or "
            "say which zone is meant in [database] timezone."
        )
    readable = pc.or_kleene(pc.is_null(texts), pc.or_(has_offset, without))
    try:
        zoned = pc.if_else(has_offset, texts, None).cast(_UTC)
        walls = pc.if_else(without, texts, None).cast(_WALL)
    except pa.ArrowInvalid:
        raise DataError(
            f"{named} holds timestamps that do not exist, such as an hour 24."
        ) from None
    if not pc.all(readable).as_py():
        raise DataError(f"{named} holds values that are no ISO 8601 timestamps.")
    local, n_unclear = _localised(walls, zone) if zone else (walls.cast(_UTC), 0)
    return pc.coalesce(zoned, local), n_unclear


def _tidied(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return texts trimmed, upper case, cut to milliseconds, the offset without a blank before."""
    texts = pc.utf8_upper(pc.utf8_trim_whitespace(values))
    texts = pc.if_else(pc.equal(texts, ""), None, texts)
    texts = pc.replace_substring_regex(texts, r"(\.\d{3})\d+", r"\1")
    return pc.replace_substring_regex(texts, r" +([+-]\d{2}(?::?\d{2})?|Z)$", r"\1")


def _localised(walls: pa.ChunkedArray, zone: str) -> tuple[pa.ChunkedArray, int]:
    """Return the instants wall clocks of a zone showed, and how many are unclear there."""
    series = pd.Series(walls.to_pandas())
    is_first = np.ones(len(series), dtype=bool)
    existing = series.dt.tz_localize(zone, ambiguous=is_first, nonexistent="NaT")
    # not shift_forward: pandas 3.1 passes the end of a gap of half an hour by as much again
    before = series.dt.tz_localize(zone, ambiguous=is_first, nonexistent="shift_backward")
    after_gap = before.dt.tz_convert("UTC").dt.floor("ms") + pd.Timedelta(milliseconds=1)
    certain = series.dt.tz_localize(zone, ambiguous="NaT", nonexistent="NaT")
    n_unclear = int(certain.isna().sum() - series.isna().sum())
    utc = existing.dt.tz_convert("UTC").fillna(after_gap).astype("datetime64[ms, UTC]")
    return pa.chunked_array([pa.Array.from_pandas(utc, type=_UTC)]), n_unclear
