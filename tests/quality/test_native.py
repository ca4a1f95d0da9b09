"""What was read against what PostHog says, on totals made by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from core.activity.source import Period
from core.activity.timelines import MS_PER_DAY, MS_PER_HOUR, Timelines, from_rows
from core.errors import DataError
from core.measure.holes import Holes
from core.quality.frames import NATIVE
from core.quality.native import TOLD, day_starts, native_totals, whole_days

ZONE = "America/New_York"
DAYS = pd.date_range("2026-10-30", periods=5, tz=ZONE)  # 1 November has 25 hours
EDGES = DAYS.tz_convert("UTC").as_unit("ms").asi8
START, END = int(EDGES[0]), int(EDGES[-1])
WHOLE = Period(START, END)
LONG_AGO = END


def timelines_of(counts: dict[str, list[int]]) -> Timelines:
    """Return so many events of each name on each day, some on its first and last millisecond."""
    instants, events = [], []
    for code, per_day in enumerate(counts.values()):
        for start, end, n in zip(EDGES[:-1], EDGES[1:], per_day, strict=True):
            at = np.linspace(start, end - 1, n).astype(np.int64)
            instants.append(at)
            events.append(np.full(n, code))
    return from_rows(
        ["a"],
        np.zeros(sum(map(len, instants)), dtype=np.int64),
        np.concatenate(instants),
        np.concatenate(events),
        event_names=tuple(counts),
    )


def told(counts: dict[str, list[int]]) -> pd.DataFrame:
    edges = pd.to_datetime(EDGES, unit="ms", utc=True).as_unit("ms")
    return TOLD.checked(
        pd.concat(
            [
                pd.DataFrame(
                    {
                        "event": pd.Series([name] * 4, dtype="str"),
                        "day": edges[:-1],
                        "until": edges[1:],
                        "n": np.array(per_day, dtype=np.int64),
                    }
                )
                for name, per_day in counts.items()
            ],
            ignore_index=True,
        )
    )


def compared(
    ours: dict[str, list[int]], native: dict[str, list[int]], **options: object
) -> pd.DataFrame:
    given = {"period": WHOLE, "settled_until": LONG_AGO, **options}
    return native_totals(timelines_of(ours), told(native), **given)


def test_native_totals_count_local_days_to_the_millisecond() -> None:
    counts = {"b": [3, 40, 500, 2], "a": [7, 0, 1, 9]}
    found = compared(counts, counts)
    pd.testing.assert_frame_equal(found, NATIVE.checked(found))
    assert found["event"].tolist() == ["a"] * 4 + ["b"] * 4
    assert found["ours"].tolist() == counts["a"] + counts["b"]
    assert found["agrees"].all()
    assert found["why"].isna().all()


def test_native_totals_of_events_never_read_are_zeros() -> None:
    found = compared({"a": [0, 0, 0, 0], "b": [1, 1, 1, 1]}, {"a": [0, 0, 0, 5]})
    assert found["ours"].tolist() == [0, 0, 0, 0]
    assert found["agrees"].tolist() == [True, True, True, False]


@pytest.mark.parametrize(
    ("native", "ours", "is_settled", "agrees"),
    [
        (100, 98, True, True),
        (100, 102, True, True),
        (100, 97, True, False),
        (1000, 990, True, True),
        (1000, 989, True, False),
        (0, 2, True, True),
        (0, 3, True, False),
        (100, 90, False, True),
        (100, 89, False, False),
        (1000, 950, False, True),
        (1000, 949, False, False),
    ],
)
def test_native_totals_agree_within_the_tolerance(
    native: int, ours: int, *, is_settled: bool, agrees: bool
) -> None:
    found = compared(
        {"a": [ours, 0, 0, 0]},
        {"a": [native, 0, 0, 0]},
        settled_until=LONG_AGO if is_settled else START,
    )
    assert bool(found["agrees"].iloc[0]) is agrees
    assert bool(found["why"].isna().iloc[0]) is agrees


def test_native_totals_widen_only_the_days_that_had_not_settled() -> None:
    counts = {"a": [1000, 1000, 1000, 1000]}
    found = compared(counts, counts, settled_until=int(EDGES[2]))
    assert found["tolerance"].tolist() == [10.0, 10.0, 50.0, 50.0]


def test_native_totals_leave_out_days_that_were_read_in_part() -> None:
    counts = {"a": [4, 4, 4, 4]}
    part = Period(START + 1, END - 1)
    assert compared(counts, counts, period=part)["day"].tolist() == [
        pd.Timestamp(EDGES[at], unit="ms", tz="UTC") for at in (1, 2)
    ]
    assert compared(counts, counts, period=Period(START + 1, START + 2)).empty


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([("a", 0, 30, 20)], "10 copies of events recorded more than once"),
        ([("a", 0, 30, 30)], "holds 10 events now that it did not when they were read"),
        ([("a", 0, 30, 5)], "15 events that were read are no longer in PostHog"),
    ],
)
def test_native_totals_tell_why_by_the_rows_there_are(
    rows: list[tuple[str, int, int, int]], said: str
) -> None:
    table = pd.DataFrame(rows, columns=["event", "day", "n", "n_once"]).astype({"event": "str"})
    found = compared({"a": [20, 1, 1, 1]}, {"a": [30, 1, 1, 1]}, rows=table)
    assert said in found["why"].iloc[0]
    assert found["why"].iloc[1:].isna().all()


def test_native_totals_name_both_reasons_where_there_are_two() -> None:
    table = pd.DataFrame({"event": ["a"], "day": [0], "n": [30], "n_once": [25]})
    found = compared(
        {"a": [20, 0, 0, 0]}, {"a": [30, 0, 0, 0]}, rows=table.astype({"event": "str"})
    )
    assert "5 copies" in found["why"].iloc[0]
    assert "5 events now" in found["why"].iloc[0]
    assert "after the day had settled" in found["why"].iloc[0]


@pytest.mark.parametrize(
    ("native", "settled_until", "said"),
    [(50, LONG_AGO, "Not known: copies"), (0, LONG_AGO, "Not known: events deleted"),
     (50, START, "had not settled")],
)  # fmt: skip
def test_native_totals_without_rows_say_that_the_reason_is_not_known(
    native: int, settled_until: int, said: str
) -> None:
    found = compared({"a": [20, 0, 0, 0]}, {"a": [native, 0, 0, 0]}, settled_until=settled_until)
    assert said in found["why"].iloc[0]


def test_native_totals_of_a_day_with_a_hole_say_so() -> None:
    holes = Holes.of([(int(EDGES[1]) + MS_PER_HOUR, int(EDGES[1]) + MS_PER_DAY // 2)])
    found = compared({"a": [20, 5, 20, 20]}, {"a": [20, 20, 20, 20]}, holes=holes)
    assert found["why"].isna().tolist() == [True, False, True, True]
    assert "could not be read" in found["why"].iloc[1]


def test_whole_days_refuse_another_table() -> None:
    with pytest.raises(DataError, match="told_totals lacks"):
        whole_days(pd.DataFrame({"event": ["a"]}), WHOLE)


def test_day_starts_are_each_once() -> None:
    table = told({"a": [1, 2, 3, 4], "b": [1, 2, 3, 4]})
    assert day_starts(table).tolist() == EDGES[:-1].tolist()
