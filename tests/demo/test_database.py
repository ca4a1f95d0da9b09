from __future__ import annotations

import sqlite3
from contextlib import closing

import pandas as pd
import pytest
from sqlalchemy import create_engine, text

from tests.demo.conftest import Demo

PUSH_COLUMNS = [
    "id", "user_id", "automation_id", "campaign_id", "title", "body", "status", "sent_at",
    "delivered_at", "trigger_at",
]  # fmt: skip


def _delivered(demo: Demo) -> pd.DataFrame:
    return demo.pushes[demo.pushes["status"].str.casefold() == "delivered"]


def test_push_database_has_the_tables_of_the_contract(small: Demo) -> None:
    assert list(small.pushes.columns) == PUSH_COLUMNS
    assert list(small.users.columns) == ["id", "email", "posthog_distinct_id", "created_at"]
    assert small.pushes["id"].is_unique
    assert small.pushes["user_id"].isin(small.users["id"]).all()
    assert len(small.users) == 2_100


def test_push_database_opens_by_its_url(small: Demo) -> None:
    engine = create_engine(small.files.database_url)
    with engine.connect() as connection:
        found = connection.execute(text("SELECT count(*) FROM push_notifications")).scalar()
    engine.dispose()
    assert found == len(small.pushes)


def test_push_database_writes_instants_as_iso_text_with_z(small: Demo) -> None:
    with closing(sqlite3.connect(small.files.root / "pushes.sqlite")) as connection:
        rows = connection.execute("SELECT sent_at, delivered_at FROM push_notifications LIMIT 50")
        texts = [text for row in rows for text in row if text]
    assert all(len(text) == 24 and text.endswith("Z") and text[10] == "T" for text in texts)


def test_push_database_indexes_delivered_at_and_sent_at(small: Demo) -> None:
    with closing(sqlite3.connect(small.files.root / "pushes.sqlite")) as connection:
        found = connection.execute("SELECT sql FROM sqlite_master WHERE type = 'index'").fetchall()
    indexed = " ".join(sql for (sql,) in found)
    assert "(delivered_at)" in indexed
    assert "(sent_at)" in indexed


def test_push_database_has_66_sends_in_three_layers(small: Demo) -> None:
    day = small.pushes["sent_at"].dt.tz_convert("America/New_York").dt.date
    keys = small.pushes["campaign_id"].fillna(small.pushes["automation_id"] + ":" + day.astype(str))
    assert keys.nunique() == 66
    assert set(keys) == set(small.truth["campaign_id"])
    assert small.pushes.loc[small.pushes["trigger_at"].notna(), "campaign_id"].isna().all()


def test_push_database_reaches_recipients_to_scale(small: Demo) -> None:
    sizes = small.truth.drop_duplicates("campaign_id").groupby("layer")["n_pushes"]
    scale = len(small.users) / 12_000
    assert sizes.mean()[1] == pytest.approx(8_400 * scale, rel=0.03)
    assert sizes.min()[3] > 0.6 * 150 * scale
    assert sizes.max()[3] <= 900 * scale


def test_push_database_delivers_inside_the_business_day_of_the_send(small: Demo) -> None:
    delivered = _delivered(small)
    zone = "America/New_York"
    at = delivered["delivered_at"].fillna(delivered["sent_at"]).dt.tz_convert(zone).dt.date
    assert (at == delivered["sent_at"].dt.tz_convert(zone).dt.date).all()


def test_push_database_mixes_statuses_and_leaves_gaps(small: Demo) -> None:
    counts = small.pushes["status"].value_counts()
    assert {"delivered", "Delivered", "sent", "failed", "holdout"} <= set(counts.index)
    delivered = _delivered(small)
    assert 0 < delivered["delivered_at"].isna().mean() < 0.005
    others = small.pushes.drop(delivered.index)
    assert others["delivered_at"].isna().all()
    assert 0 < small.users["created_at"].isna().sum() < 20
    assert small.users["email"].isna().any()


def test_push_database_holds_out_a_tenth_of_layer_1(small: Demo) -> None:
    layer_1 = small.pushes[small.pushes["campaign_id"].str.contains("drop|feature", na=False)]
    assert (layer_1["status"] == "holdout").mean() == pytest.approx(0.10, abs=0.01)


def test_push_database_doubles_a_few_rows(small: Demo) -> None:
    delivered = _delivered(small)
    layer_1 = delivered.dropna(subset="campaign_id")
    doubled = layer_1.duplicated(["campaign_id", "user_id"]).mean()
    assert doubled == pytest.approx(0.003, abs=0.0012)


def test_push_database_sends_several_pushes_within_48_hours(small: Demo) -> None:
    delivered = _delivered(small).sort_values("sent_at")
    gap = delivered.groupby("user_id")["sent_at"].diff()
    assert (gap < pd.Timedelta(hours=48)).mean() > 0.1


def test_users_are_partly_without_distinct_id(small: Demo) -> None:
    assert small.users["posthog_distinct_id"].isna().mean() == pytest.approx(0.06, abs=0.015)
