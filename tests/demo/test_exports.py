from __future__ import annotations

import json
from uuid import UUID

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.demo.world import EVENTS
from tests.demo.conftest import Demo

COLUMNS = {
    "uuid": pa.string(),
    "event": pa.string(),
    "distinct_id": pa.string(),
    "person_id": pa.string(),
    "properties": pa.string(),
    "person_properties": pa.string(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "created_at": pa.timestamp("us", tz="UTC"),
    "_inserted_at": pa.timestamp("us", tz="UTC"),
}


def test_write_events_has_the_schema_of_the_contract_in_every_file(small: Demo) -> None:
    files = sorted((small.files.root / "events").rglob("*.parquet"))
    assert len(files) >= 6
    for file in files:
        parquet = pq.ParquetFile(file)
        assert dict(zip(parquet.schema_arrow.names, parquet.schema_arrow.types, strict=True)) == (
            COLUMNS
        )
        assert parquet.metadata.row_group(0).column(0).compression == "ZSTD"


def test_write_events_can_be_read_by_duckdb_through_its_glob(small: Demo) -> None:
    with duckdb.connect() as connection:
        found = connection.execute(
            "SELECT count(*), count(DISTINCT uuid) FROM read_parquet(?)", [small.files.events]
        ).fetchone()
    assert found == (len(small.rows), small.rows["uuid"].nunique())


def test_write_events_repeats_about_three_in_a_thousand(small: Demo) -> None:
    share = 1 - small.rows["uuid"].nunique() / len(small.rows)
    assert share == pytest.approx(0.003, abs=0.0006)
    again = small.rows[small.rows["uuid"].duplicated(keep=False)].sort_values(
        ["uuid", "_inserted_at"]
    )
    first, second = again.iloc[0::2].reset_index(), again.iloc[1::2].reset_index()
    same = ["uuid", "event", "distinct_id", "person_id", "timestamp", "created_at"]
    assert first[same].equals(second[same])
    later = second["_inserted_at"] > first["_inserted_at"]
    assert later.all()


def test_write_events_repeats_in_another_file(small: Demo) -> None:
    folder = small.files.root / "events"
    retried = pq.read_table(folder / "retried")["uuid"].to_pylist()
    assert len(set(retried)) == len(retried) > 0
    assert set(retried) < set(small.rows["uuid"])


def test_write_events_has_valid_uuids(small: Demo) -> None:
    some = small.events["uuid"].iloc[::500]
    assert all(str(UUID(text)) == text and UUID(text).version == 7 for text in some)


def test_write_events_ends_at_now_and_starts_35_days_before(small: Demo) -> None:
    first, last = small.events["timestamp"].min(), small.events["timestamp"].max()
    as_of = pd.Timestamp(small.files.as_of)
    assert as_of - pd.Timedelta(minutes=5) < last < as_of
    assert as_of - pd.Timedelta(days=95) <= first < as_of - pd.Timedelta(days=94.9)


def test_write_events_arrive_in_order_and_some_late_but_none_after_now(small: Demo) -> None:
    events = small.rows
    assert (events["created_at"] > events["timestamp"]).all()
    assert (events["_inserted_at"] >= events["created_at"]).all()
    assert (events["_inserted_at"] < pd.Timestamp(small.files.as_of)).all()
    late = events["created_at"] - events["timestamp"] > pd.Timedelta(minutes=10)
    assert late.mean() == pytest.approx(0.008, abs=0.002)
    assert (events["created_at"] - events["timestamp"]).max() > pd.Timedelta(hours=24)


def test_write_events_holds_tracked_and_untracked_events(small: Demo) -> None:
    assert set(small.events["event"]) == set(EVENTS)


def test_write_events_properties_are_json(small: Demo) -> None:
    for name in ("properties", "person_properties"):
        parsed = [json.loads(text) for text in small.events[name].unique()]
        assert all(isinstance(each, dict) for each in parsed)
    zones = small.events["person_properties"].str.contains("America/Los_Angeles")
    assert zones.any()


def test_write_persons_says_who_was_merged(small: Demo) -> None:
    merged = small.persons[small.persons["person_distinct_id_version"] == 1]
    people = small.people.set_index("person_id")
    assert people.loc[merged["person_id"], "is_merged"].all()
    assert len(merged) == small.people["is_merged"].sum() > 20
    early = small.events[small.events["distinct_id"].isin(merged["distinct_id"])]
    now = early["distinct_id"].map(merged.set_index("distinct_id")["person_id"])
    assert len(early) > 0
    assert (early["person_id"] != now).all()


def test_write_persons_knows_every_distinct_id_once(small: Demo) -> None:
    assert small.persons["distinct_id"].is_unique
    assert set(small.events["distinct_id"]) <= set(small.persons["distinct_id"])
    assert set(small.persons["team_id"]) == {1}


def test_write_persons_has_one_row_per_user_and_early_distinct_id(small: Demo) -> None:
    early = (small.people["is_merged"] | small.people["is_twin"]).sum()
    assert len(small.persons) == len(small.users) + early


def test_twins_are_two_persons_with_one_email(small: Demo) -> None:
    emails = small.persons["properties"].map(lambda text: json.loads(text).get("email"))
    by_email = small.persons.assign(email=emails.str.strip().str.casefold())
    persons = by_email.dropna(subset="email").groupby("email")["person_id"].nunique()
    assert (persons > 1).sum() == small.people["is_twin"].sum()
