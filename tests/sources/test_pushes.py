"""Rows of the push database: the same from both kinds, exact in time, nothing lost silently."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

from core.errors import DatabaseError, DataError
from core.sources import pushes as pushes_module
from core.sources.database import open_engine
from core.sources.faults import ConnectionLost
from core.sources.pushes import RawPushes, read_push_rows
from tests.sources.push_database import (
    END,
    START,
    PushDatabase,
    assert_holds_no_secret,
    at,
    push,
    user,
)

INSTANT = "datetime64[ms, UTC]"
NEW_YORK = timezone(timedelta(hours=-4))


def sorted_rows(raw: RawPushes) -> pd.DataFrame:
    return raw.rows.sort_values("id", ignore_index=True)


def many(n: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return n seeded rows of every kind over two months, and their users."""
    rng = np.random.default_rng(7)
    statuses = ["delivered", " Delivered", "DELIVERED", "holdout", "failed", "sent", "queued"]
    rows = []
    for i in range(n):
        status = statuses[rng.integers(len(statuses))]
        sent = at(float(rng.uniform(-24, 24 * 62)), microseconds=int(rng.integers(10**6)))
        rows.append(
            push(
                i,
                user_id=f"u{rng.integers(40)}",
                campaign_id=[None, "", "a", "b"][rng.integers(4)],
                automation_id=[None, "auto"][rng.integers(2)],
                status=status,
                title=f"Title {rng.integers(3)}",
                sent_at=sent,
                delivered_at=sent + timedelta(seconds=9) if "eliv" in status else None,
                trigger_at=sent - timedelta(hours=3) if rng.random() < 0.3 else None,
            )
        )
    return rows, [user(i) for i in range(38)]


class TestBothKinds:
    def test_read_push_rows_equal_from_sqlite_and_postgres(
        self, sqlite: PushDatabase, postgres: PushDatabase
    ) -> None:
        rows, users = many(400)
        first, second = (one.fill(rows, users).read() for one in (sqlite, postgres))
        assert 200 < len(first.rows) < 400
        assert set(first.rows["status"]) == {"delivered", "holdout", "sent", "failed"}
        pd.testing.assert_frame_equal(sorted_rows(first), sorted_rows(second))
        for name in ("others", "messages"):
            one, other = getattr(first, name), getattr(second, name)
            order = list(one.columns)
            pd.testing.assert_frame_equal(
                one.sort_values(order, ignore_index=True),
                other.sort_values(order, ignore_index=True),
            )
        assert dict(first.other_statuses) == dict(second.other_statuses)
        assert first.notices == second.notices

    def test_read_push_rows_types_are_declared(self, database: PushDatabase) -> None:
        raw = database.fill([push(1)], [user(1)]).read()
        assert {name: str(kind) for name, kind in raw.rows.dtypes.items()} == {
            "id": "str", "campaign_id": "str", "automation_id": "str", "user_id": "str",
            "status": "str", "sent_at": INSTANT, "delivered_at": INSTANT, "trigger_at": INSTANT,
            "email": "str", "distinct_id": "str", "signed_up_at": INSTANT,
        }  # fmt: skip

    def test_read_push_rows_empty_table_gives_typed_empty_frames(
        self, database: PushDatabase
    ) -> None:
        raw = database.fill([]).read()
        assert len(raw.rows) == len(raw.others) == len(raw.messages) == 0
        assert str(raw.rows["delivered_at"].dtype) == INSTANT
        assert str(raw.rows["user_id"].dtype) == "str"

    @pytest.mark.parametrize("days", [1, 3, 7, 400])
    def test_read_push_rows_segments_give_the_same_as_one(
        self, database: PushDatabase, days: int
    ) -> None:
        rows, users = many(300)
        database.fill(rows, users)
        pd.testing.assert_frame_equal(
            sorted_rows(database.read(segment_days=days)),
            sorted_rows(database.read(segment_days=1000)),
        )

    def test_read_push_rows_reports_progress(self, database: PushDatabase) -> None:
        settings = database.fill([push(1)]).settings()
        seen: list[tuple[str, int, int]] = []
        engine = open_engine(settings)
        read_push_rows(engine, settings, START, END, on_progress=lambda *step: seen.append(step))
        engine.dispose()
        assert seen[-1] == ("reading pushes", 9, 9)
        assert [done for _, done, _ in seen] == list(range(1, 10))


class TestInstants:
    def test_read_push_rows_period_is_half_open_to_the_millisecond(
        self, database: PushDatabase
    ) -> None:
        instants = [
            START - timedelta(milliseconds=1), START, END - timedelta(microseconds=1), END,
        ]  # fmt: skip
        rows = [push(i, delivered_at=instant) for i, instant in enumerate(instants)]
        raw = database.fill(rows).read()
        assert sorted(raw.rows["id"]) == ["p1", "p2"]

    def test_read_push_rows_microseconds_are_floored(self, database: PushDatabase) -> None:
        instant = datetime(2026, 9, 5, 12, 0, 0, 123_999, tzinfo=UTC)
        raw = database.fill([push(1, delivered_at=instant)]).read()
        assert raw.rows["delivered_at"].iloc[0] == pd.Timestamp("2026-09-05T12:00:00.123Z")

    def test_read_push_rows_offset_becomes_utc(self, database: PushDatabase) -> None:
        instant = datetime(2026, 10, 31, 23, 0, tzinfo=NEW_YORK)
        raw = database.fill([push(1, delivered_at=instant)]).read(until=END + timedelta(hours=4))
        assert raw.rows["delivered_at"].iloc[0] == pd.Timestamp("2026-11-01T03:00Z")

    def test_read_push_rows_texts_that_sort_otherwise_than_instants(
        self, sqlite: PushDatabase
    ) -> None:
        """Two texts of one instant, on two dates, at each end of the period."""
        texts = ["2026-08-31T20:00:00-04:00", "2026-09-01T00:00:00Z", "2026-09-01T13:59:59.9+14:00",
                 "2026-10-31T12:00:00-12:00", "2026-10-31T11:59:59.999-12:00"]  # fmt: skip
        rows = [push(i, delivered_at=text) for i, text in enumerate(texts)]
        raw = sqlite.fill(rows).read()
        assert sorted(raw.rows["id"]) == ["p0", "p1", "p4"]

    def test_read_push_rows_without_delivered_at_stands_by_sent_at(
        self, database: PushDatabase
    ) -> None:
        rows = [
            push(1, delivered_at=None),
            push(2, delivered_at=None, sent_at=START - timedelta(days=1)),
            push(3, sent_at=START - timedelta(days=1)),
            push(4, sent_at=None),
        ]
        raw = database.fill(rows).read()
        assert sorted(raw.rows["id"]) == ["p1", "p3", "p4"]
        assert raw.rows.set_index("id")["delivered_at"].isna().to_dict() == {
            "p1": True, "p3": False, "p4": False,
        }  # fmt: skip

    def test_read_push_rows_without_any_instant_is_counted_and_named(
        self, database: PushDatabase
    ) -> None:
        rows = [push(1), push(2, delivered_at=None, sent_at=None)]
        raw = database.fill(rows).read()
        assert len(raw.rows) == 1
        assert raw.n_without_instant == 1
        assert any("1 rows have neither delivered_at nor sent_at" in said for said in raw.notices)

    def test_read_push_rows_naive_refused_with_column_and_key(self, database: PushDatabase) -> None:
        database.fill([push(1, trigger_at=at(1))], [user(1)], zoned=False)
        with pytest.raises(DataError, match=r"_at of the table .*\[database\] timezone"):
            database.read()

    @pytest.mark.parametrize("column", ["sent_at", "delivered_at", "trigger_at"])
    def test_read_push_rows_one_naive_text_is_refused(
        self, sqlite: PushDatabase, column: str
    ) -> None:
        rows = [push(1), push(2, **{column: "2026-09-05T12:00:00"})]
        sqlite.fill(rows)
        with pytest.raises(DataError, match=f"column {column} .* without an offset"):
            sqlite.read()

    def test_read_push_rows_naive_is_read_in_the_declared_zone(
        self, database: PushDatabase
    ) -> None:
        local = datetime(2026, 9, 5, 12, 0, tzinfo=UTC)
        database.fill([push(1, delivered_at=local)], [user(1)], zoned=False)
        raw = database.read(timezone="America/New_York")
        assert raw.rows["delivered_at"].iloc[0] == pd.Timestamp("2026-09-05T16:00Z")

    def test_read_push_rows_declared_zone_at_the_ends_of_the_period(
        self, database: PushDatabase
    ) -> None:
        walls = ["2026-08-31T19:59:59", "2026-08-31T20:00:00", "2026-10-31T19:59:59",
                 "2026-10-31T20:00:00"]  # fmt: skip
        rows = [
            push(i, delivered_at=datetime.fromisoformat(wall).replace(tzinfo=UTC))
            for i, wall in enumerate(walls)
        ]
        database.fill(rows, zoned=False)
        raw = database.read(timezone="America/New_York")
        assert sorted(raw.rows["id"]) == ["p1", "p2"]

    def test_read_push_rows_clock_changes_in_the_declared_zone(
        self, database: PushDatabase
    ) -> None:
        """The hour that occurs twice is its first; the one that does not, the gap's end."""
        walls = ["2026-03-08T02:30:00", "2026-11-01T01:30:00", "2026-11-01T02:30:00"]
        rows = [
            push(i, sent_at=None, delivered_at=datetime.fromisoformat(wall).replace(tzinfo=UTC))
            for i, wall in enumerate(walls)
        ]
        database.fill(rows, zoned=False)
        since, until = (datetime(2026, month, 1, tzinfo=UTC) for month in (1, 12))
        raw = database.read(since, until, timezone="America/New_York")
        assert list(sorted_rows(raw)["delivered_at"]) == [
            pd.Timestamp("2026-03-08T07:00Z"),
            pd.Timestamp("2026-11-01T05:30Z"),
            pd.Timestamp("2026-11-01T07:30Z"),
        ]
        assert any("2 values of delivered_at fall in an hour" in said for said in raw.notices)

    @pytest.mark.parametrize(
        "value", ["yesterday", "1725148800", "", "2026/09/05 12:00", 1725148800]
    )
    def test_read_push_rows_text_that_is_no_timestamp_is_refused(
        self, sqlite: PushDatabase, value: object
    ) -> None:
        sqlite.fill([push(1), push(2, delivered_at=value)])
        with pytest.raises(DataError, match=r"delivered_at .* no ISO 8601"):
            sqlite.read()

    def test_read_push_rows_infinity_is_not_recorded(self, postgres: PushDatabase) -> None:
        postgres.fill([push(1)], [user(1)])
        writer = sa.create_engine(postgres.url)
        with writer.begin() as connection:
            connection.exec_driver_sql("UPDATE users SET created_at = '-infinity'")
            connection.exec_driver_sql("UPDATE push_notifications SET trigger_at = 'infinity'")
        writer.dispose()
        row = postgres.read().rows.iloc[0]
        assert pd.isna(row["signed_up_at"])
        assert pd.isna(row["trigger_at"])

    def test_read_push_rows_period_without_zone_refused(self, sqlite: PushDatabase) -> None:
        sqlite.fill([push(1)])
        with pytest.raises(ValueError, match="time zone"):
            sqlite.read(START.replace(tzinfo=None))


class TestStatus:
    def test_read_push_rows_status_ignores_case_and_blanks(self, database: PushDatabase) -> None:
        given = ["Delivered", " DELIVERED ", "HoldOut", "Failed\t", "SENT"]
        raw = database.fill([push(i, status=status) for i, status in enumerate(given)]).read()
        assert sorted(raw.rows["status"]) == [
            "delivered", "delivered", "failed", "holdout", "sent",
        ]  # fmt: skip
        assert len(raw.others) == 0

    def test_read_push_rows_undelivered_keep_user_and_trigger(self, database: PushDatabase) -> None:
        rows = [
            push(1, status=" Sent ", delivered_at=None, trigger_at=at(0.5)),
            push(2, status="FAILED", delivered_at=None),
        ]
        raw = database.fill(rows, [user(1), user(2)]).read()
        kept = sorted_rows(raw)
        assert kept["status"].tolist() == ["sent", "failed"]
        assert kept["distinct_id"].tolist() == ["d1", "d2"]
        assert kept["email"].tolist() == ["1@x.example", "2@x.example"]
        assert kept["trigger_at"].iloc[0] == pd.Timestamp(at(0.5))
        assert pd.isna(kept["trigger_at"].iloc[1])
        assert len(raw.messages) == 0

    def test_read_push_rows_undelivered_without_a_user_is_counted_and_named(
        self, database: PushDatabase
    ) -> None:
        rows = [
            push(1, status="failed", user_id=None), push(2, status="sent", user_id=None),
            push(3, status="queued"), push(4, status="failed"),
        ]  # fmt: skip
        raw = database.fill(rows).read()
        assert list(raw.rows["id"]) == ["p4"]
        assert sorted(raw.others["status"]) == ["failed", "other", "sent"]
        assert any("2 sent or failed rows have no user_id: only c" in said for said in raw.notices)

    def test_read_push_rows_unknown_status_is_counted_and_named(
        self, database: PushDatabase
    ) -> None:
        given = ["Bounced", "bounced", "queued", "who@canary.example", "x" * 60]
        raw = database.fill([push(i, status=status) for i, status in enumerate(given)]).read()
        assert dict(raw.other_statuses) == {"bounced": 2, "(not shown)": 2, "queued": 1}
        assert list(raw.others["status"]) == ["other"] * 5
        (said,) = [said for said in raw.notices if "status" in said]
        assert "bounced (2)" in said
        assert "canary" not in said

    def test_read_push_rows_status_of_an_enum_type(self, postgres: PushDatabase) -> None:
        kind = sa.Enum("delivered", "Failed", name="status_kind")
        rows = [push(1), push(2, status="Failed")]
        raw = postgres.fill(rows, push_types={"status": kind}).read()
        assert sorted_rows(raw)["status"].tolist() == ["delivered", "failed"]


class TestShape:
    def test_read_push_rows_renamed_tables_and_columns(self, database: PushDatabase) -> None:
        database.tables = {"push_notifications": "Pushes Sent", "users": "select"}
        database.columns = {
            "push_notifications": {"delivered_at": "Delivered At", "user_id": "from"},
            "users": {"posthog_distinct_id": "ph", "id": "uid"},
        }
        raw = database.fill([push(1)], [user(1)]).read()
        assert raw.rows.loc[0, ["user_id", "distinct_id"]].tolist() == ["u1", "d1"]
        assert raw.rows["delivered_at"].iloc[0] == pd.Timestamp(push(1)["delivered_at"])

    def test_read_push_rows_schema_qualified_tables(self, postgres: PushDatabase) -> None:
        postgres.tables = {"push_notifications": "marketing.pushes", "users": "app.users"}
        raw = postgres.fill([push(1)], [user(1)]).read()
        assert list(raw.rows["distinct_id"]) == ["d1"]

    @pytest.mark.parametrize("column", ["id", "user_id", "status", "delivered_at"])
    def test_read_push_rows_required_column_missing_names_its_key(
        self, database: PushDatabase, column: str
    ) -> None:
        database.fill([], push_types={column: None})
        with pytest.raises(DatabaseError) as caught:
            database.read()
        assert f"no column {column} in the table push_notifications" in str(caught.value)
        assert f"[database.columns.push_notifications] {column}" in str(caught.value)
        assert_holds_no_secret(caught.value)

    def test_read_push_rows_table_missing_names_its_key(self, database: PushDatabase) -> None:
        database.fill([])
        database.tables = {"users": "people"}
        with pytest.raises(DatabaseError, match=r"no table people.*\[database\.tables\] users"):
            database.read()

    def test_read_push_rows_optional_columns_may_be_absent(self, database: PushDatabase) -> None:
        absent = dict.fromkeys(
            ["automation_id", "campaign_id", "title", "body", "trigger_at", "sent_at"]
        )
        no_user = dict.fromkeys(["email", "posthog_distinct_id", "created_at"])
        raw = database.fill([push(1)], [user(1)], push_types=absent, user_types=no_user).read()
        row = raw.rows.iloc[0]
        assert row["user_id"] == "u1"
        assert row.drop(["id", "user_id", "status", "delivered_at"]).isna().all()
        assert raw.messages[["title", "body"]].isna().all(axis=None)
        assert any("no column automation_id, campaign_id" in said for said in raw.notices)

    @pytest.mark.parametrize(
        ("user_id", "own_id"),
        [(sa.Text, sa.Integer), (sa.Integer, sa.Text), (sa.Integer, sa.BigInteger)],
    )
    def test_read_push_rows_ids_of_different_types_are_joined(
        self, database: PushDatabase, user_id: Any, own_id: Any
    ) -> None:
        def typed(kind: Any, number: int) -> object:
            return str(number) if kind is sa.Text else number

        rows = [push(1, user_id=typed(user_id, 7)), push(2, user_id=typed(user_id, 8))]
        users = [
            user(1, id=typed(own_id, 7)),
            *(user(i, id=typed(own_id, i)) for i in range(20, 50)),
        ]
        database.fill(rows, users, push_types={"user_id": user_id}, user_types={"id": own_id})
        raw = database.read()
        assert dict(zip(raw.rows["user_id"], raw.rows["distinct_id"], strict=True)) == {
            "7": "d1", "8": np.nan,
        }  # fmt: skip

    def test_read_push_rows_uuids_join_texts(self, postgres: PushDatabase) -> None:
        first, second = ("0198c0de-0000-7000-8000-00000000000" + end for end in "ab")
        rows = [push(1, id=second, user_id=first)]
        kinds = {"id": sa.Uuid(as_uuid=False), "user_id": sa.Uuid(as_uuid=False)}
        raw = postgres.fill(rows, [user(1, id=first)], push_types=kinds).read()
        assert raw.rows.loc[0, ["id", "user_id", "distinct_id"]].tolist() == [second, first, "d1"]
        assert list(raw.messages["title"]) == ["Hi"]

    def test_read_push_rows_whole_number_ids_stay_numbers(self, database: PushDatabase) -> None:
        rows = [push(1, id=10), push(2, id=9)]
        raw = database.fill(rows, push_types={"id": sa.Integer}).read()
        assert str(raw.rows["id"].dtype) == "int64"
        assert len(raw.messages) == 2


class TestUsers:
    def test_read_push_rows_emails_are_trimmed_and_folded(self, database: PushDatabase) -> None:
        users = [
            user(1, email="  Ann@X.Example "),
            user(2, email=" "),
            user(3, email="STRASSE@ß.x"),
        ]
        raw = database.fill([push(1), push(2), push(3)], users).read()
        emails = sorted_rows(raw)["email"]
        assert emails.iloc[0] == "ann@x.example"
        assert pd.isna(emails.iloc[1])
        assert emails.iloc[2] == "strasse@ss.x"

    def test_read_push_rows_recipient_without_a_user_is_kept_and_counted(
        self, database: PushDatabase
    ) -> None:
        raw = database.fill([push(1), push(2)], [user(1)]).read()
        assert len(raw.rows) == 2
        assert any("1 recipients are not in the table of users" in said for said in raw.notices)

    def test_read_push_rows_user_standing_twice_does_not_double_pushes(
        self, database: PushDatabase
    ) -> None:
        raw = database.fill([push(1)], [user(1), user(1, email="other@x.example")]).read()
        assert len(raw.rows) == 1
        assert any("1 rows of the table of users repeat an id" in said for said in raw.notices)

    @pytest.mark.parametrize("n_users", [3, 60])
    def test_read_push_rows_few_of_many_users(self, database: PushDatabase, n_users: int) -> None:
        """Past four users for each recipient only the recipients' rows are asked for."""
        raw = database.fill([push(1), push(2)], [user(i) for i in range(n_users)]).read()
        assert sorted(raw.rows["distinct_id"]) == ["d1", "d2"]

    def test_read_push_rows_without_user_id_left_out_and_counted(
        self, database: PushDatabase
    ) -> None:
        raw = database.fill([push(1), push(2, user_id=None)]).read()
        assert list(raw.rows["id"]) == ["p1"]
        assert any("1 delivered or held-out rows have no user_id" in said for said in raw.notices)


class TestTexts:
    INJECTIONS = ("'; DROP TABLE users; --", '" OR 1=1 --', "%s %(x)s :y", "\\'; SELECT", "Hi\x1f")

    def test_read_push_rows_injection_texts_match_only_themselves(
        self, database: PushDatabase
    ) -> None:
        rows = [
            push(i, id=text, user_id=text, title=text, campaign_id=text, automation_id=text)
            for i, text in enumerate(self.INJECTIONS)
        ]
        users = [user(i, id=text) for i, text in enumerate(self.INJECTIONS)]
        strangers = [user(i) for i in range(100, 140)]
        raw = database.fill(rows, [*users, *strangers]).read()
        titles = dict(zip(raw.messages["campaign_id"], raw.messages["title"], strict=True))
        assert titles == {text: text for text in self.INJECTIONS}
        found = raw.rows.set_index("user_id")["distinct_id"].to_dict()
        assert found == {text: f"d{i}" for i, text in enumerate(self.INJECTIONS)}

    def test_read_push_rows_sample_of_messages_is_bounded_and_even(
        self, database: PushDatabase, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pushes_module, "SAMPLED_PER_CAMPAIGN", 10)
        rows = [
            push(i, delivered_at=at(0, seconds=i), sent_at=at(0), title="A" if i % 3 else "B")
            for i in range(100)
        ]
        raw = database.fill(rows).read()
        assert len(raw.messages) == 10
        assert raw.messages["delivered_at"].max() - raw.messages["delivered_at"].min() == (
            pd.Timedelta(seconds=90)
        )

    def test_read_push_rows_blank_campaign_is_none(self, database: PushDatabase) -> None:
        rows = [push(1, campaign_id=" ", automation_id="")]
        row = database.fill(rows).read().rows.iloc[0]
        assert pd.isna(row["campaign_id"])
        assert pd.isna(row["automation_id"])


class TestLostConnections:
    def test_read_push_rows_lost_once_is_read_again_whole(
        self, postgres: PushDatabase, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rows, users = many(100)
        postgres.fill(rows, users)
        whole = postgres.read()
        settings = postgres.settings()
        engine = open_engine(settings)
        cut = iter([True, False])

        def cut_once(_step: str, done: int, _total: int) -> None:
            if done == 4 and next(cut):
                self.terminate_all_others(postgres.url)

        raw = read_push_rows(
            engine, settings, START, END, on_progress=cut_once, sleep=lambda _: None
        )
        engine.dispose()
        pd.testing.assert_frame_equal(sorted_rows(raw), sorted_rows(whole))

    def test_read_push_rows_lost_every_time_is_an_error(self, postgres: PushDatabase) -> None:
        rows, users = many(100)
        settings = postgres.fill(rows, users).settings()
        engine = open_engine(settings)

        def cut(_step: str, done: int, _total: int) -> None:
            if done == 4:
                self.terminate_all_others(postgres.url)

        with pytest.raises(ConnectionLost):
            read_push_rows(engine, settings, START, END, on_progress=cut, sleep=lambda _: None)
        engine.dispose()

    def terminate_all_others(self, url: str) -> None:
        writer = sa.create_engine(url, isolation_level="AUTOCOMMIT")
        others = sa.text(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        with writer.connect() as connection:
            connection.execute(others)
        writer.dispose()


def test_read_push_rows_sqlite_types_other_than_declared_are_named(sqlite: PushDatabase) -> None:
    sqlite.fill([push(1)], [user(1)], push_types={"id": sa.Integer})
    path = sqlite.url.removeprefix("sqlite:///")
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE push_notifications SET id = 'text'")
    connection.close()
    with pytest.raises(DataError, match="column id of push_notifications"):
        sqlite.read()
