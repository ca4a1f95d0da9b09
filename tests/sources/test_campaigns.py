"""Pushes in campaigns: keys, dates, first deliveries, layers and names."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from core.frames import CAMPAIGNS, PUSHES
from core.sources.automations import Automation
from core.sources.campaigns import Assigned, assign_campaigns
from core.sources.pushes import RawPushes

INSTANT = "datetime64[ms, UTC]"
ROW = {
    "id": None, "campaign_id": None, "automation_id": None, "user_id": "u1", "status": "delivered",
    "sent_at": "2026-09-08T13:00Z", "delivered_at": "2026-09-08T13:01Z", "trigger_at": None,
    "email": None, "distinct_id": None, "signed_up_at": None,
}  # fmt: skip
OTHER = ["campaign_id", "automation_id", "status", "sent_at", "delivered_at"]
MESSAGE = ["campaign_id", "automation_id", "sent_at", "delivered_at", "title", "body"]


def frame(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> pd.DataFrame:
    """Return rows as columns of the types that reading gives."""
    columns = {name: [row.get(name) for row in rows] for name in names}
    return pd.DataFrame(
        {
            name: pd.Series(pd.to_datetime(values, utc=True, format="ISO8601"), dtype=INSTANT)
            if name.endswith("_at")
            else pd.Series(values, dtype="str")
            for name, values in columns.items()
        }
    )


def raw(*rows: Mapping[str, Any], messages: Sequence[Mapping[str, Any]] = ()) -> RawPushes:
    """Return raw pushes: rows of a known status and user whole, the others as they are counted."""
    filled = [{**ROW, "id": f"p{i}", **row} for i, row in enumerate(rows)]
    whole = [row for row in filled if row["status"] != "other" and row["user_id"]]
    rest = [row for row in filled if row not in whole]
    return RawPushes(
        rows=frame(whole, list(ROW)), others=frame(rest, OTHER),
        messages=frame([{**ROW, **message} for message in messages], MESSAGE),
        other_statuses={}, n_without_instant=0, notices=("read",),
    )  # fmt: skip


def assigned(
    *rows: Mapping[str, Any],
    automations: Sequence[Automation] = (),
    zone: str = "America/New_York",
    messages: Sequence[Mapping[str, Any]] = (),
) -> Assigned:
    return assign_campaigns(raw(*rows, messages=messages), automations, zone)


def campaign(result: Assigned, key: str) -> dict[str, Any]:
    """Return one campaign's row."""
    return result.campaigns.set_index("campaign_id").loc[key].to_dict()


def automation(**given: Any) -> Automation:
    return Automation.model_validate({"id": "a", "name": "Hot inventory", **given})


class TestKeys:
    def test_assign_campaigns_campaign_id_where_set(self) -> None:
        result = assigned({"campaign_id": "c1"}, {"campaign_id": "c2", "automation_id": "a"})
        assert list(result.pushes["campaign_id"]) == ["c1", "c2"]

    def test_assign_campaigns_else_automation_and_local_send_date(self) -> None:
        result = assigned(
            {"automation_id": "a", "sent_at": "2026-09-09T03:59:59.999Z"},
            {"automation_id": "a", "sent_at": "2026-09-09T04:00Z", "user_id": "u2"},
        )
        assert list(result.campaigns["campaign_id"]) == ["a:2026-09-08", "a:2026-09-09"]

    def test_assign_campaigns_else_one_off_and_date(self) -> None:
        result = assigned({})
        assert list(result.campaigns["campaign_id"]) == ["one-off:2026-09-08"]
        assert result.campaigns["automation_id"].isna().all()

    def test_assign_campaigns_date_of_delivery_where_never_sent(self) -> None:
        row = {"automation_id": "a", "sent_at": None, "delivered_at": "2026-09-10T12:00Z"}
        assert list(assigned(row).campaigns["campaign_id"]) == ["a:2026-09-10"]

    @pytest.mark.parametrize(
        ("zone", "sent", "date"),
        [
            ("America/New_York", "2026-11-01T04:30Z", "2026-11-01"),
            ("America/New_York", "2026-11-02T04:30Z", "2026-11-01"),
            ("America/New_York", "2026-03-08T05:00Z", "2026-03-08"),
            ("America/New_York", "2026-03-09T03:59Z", "2026-03-08"),
            ("Australia/Lord_Howe", "2026-10-03T13:29Z", "2026-10-03"),
            ("Australia/Lord_Howe", "2026-10-03T13:30Z", "2026-10-04"),
            ("Asia/Kathmandu", "2026-09-08T18:15Z", "2026-09-09"),
        ],
    )
    def test_assign_campaigns_dates_on_days_clocks_change(
        self, zone: str, sent: str, date: str
    ) -> None:
        row = {"automation_id": "a", "sent_at": sent, "delivered_at": sent}
        assert list(assigned(row, zone=zone).campaigns["campaign_id"]) == [f"a:{date}"]

    def test_assign_campaigns_rows_of_every_status_share_the_key(self) -> None:
        rows = [
            {"automation_id": "a", "status": status, "user_id": status}
            for status in ("delivered", "holdout", "sent", "failed", "other")
        ]
        one = campaign(assigned(*rows), "a:2026-09-08")
        assert [one[f"n_{name}"] for name in ("sent", "delivered", "failed", "holdout")] == [
            3, 1, 1, 1,
        ]  # fmt: skip
        assert one["n_other_status"] == 1


class TestFirsts:
    def test_assign_campaigns_first_delivery_of_a_user_counts(self) -> None:
        result = assigned(
            {"campaign_id": "c", "delivered_at": "2026-09-08T15:00Z"},
            {"campaign_id": "c", "delivered_at": "2026-09-08T14:00Z"},
            {"campaign_id": "c", "user_id": "u2"},
            {"campaign_id": "d"},
        )
        kept = result.pushes.set_index(["campaign_id", "user_id"])["delivered_at"]
        assert kept["c", "u1"] == pd.Timestamp("2026-09-08T14:00Z")
        one = campaign(result, "c")
        assert (one["n_delivered"], one["n_duplicates"]) == (3, 1)
        assert one["last_delivered_at"] == pd.Timestamp("2026-09-08T14:00Z")

    def test_assign_campaigns_of_one_instant_the_lower_id_counts(self) -> None:
        rows = [
            {"id": "p9", "campaign_id": "c", "trigger_at": "2026-09-08T09:00Z"},
            {"id": "p1", "campaign_id": "c", "trigger_at": "2026-09-08T08:00Z"},
            {"id": "p5", "campaign_id": "c", "trigger_at": "2026-09-08T07:00Z"},
        ]
        for order in (rows, rows[::-1]):
            kept = assigned(*order).pushes
            assert list(kept["trigger_at"]) == [pd.Timestamp("2026-09-08T08:00Z")]

    def test_assign_campaigns_delivery_without_instant_is_its_sending(self) -> None:
        result = assigned({"campaign_id": "c", "delivered_at": None})
        assert list(result.pushes["delivered_at"]) == [pd.Timestamp("2026-09-08T13:00Z")]
        assert "1 delivered rows have no delivered_at: sent_at is used." in result.notices

    def test_assign_campaigns_order_of_rows_does_not_matter(self) -> None:
        rng = np.random.default_rng(3)
        rows = [
            {
                "id": f"p{i:03d}", "campaign_id": f"c{rng.integers(3)}",
                "user_id": f"u{rng.integers(9)}",
                "delivered_at": f"2026-09-08T13:{rng.integers(3):02d}Z",
                "status": ["delivered", "holdout", "failed", "sent"][rng.integers(4)],
            }
            for i in range(90)
        ]  # fmt: skip
        first = assigned(*rows)
        second = assigned(*(rows[i] for i in rng.permutation(len(rows))))
        assert len(first.undelivered) > 0
        for name in ("pushes", "campaigns", "holdouts", "undelivered"):
            pd.testing.assert_frame_equal(getattr(first, name), getattr(second, name))

    def test_assign_campaigns_agrees_with_a_plain_count(self) -> None:
        rng = np.random.default_rng(5)
        rows = [
            {"campaign_id": f"c{rng.integers(4)}", "user_id": f"u{rng.integers(30)}"}
            for _ in range(300)
        ]
        result = assigned(*rows)
        assert len(result.pushes) == len({(row["campaign_id"], row["user_id"]) for row in rows})
        assert result.campaigns["n_duplicates"].sum() == len(rows) - len(result.pushes)


class TestHoldouts:
    def test_assign_campaigns_holdouts_stand_by_the_instant_they_would_have_gone(self) -> None:
        result = assigned(
            {"campaign_id": "c", "status": "holdout", "delivered_at": None, "email": "e"},
            {"campaign_id": "c", "status": "holdout", "delivered_at": None,
             "sent_at": "2026-09-08T12:00Z"},
        )  # fmt: skip
        assert list(result.holdouts) == [
            "campaign_id", "user_id", "assigned_at", "trigger_at", "distinct_id", "email",
            "signed_up_at",
        ]  # fmt: skip
        assert list(result.holdouts["assigned_at"]) == [pd.Timestamp("2026-09-08T12:00Z")]
        assert campaign(result, "c")["n_holdout"] == 1

    def test_assign_campaigns_delivered_user_is_not_held_out(self) -> None:
        result = assigned(
            {"campaign_id": "c"}, {"campaign_id": "c", "status": "holdout"},
            {"campaign_id": "c", "status": "holdout", "user_id": "u2"},
        )  # fmt: skip
        assert list(result.holdouts["user_id"]) == ["u2"]
        assert campaign(result, "c")["n_holdout"] == 1
        assert any("1 users are both delivered and held out" in said for said in result.notices)

    def test_assign_campaigns_holdouts_keep_what_set_them_off(self) -> None:
        result = assigned(
            {"campaign_id": "c", "status": "holdout", "trigger_at": "2026-09-08T09:00Z"},
            {"campaign_id": "d", "status": "holdout"},
        )
        assert result.holdouts["trigger_at"].dt.hour.tolist()[0] == 9
        assert result.holdouts["trigger_at"].isna().tolist() == [False, True]


class TestUndelivered:
    def test_assign_campaigns_undelivered_stand_by_their_first_sending(self) -> None:
        result = assigned(
            {"campaign_id": "c", "status": "failed", "trigger_at": "2026-09-08T09:00Z"},
            {"campaign_id": "c", "status": "sent", "sent_at": "2026-09-08T12:00Z",
             "trigger_at": "2026-09-08T08:00Z", "distinct_id": "d1",
             "signed_up_at": "2026-01-01T00:00Z"},
            {"campaign_id": "c", "status": "failed", "user_id": "u2", "email": "e"},
        )  # fmt: skip
        assert list(result.undelivered) == list(result.holdouts)
        rows = result.undelivered.set_index("user_id")
        assert list(rows.index) == ["u1", "u2"]
        assert rows.loc["u1", "assigned_at"] == pd.Timestamp("2026-09-08T12:00Z")
        assert rows.loc["u1", "trigger_at"] == pd.Timestamp("2026-09-08T08:00Z")
        assert rows.loc["u1", "signed_up_at"] == pd.Timestamp("2026-01-01T00:00Z")
        assert (rows.loc["u1", "distinct_id"], rows.loc["u2", "email"]) == ("d1", "e")

    def test_assign_campaigns_undelivered_is_whoever_was_neither_delivered_nor_held_out(
        self,
    ) -> None:
        result = assigned(
            {"campaign_id": "c", "user_id": "got it"},
            {"campaign_id": "c", "user_id": "got it", "status": "failed"},
            {"campaign_id": "c", "user_id": "held", "status": "holdout"},
            {"campaign_id": "c", "user_id": "held", "status": "sent"},
            {"campaign_id": "c", "user_id": "both"},
            {"campaign_id": "c", "user_id": "both", "status": "holdout"},
            {"campaign_id": "c", "user_id": "both", "status": "sent"},
            {"campaign_id": "c", "user_id": "left", "status": "sent"},
            {"campaign_id": "d", "user_id": "got it", "status": "failed"},
        )
        rows = result.undelivered
        assert list(zip(rows["campaign_id"], rows["user_id"], strict=True)) == [
            ("c", "left"), ("d", "got it"),
        ]  # fmt: skip
        one = campaign(result, "c")
        counts = [one[f"n_{name}"] for name in ("sent", "delivered", "failed", "holdout")]
        assert counts == [6, 2, 1, 1]

    def test_assign_campaigns_undelivered_without_a_user_is_counted_only(self) -> None:
        result = assigned({"campaign_id": "c", "status": "failed", "user_id": None})
        assert len(result.undelivered) == 0
        assert campaign(result, "c")["n_failed"] == 1


class TestDescriptions:
    @pytest.mark.parametrize(
        ("given", "layer", "content"),
        [
            ({"layer": 1, "trigger": {"event": "E"}}, "1", "E"),
            ({"trigger": {"event": "Offer Created"}}, "3", "Offer Created"),
            ({"schedule": {"weekday": "tuesday"}, "audience": "all"}, "2", "hot_inventory"),
            ({"schedule": {"time": "09:00"}, "audience": "all"}, "1", None),
            ({"audience": "all", "content": "drop"}, "1", "drop"),
            ({"audience": "vip"}, "unclassified", None),
        ],
    )
    def test_assign_campaigns_layer_and_content(
        self, given: dict[str, Any], layer: str, content: str | None
    ) -> None:
        result = assigned({"automation_id": "a"}, automations=[automation(**given)])
        one = campaign(result, "a:2026-09-08")
        assert one["layer"] == layer
        assert one["content"] == content if content else pd.isna(one["content"])

    def test_assign_campaigns_automation_without_a_file_is_unclassified_and_named(self) -> None:
        result = assigned({"automation_id": "x"}, automations=[automation()])
        assert campaign(result, "x:2026-09-08")["layer"] == "unclassified"
        assert result.notices[-1] == "Automations without a file stay unclassified: x."
        assert result.notices[0] == "read"

    def test_assign_campaigns_name_has_the_date_where_an_automation_sends_often(self) -> None:
        rows = [
            {"automation_id": "a"},
            {"automation_id": "a", "sent_at": "2026-09-15T13:00Z"},
            {"automation_id": "b"},
        ]
        known = [automation(), automation(id="b", name="Once")]
        names = assigned(*rows, automations=known).campaigns.set_index("campaign_id")["name"]
        assert names.to_dict() == {
            "a:2026-09-08": "Hot inventory, 2026-09-08",
            "a:2026-09-15": "Hot inventory, 2026-09-15",
            "b:2026-09-08": "Once",
        }

    def test_assign_campaigns_name_without_a_file_is_title_else_key(self) -> None:
        messages = [{"campaign_id": "c", "title": "Drop now"}]
        result = assigned({"campaign_id": "c"}, {"campaign_id": "d"}, messages=messages)
        assert result.campaigns.set_index("campaign_id")["name"].to_dict() == {
            "c": "Drop now", "d": "d",
        }  # fmt: skip

    def test_assign_campaigns_names_that_would_repeat_are_told_apart(self) -> None:
        rows = [
            {"campaign_id": "c"}, {"campaign_id": "d", "sent_at": "2026-09-09T13:00Z"},
            {"campaign_id": "e", "sent_at": "2026-09-09T14:00Z"},
        ]  # fmt: skip
        messages = [{"campaign_id": key, "title": "Drop"} for key in "cde"]
        names = assigned(*rows, messages=messages).campaigns["name"]
        assert list(names) == ["Drop, 2026-09-08", "Drop, 2026-09-09 (d)", "Drop, 2026-09-09 (e)"]

    def test_assign_campaigns_message_is_the_commonest(self) -> None:
        messages = [
            {"automation_id": "a", "title": "Hi Ann", "body": "x"},
            {"automation_id": "a", "title": "Hi", "body": "y"},
            {"automation_id": "a", "title": "Hi", "body": "y"},
        ]
        one = campaign(assigned({"automation_id": "a"}, messages=messages), "a:2026-09-08")
        assert (one["title"], one["body"]) == ("Hi", "y")

    def test_assign_campaigns_of_several_automations_the_commonest(self) -> None:
        rows = [
            {"campaign_id": "c", "automation_id": key, "user_id": f"u{i}"}
            for i, key in enumerate(["x", "a", "a", None])
        ]
        result = assigned(*rows, automations=[automation()])
        assert campaign(result, "c")["automation_id"] == "a"
        assert any("1 campaigns name several automations" in said for said in result.notices)


class TestTables:
    def test_assign_campaigns_nothing_gives_the_declared_tables(self) -> None:
        result = assigned()
        pd.testing.assert_frame_equal(result.pushes, PUSHES.empty())
        pd.testing.assert_frame_equal(result.campaigns, CAMPAIGNS.empty())
        assert len(result.holdouts) == len(result.undelivered) == 0
        assert str(result.undelivered["assigned_at"].dtype) == INSTANT

    def test_assign_campaigns_only_failed_has_no_delivery(self) -> None:
        one = campaign(assigned({"campaign_id": "c", "status": "failed"}), "c")
        assert pd.isna(one["first_delivered_at"])
        assert (one["n_sent"], one["n_delivered"], one["n_failed"]) == (1, 0, 1)

    def test_assign_campaigns_leaves_open_what_is_computed_later(self) -> None:
        one = campaign(assigned({"campaign_id": "c"}), "c")
        assert one["status"] == "ok"
        assert not one["window_complete"]
        assert not one["qualifies"]
        assert pd.isna(one["window_closes_at"])
        assert one["n_mapped"] == one["n_measured"] == one["n_never_seen"] == 0

    def test_assign_campaigns_does_not_change_what_it_is_given(self) -> None:
        given = raw({"automation_id": "a"}, {"campaign_id": "c", "delivered_at": None})
        before = given.rows.copy(deep=True)
        assign_campaigns(given, [], "UTC")
        pd.testing.assert_frame_equal(given.rows, before)

    def test_assign_campaigns_is_fast(self) -> None:
        """260,000 pushes are meant to take well under a second; the bound allows a busy machine."""
        n = 260_000
        rng = np.random.default_rng(1)
        instants = pd.Series(
            pd.to_datetime(1_788_000_000_000 + rng.integers(0, 5 * 10**9, n), unit="ms", utc=True)
        ).astype(INSTANT)
        rows = frame([], list(ROW)).reindex(range(n)).assign(
            id=pd.Series(np.arange(n)).astype("str"),
            campaign_id=pd.Series(rng.integers(0, 60, n)).astype("str").where(rng.random(n) < 0.5),
            automation_id=pd.Series(rng.integers(0, 9, n)).astype("str"),
            user_id=pd.Series(rng.integers(0, 12_000, n)).astype("str"),
            status=pd.Series(["delivered"] * n, dtype="str"),
            sent_at=instants, delivered_at=instants,
        )  # fmt: skip
        given = RawPushes(
            rows=rows, others=frame([], OTHER), messages=frame([], MESSAGE),
            other_statuses={}, n_without_instant=0, notices=(),
        )  # fmt: skip
        began = time.process_time()
        result = assign_campaigns(given, [], "America/New_York")
        assert time.process_time() - began < 3
        assert result.campaigns["n_delivered"].sum() == n
