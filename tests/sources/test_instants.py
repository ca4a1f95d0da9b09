"""Timestamps of every form as instants in UTC."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa

from core.errors import DataError
from core.sources.instants import fetched_type, to_utc
from core.sources.tables import Kind, SourceTable
from tests.sources.push_database import PUSH


def table_of(kind: Kind) -> SourceTable:
    names = {name: name for name in PUSH}
    return SourceTable(
        role="push_notifications", name="pushes", names=names, kinds={"sent_at": kind},
        clause=sa.table("pushes", *map(sa.column, names)),
    )  # fmt: skip


def utc(values: Sequence[Any], kind: Kind, *, zone: str | None = None) -> list[str | None]:
    """Return values as `to_utc` gives them, written out."""
    table = table_of(kind)
    fetched = pa.chunked_array([pa.array(values, fetched_type(table, "sent_at", "other"))])
    instants, _ = to_utc(fetched, table, "sent_at", zone=zone)
    assert instants.type == pa.timestamp("ms", "UTC")
    written = [one and one.isoformat(timespec="milliseconds") for one in instants.to_pylist()]
    return [one and one.removesuffix("+00:00") for one in written]


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-09-01T12:00:00.000Z", "2026-09-01T12:00:00.000"),
        ("2026-09-01 12:00:00.123456+0200", "2026-09-01T10:00:00.123"),
        ("2026-09-01 12:00:00.1239999999 +02:00", "2026-09-01T10:00:00.123"),
        ("2026-09-01T12:00:00.5+02", "2026-09-01T10:00:00.500"),
        ("2026-09-01t12:00:00z", "2026-09-01T12:00:00.000"),
        (" 2026-09-01T12:00Z\n", "2026-09-01T12:00:00.000"),
        ("1969-12-31T23:59:59.9999Z", "1969-12-31T23:59:59.999"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000"),
        ("  ", None),
        (None, None),
    ],
)
def test_to_utc_text_with_offset(text: str | None, instant: str | None) -> None:
    assert utc(["2026-01-01T00:00:00Z", text], "iso") == ["2026-01-01T00:00:00.000", instant]


@pytest.mark.parametrize("text", ["2026-09-01", "2026-09-01T12:00", "2026-09-01 12:00:00.5"])
def test_to_utc_text_without_offset_needs_a_zone(text: str) -> None:
    with pytest.raises(DataError, match=r"sent_at of the table pushes .*\[database\] timezone"):
        utc([text], "iso")
    mixed = utc([text, "2026-09-01T00:00:00Z"], "iso", zone="America/New_York")
    assert mixed[0] is not None
    assert mixed[0] >= "2026-09-01T04:00"
    assert mixed[1] == "2026-09-01T00:00:00.000"


@pytest.mark.parametrize(
    "text", ["soon", "2026-09-01T24:00:00Z", "2026-02-30T00:00:00Z", "2026-09-01T12:00:00+2"]
)
def test_to_utc_text_that_is_none_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(DataError, match="sent_at of the table pushes holds") as caught:
        utc([text, "2026-09-01T00:00:00Z"], "iso", zone="UTC")
    assert text not in str(caught.value)


def test_to_utc_datetimes_of_other_drivers_are_floored() -> None:
    value = datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    assert utc([value, None], "zoned") == ["1969-12-31T23:59:59.999", None]


def test_to_utc_datetimes_without_zone_are_localised() -> None:
    value = datetime(2026, 11, 1, 1, 30)  # noqa: DTZ001 - the case
    assert utc([value], "naive", zone="America/New_York") == ["2026-11-01T05:30:00.000"]


@pytest.mark.parametrize(
    ("zone", "wall", "instant"),
    [
        ("America/New_York", "2026-11-01T01:30:00", "2026-11-01T05:30:00.000"),
        ("America/New_York", "2026-03-08T02:30:00", "2026-03-08T07:00:00.000"),
        ("Europe/Dublin", "2026-10-25T01:30:00", "2026-10-25T00:30:00.000"),
        ("Australia/Lord_Howe", "2026-04-05T01:45:00", "2026-04-04T14:45:00.000"),
        ("Australia/Lord_Howe", "2026-10-04T02:15:00", "2026-10-03T15:30:00.000"),
    ],
)
def test_to_utc_clock_changes_are_read_by_rule_and_counted(
    zone: str, wall: str, instant: str
) -> None:
    table = table_of("iso")
    fetched = pa.chunked_array([pa.array([wall, "2026-07-01T00:00:00"], pa.large_string())])
    instants, n_unclear = to_utc(fetched, table, "sent_at", zone=zone)
    assert instants[0].as_py().isoformat(timespec="milliseconds") == f"{instant}+00:00"
    assert n_unclear == 1
