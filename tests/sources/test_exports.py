"""Exported events: each uuid once, merged persons one, e-mails found, errors in words."""

import json
from datetime import UTC, datetime, timedelta

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.activity.source import Period, silent
from core.errors import ExportError
from core.sections import Events
from core.sources.exports import ExportSource
from core.span import to_ms

T = datetime(2026, 9, 1, tzinfo=UTC)
EVENTS = ["Trade Confirmed", "$pageview"]
PERIOD = Period(to_ms(T), to_ms(T + timedelta(days=10)))
DEFAULTS = {"event": "$pageview", "person_id": None, "email": None, "hours": 1.0}


def event(uuid, distinct_id, **given):
    values = {**DEFAULTS, **given}
    email = values["email"]
    return {
        "uuid": uuid,
        "event": values["event"],
        "distinct_id": distinct_id,
        "person_id": values["person_id"] or f"p-{distinct_id}",
        "properties": "{}",
        "person_properties": json.dumps({"email": email} if email else {}),
        "timestamp": T + timedelta(hours=values["hours"]),
        "created_at": T,
        "_inserted_at": T,
    }


def write(path, rows, drop=()):
    table = pa.Table.from_pylist(rows)
    where = table.schema.get_field_index("timestamp")
    if where >= 0:
        table = table.set_column(
            where, "timestamp", table["timestamp"].cast(pa.timestamp("us", "UTC"))
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.drop_columns(list(drop)), path, compression="zstd")


def person(distinct_id, person_id, version=0, email=None):
    return {
        "team_id": 1,
        "distinct_id": distinct_id,
        "person_id": person_id,
        "properties": json.dumps({"email": email} if email else {}),
        "person_distinct_id_version": version,
    }


def fetched(tmp_path, *, persons=False, period=PERIOD):
    source = ExportSource(
        Events(
            path=str(tmp_path / "events" / "**" / "*.parquet"),
            persons=str(tmp_path / "persons" / "*.parquet") if persons else None,
        )
    )
    return source, source.fetch(period, EVENTS, on_progress=silent)


def as_rows(timelines):
    people = timelines.person_ids.to_numpy()[timelines.persons]
    names = [timelines.event_names[e] for e in timelines.events]
    return list(zip(people, timelines.instants - PERIOD.start, names, strict=True))


def test_fetch_counts_a_uuid_once_across_files(tmp_path):
    write(tmp_path / "events/a/1.parquet", [event("u1", "x"), event("u2", "x", hours=2)])
    write(tmp_path / "events/b/2.parquet", [event("u1", "x")])
    _, activity = fetched(tmp_path)
    assert as_rows(activity.timelines) == [
        ("p-x", 3_600_000, "$pageview"),
        ("p-x", 7_200_000, "$pageview"),
    ]


def test_fetch_is_half_open_and_leaves_other_events_out(tmp_path):
    write(
        tmp_path / "events/1.parquet",
        [
            event("a", "x", hours=0),
            event("b", "x", hours=240),
            event("c", "x", hours=-0.001),
            event("d", "x", event="Other"),
            event("e", "x", event="Trade Confirmed", hours=239.99),
        ],
    )
    _, activity = fetched(tmp_path)
    assert [row[2] for row in as_rows(activity.timelines)] == ["$pageview", "Trade Confirmed"]


def test_fetch_has_nobody_who_did_nothing_tracked_in_the_period(tmp_path):
    rows = [
        event("a", "a", event="Other"), event("b", "b"), event("c", "c", hours=-1),
        event("d", "d"),
    ]  # fmt: skip
    write(tmp_path / "events/1.parquet", rows)
    _, activity = fetched(tmp_path)
    assert activity.timelines.person_ids.tolist() == ["p-b", "p-d"]
    assert [row[0] for row in as_rows(activity.timelines)] == ["p-b", "p-d"]
    assert sorted(activity.seen["distinct_id"]) == ["a", "b", "c", "d"]


def test_fetch_floors_microseconds_to_the_millisecond(tmp_path):
    row = event("a", "x", hours=0)
    row["timestamp"] += timedelta(microseconds=1_999)
    write(tmp_path / "events/1.parquet", [row])
    _, activity = fetched(tmp_path)
    assert as_rows(activity.timelines)[0][1] == 1


def test_fetch_follows_the_persons_export(tmp_path):
    write(
        tmp_path / "events/1.parquet",
        [event("a", "anon", person_id="old"), event("b", "known", person_id="new")],
    )
    write(
        tmp_path / "persons/1.parquet",
        [person("anon", "old"), person("anon", "new", 1), person("known", "new"), person("z", "z")],
    )
    source, activity = fetched(tmp_path, persons=True)
    assert {row[0] for row in as_rows(activity.timelines)} == {"new"}
    assert source.persons_of(["anon", "nobody"]).to_dict("records") == [
        {"distinct_id": "anon", "person_id": "new"}
    ]
    assert dict(activity.seen[["distinct_id", "person_id"]].to_numpy()) == {
        "anon": "new", "known": "new", "z": "z",
    }  # fmt: skip


def test_fetch_without_a_persons_export_takes_the_newest_person(tmp_path):
    write(
        tmp_path / "events/1.parquet",
        [event("a", "x", person_id="old"), event("b", "x", person_id="new", hours=300)],
    )
    _, activity = fetched(tmp_path)
    assert {row[0] for row in as_rows(activity.timelines)} == {"new"}


def test_fetch_maps_distinct_ids_where_person_id_is_absent(tmp_path):
    write(tmp_path / "events/1.parquet", [event("a", "x"), event("b", "y")], drop=["person_id"])
    write(tmp_path / "persons/1.parquet", [person("x", "px")])
    _, activity = fetched(tmp_path, persons=True)
    assert {row[0] for row in as_rows(activity.timelines)} == {"px", "y"}


def test_persons_with_reads_the_persons_export_folded(tmp_path):
    write(tmp_path / "events/1.parquet", [event("a", "x")])
    write(
        tmp_path / "persons/1.parquet",
        [person("x", "px", email=" Straße@X.com\t"), person("y", "py", email="strasse@x.com")],
    )
    source, _ = fetched(tmp_path, persons=True)
    assert sorted(source.persons_with(["strasse@x.com"])["person_id"]) == ["px", "py"]
    assert source.persons_with(["other@x.com"]).empty


def test_persons_with_falls_back_to_the_newest_email_of_events(tmp_path):
    write(
        tmp_path / "events/1.parquet",
        [
            event("a", "x", email="Old@x.com", hours=1),
            event("b", "x", email="New@x.com", hours=2),
            event("c", "x", hours=3),
        ],
    )
    source, _ = fetched(tmp_path)
    assert source.persons_with(["old@x.com"]).empty
    assert source.persons_with(["new@x.com"])["person_id"].tolist() == ["p-x"]


def test_fetch_notes_a_baseline_that_reaches_before_the_export(tmp_path):
    write(tmp_path / "events/1.parquet", [event("a", "x", hours=100)])
    _, activity = fetched(tmp_path)
    assert "undercounted" in activity.notices[0]


def test_export_source_without_files_says_which_key(tmp_path):
    with pytest.raises(ExportError, match=r"events\.path: no Parquet file matches"):
        ExportSource(Events(path=str(tmp_path / "*.parquet")))


@pytest.mark.parametrize("column", ["uuid", "event", "distinct_id", "timestamp"])
def test_export_source_without_a_column_names_it(tmp_path, column):
    write(tmp_path / "events/1.parquet", [event("a", "x")], drop=[column])
    with pytest.raises(ExportError, match=f"no column '{column}'"):
        ExportSource(Events(path=str(tmp_path / "events")))


def test_export_source_without_any_person_says_what_to_export(tmp_path):
    write(tmp_path / "events/1.parquet", [event("a", "x")], drop=["person_id"])
    with pytest.raises(ExportError, match=r"events\.persons"):
        ExportSource(Events(path=str(tmp_path / "events")))


def test_export_source_of_a_damaged_file(tmp_path):
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 this is not Parquet PAR1")
    with pytest.raises(ExportError, match="cannot be read"):
        ExportSource(Events(path=str(tmp_path)))


def test_totals_count_distinct_uuids(tmp_path):
    write(tmp_path / "events/1.parquet", [event("a", "x"), event("a", "x"), event("b", "x")])
    source, _ = fetched(tmp_path)
    totals: pd.DataFrame = source.totals(EVENTS)
    assert totals[["event", "n"]].to_numpy().tolist() == [["$pageview", 2]]


def test_fetch_from_an_export_that_ended_early_names_the_hole(tmp_path):
    rows = [event(f"e{i}", f"d{i % 7}", hours=i / 2) for i in range(10 * 24)]  # five days
    write(tmp_path / "events" / "a.parquet", rows)
    source = ExportSource(Events(path=str(tmp_path / "events")))
    (hole,) = source.fetch(PERIOD, EVENTS, on_progress=silent).holes
    assert (hole.start, hole.end) == (to_ms(rows[-1]["timestamp"]) + 1, PERIOD.end)
    assert "2026-09-05 23:30" in hole.why
    until_then = Period(PERIOD.start, to_ms(T + timedelta(days=5)))
    assert source.fetch(until_then, EVENTS, on_progress=silent).holes == ()


def test_fetch_of_few_events_takes_silence_for_what_it_is(tmp_path):
    write(tmp_path / "events" / "a.parquet", [event(f"e{i}", "d", hours=5.0 * i) for i in range(9)])
    source = ExportSource(Events(path=str(tmp_path / "events")))
    assert source.fetch(PERIOD, EVENTS, on_progress=silent).holes == ()
