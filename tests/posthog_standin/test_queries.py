"""The queries of the API description agree with a plain pandas computation."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from . import PostHogStandIn
from .worlds import DAYS, EVENTS, ODD_IDS, SHARED_EMAIL, START, SmallWorld, person_uuid

DAY = 86_400
T_FROM = START.value // 1_000_000_000
T_TO = T_FROM + DAYS * DAY


def rows_of(posthog: PostHogStandIn, text: str, values: dict[str, Any] | None = None) -> list[Any]:
    reply = posthog.query(text, values)
    assert reply.status == 200, reply.text[:500]
    return reply.body["results"]


def test_query_a_sorted_timestamps_per_person_and_event(posthog, world: SmallWorld):
    ids = ["u_12", "anon_15", *ODD_IDS]
    text = """
        SELECT person_id, event, arraySort(groupArray(toUnixTimestamp(timestamp))) AS ts
        FROM events
        WHERE timestamp >= toDateTime('2026-10-15 00:00:00', 'UTC')
          AND timestamp <  toDateTime('2026-11-14 00:00:00', 'UTC')
          AND event IN ('app_open','view_item','add_to_cart','purchase','search','share')
          AND distinct_id IN {distinct_ids}
        GROUP BY person_id, event
        ORDER BY person_id, event
        LIMIT 50000"""
    chosen = world.rows[world.rows["distinct_id"].isin(ids)]
    expected = {
        key: sorted((group // 1000).tolist())
        for key, group in chosen.groupby(["current", "event"])["ms"]
    }
    found = {
        (person, event): ts for person, event, ts in rows_of(posthog, text, {"distinct_ids": ids})
    }
    assert found == expected
    assert len(found) > 20


def test_query_a2_one_row_per_person(posthog, world: SmallWorld):
    text = """
        SELECT person_id,
               arraySort(groupArray(tuple(toUnixTimestamp(timestamp), indexOf({events}, event))))
                   AS seq
        FROM events
        WHERE timestamp >= fromUnixTimestamp({t_from}) AND timestamp < fromUnixTimestamp({t_to})
          AND event IN {events} AND distinct_id IN {distinct_ids}
        GROUP BY person_id ORDER BY person_id LIMIT 50000"""
    ids, events = world.persons["distinct_id"].tolist(), list(EVENTS)
    values = {"events": events, "distinct_ids": ids, "t_from": T_FROM, "t_to": T_FROM + 10 * DAY}
    chosen = world.rows[world.rows["distinct_id"].isin(ids)]
    chosen = chosen[chosen["ms"] < (T_FROM + 10 * DAY) * 1000]
    pairs = chosen.assign(seconds=chosen["ms"] // 1000, at=chosen["event"].map(events.index) + 1)
    expected = {
        person: sorted(zip(group["seconds"].tolist(), group["at"].tolist(), strict=True))
        for person, group in pairs.groupby("current")
    }
    found = {
        person: [tuple(pair) for pair in seq] for person, seq in rows_of(posthog, text, values)
    }
    assert found == expected


def _windows(rows: pd.DataFrame, pushes: pd.DataFrame) -> dict[tuple[Any, ...], tuple[int, int]]:
    joined = rows.merge(pushes, left_on="current", right_on="person_id", suffixes=("_was", ""))
    seconds = joined["ms"] // 1000
    joined["before"] = (seconds >= joined["push"] - 30 * DAY) & (seconds < joined["push"])
    joined["after"] = (seconds >= joined["push"]) & (seconds < joined["push"] + 2 * DAY)
    counts = joined.groupby(["person_id", "event"])[["before", "after"]].sum()
    counts = counts[counts.sum(axis=1) > 0]
    return {key: tuple(pair) for key, pair in zip(counts.index, counts.to_numpy(), strict=True)}


def _pushes(world: SmallWorld) -> pd.DataFrame:
    people = world.persons["person_id"].drop_duplicates().iloc[:40]
    moments = T_FROM + np.random.default_rng(3).integers(5, 25, len(people)) * DAY + 12_345
    return pd.DataFrame({"person_id": people.to_numpy(), "push": moments})


QUERY_B = """
    SELECT person_id, event,
           countIf(ts >= push_at - 2592000 AND ts < push_at) AS n_before,
           countIf(ts >= push_at AND ts < push_at + 172800) AS n_after
    FROM (
        SELECT person_id, event, toUnixTimestamp(timestamp) AS ts,
               transform(toString(person_id), {person_ids}, {push_ts}, 0) AS push_at
        FROM events
        WHERE timestamp >= toDateTime({t_from}) AND timestamp < toDateTime({t_to})
          AND event IN {events}
    )
    WHERE push_at > 0
    GROUP BY person_id, event
    HAVING n_before + n_after > 0
    ORDER BY person_id, event
    LIMIT 50000"""
QUERY_B2 = """
    WITH pushes AS (
        SELECT tupleElement(p, 1) AS pid, tupleElement(p, 2) AS push_at
        FROM (SELECT arrayJoin(arrayZip({person_ids}, {push_ts})) AS p)
    )
    SELECT e.pid AS pid, e.event AS event,
           countIf(e.ts >= pu.push_at - 2592000 AND e.ts < pu.push_at) AS n_before,
           countIf(e.ts >= pu.push_at AND e.ts < pu.push_at + 172800) AS n_after
    FROM (
        SELECT toString(person_id) AS pid, event, toUnixTimestamp(timestamp) AS ts FROM events
        WHERE timestamp >= toDateTime({t_from}) AND timestamp < toDateTime({t_to})
          AND event IN {events}
    ) AS e
    INNER JOIN pushes AS pu ON e.pid = pu.pid
    GROUP BY pid, event HAVING n_before + n_after > 0 ORDER BY pid, event LIMIT 50000"""


@pytest.mark.parametrize("text", [QUERY_B, QUERY_B2], ids=["b", "b2"])
def test_query_b_windows_counted_in_the_engine(posthog, world: SmallWorld, text: str):
    pushes = _pushes(world)
    values = {
        "person_ids": pushes["person_id"].tolist(),
        "push_ts": pushes["push"].tolist(),
        "t_from": int(pushes["push"].min()) - 30 * DAY,
        "t_to": int(pushes["push"].max()) + 2 * DAY,
        "events": list(EVENTS),
    }
    found = {
        (person, event): (before, after)
        for person, event, before, after in rows_of(posthog, text, values)
    }
    assert found == _windows(world.rows, pushes)


def test_query_c_emails_to_persons_and_their_distinct_ids(posthog, world: SmallWorld):
    text = """
        SELECT p.email AS email, pdi.person_id AS person_id,
               groupArray(pdi.distinct_id) AS distinct_ids
        FROM person_distinct_ids AS pdi
        INNER JOIN (
            SELECT id, lower(trim(properties.email)) AS email FROM persons
            WHERE lower(trim(properties.email)) IN {emails}
        ) AS p ON pdi.person_id = p.id
        GROUP BY email, person_id ORDER BY email, person_id LIMIT 50000"""
    emails = ["user10@example.com", SHARED_EMAIL, "user5@example.com", "absent@example.com"]
    known = world.persons.assign(email=world.persons["email"].str.strip().str.lower())
    chosen = known[known["email"].isin(emails)]
    expected = {
        key: set(group) for key, group in chosen.groupby(["email", "person_id"])["distinct_id"]
    }
    found = {
        (email, person): set(ids)
        for email, person, ids in rows_of(posthog, text, {"emails": emails})
    }
    assert found == expected
    assert len([key for key in found if key[0] == SHARED_EMAIL]) == 2
    assert found["user5@example.com", person_uuid(5)] == {ODD_IDS[5], "anon_5"}
    assert len(found) == 4


def test_query_c_lower_keeps_letters_that_lower_utf8_folds(posthog, world: SmallWorld):
    text = "SELECT id FROM persons WHERE {folded}(trim(properties.email)) = {email} LIMIT 10"
    ascii_only = text.replace("{folded}", "lower")
    unicode_too = text.replace("{folded}", "lowerUTF8")
    assert rows_of(posthog, ascii_only, {"email": "ünique11@example.com"}) == []
    assert rows_of(posthog, unicode_too, {"email": "ünique11@example.com"}) == [[person_uuid(11)]]


def test_query_c2_distinct_ids_to_persons(posthog, world: SmallWorld):
    text = """SELECT distinct_id, person_id FROM person_distinct_ids
              WHERE distinct_id IN {ids} ORDER BY distinct_id LIMIT 50000"""
    ids = [*ODD_IDS, "anon_10", "nobody_1", "absent"]
    known = dict(zip(world.persons["distinct_id"], world.persons["person_id"], strict=True))
    found = dict(rows_of(posthog, text, {"ids": ids}))
    assert found == {name: known[name] for name in ids if name in known}
    assert "nobody_1" not in found


QUERY_D = """
    SELECT toDate(timestamp) AS day, event, count() AS n, uniqExact(person_id) AS persons,
           uniqExact(distinct_id) AS dids
    FROM events
    WHERE timestamp >= toDateTime('2026-10-16 00:00:00')
      AND timestamp < toDateTime('2026-11-10 00:00:00') AND event IN {events}
    GROUP BY day, event ORDER BY day, event LIMIT 50000"""


def _daily(rows: pd.DataFrame, zone: str) -> pd.DataFrame:
    local = rows["timestamp"].dt.tz_convert(zone)
    days = local.dt.strftime("%Y-%m-%d")
    within = (days >= "2026-10-16") & (days < "2026-11-10")
    chosen = rows[within].assign(day=days[within])
    return chosen.groupby(["day", "event"]).agg(
        n=("uuid", "size"), persons=("current", "nunique"), dids=("distinct_id", "nunique")
    )


@pytest.mark.parametrize(
    ("zone", "modifiers"),
    [("America/New_York", {}), ("UTC", {"convertToProjectTimezone": False})],
)
def test_query_d_daily_totals_in_the_project_zone(posthog, world, zone, modifiers):
    reply = posthog.query(QUERY_D, {"events": list(EVENTS)}, modifiers=modifiers)
    expected = _daily(world.rows, zone)
    found = {(day, event): tuple(rest) for day, event, *rest in reply.body["results"]}
    assert found == {
        key: tuple(row) for key, row in zip(expected.index, expected.to_numpy(), strict=True)
    }
    assert reply.body["timezone"] == zone


def test_other_teams_are_never_met(posthog, world: SmallWorld):
    assert rows_of(posthog, "SELECT DISTINCT team_id FROM events LIMIT 9") == [[1]]
    text = "SELECT person_id FROM person_distinct_ids WHERE distinct_id = 'u_12' LIMIT 9"
    assert rows_of(posthog, text) == [[person_uuid(12)]]
    text = "SELECT id FROM persons WHERE properties.email = 'user12@example.com' LIMIT 9"
    assert rows_of(posthog, text) == [[person_uuid(12)]]


def test_query_d_zones_differ(world: SmallWorld):
    assert not _daily(world.rows, "UTC").equals(_daily(world.rows, "America/New_York"))


def test_query_e_keyset_pages_give_every_row_once(posthog, world: SmallWorld):
    text = """
        SELECT uuid, toUnixTimestamp64Milli(timestamp) AS ms, distinct_id FROM events
        WHERE timestamp >= fromUnixTimestamp({a}) AND timestamp < fromUnixTimestamp({b})
          AND (toUnixTimestamp64Milli(timestamp) > {last_ms}
               OR (toUnixTimestamp64Milli(timestamp) = {last_ms} AND uuid > toUUID({last_uuid})))
        ORDER BY ms, uuid LIMIT 500"""
    values = {
        "a": T_FROM,
        "b": T_FROM + 7 * DAY,
        "last_ms": 0,
        "last_uuid": "00000000-0000-0000-0000-000000000000",
    }
    seen: list[list[Any]] = []
    while page := rows_of(posthog, text, values):
        seen += page
        values |= {"last_uuid": page[-1][0], "last_ms": page[-1][1]}
    expected = world.unique[world.unique["ms"] < (T_FROM + 7 * DAY) * 1000]
    # A row exported twice shares its key, so paging by key meets it once or, inside a page, twice.
    assert {row[0] for row in seen} == set(expected["uuid"])
    assert len(posthog.requests()) >= 3


def test_duplicates_stay_until_the_query_removes_them(posthog, world: SmallWorld):
    [[total, unique]] = rows_of(posthog, "SELECT count(), uniqExact(uuid) FROM events LIMIT 1")
    assert (total, unique) == (len(world.rows), len(world.unique))
    assert total - unique == 40


@pytest.mark.parametrize(
    ("mode", "column"),
    [
        ("person_id_override_properties_on_events", "current"),
        ("person_id_override_properties_joined", "current"),
        ("disabled", "current"),
        ("person_id_no_override_properties_on_events", "person_id"),
    ],
)
def test_person_mode_decides_whether_merges_show(posthog, world: SmallWorld, mode, column):
    text = "SELECT person_id, count() AS n FROM events GROUP BY person_id LIMIT 50000"
    reply = posthog.query(text, modifiers={"personsOnEventsMode": mode})
    assert dict(reply.body["results"]) == world.rows[column].value_counts().to_dict()


def test_person_properties_joined_are_of_today(posthog, world: SmallWorld):
    text = "SELECT any(person.properties.email) AS e FROM events WHERE distinct_id = 'anon_15'"
    on_events = posthog.query(text)
    joined = posthog.query(
        text, modifiers={"personsOnEventsMode": "person_id_override_properties_joined"}
    )
    assert on_events.body["results"] == [[None]]
    assert joined.body["results"] == [["user15@example.com"]]


def test_trends_query_agrees_with_query_d(posthog, world: SmallWorld):
    series = [
        {"kind": "EventsNode", "event": "purchase", "math": "total"},
        {"kind": "EventsNode", "event": "purchase", "math": "dau"},
    ]
    body = {
        "query": {
            "kind": "TrendsQuery",
            "series": series,
            "interval": "day",
            "dateRange": {
                "date_from": "2026-10-16",
                "date_to": "2026-11-09",
                "explicitDate": False,
            },
            "filterTestAccounts": False,
        }
    }
    total, users = posthog.post(body).body["results"]
    expected = _daily(world.rows, "America/New_York").xs("purchase", level="event")
    expected = expected.reindex(total["days"], fill_value=0)
    assert total["data"] == expected["n"].tolist()
    assert users["data"] == expected["persons"].tolist()
    assert total["count"] == expected["n"].sum()
    assert total["labels"][:2] == ["16-Oct-2026", "17-Oct-2026"]


def test_merge_shows_in_the_next_query(world: SmallWorld):
    text = "SELECT DISTINCT person_id FROM events WHERE distinct_id = 'u_33' LIMIT 10"
    with PostHogStandIn(events=world.events_glob, persons=world.persons_glob) as posthog:
        assert rows_of(posthog, text) == [[person_uuid(33)]]
        posthog.merge("u_33", person_uuid(34))
        assert rows_of(posthog, text) == [[person_uuid(34)]]
        ids = "SELECT distinct_id FROM person_distinct_ids WHERE person_id = {p} LIMIT 10"
        found = rows_of(posthog, ids, {"p": person_uuid(34)})
        assert sorted(found) == [["u_33"], ["u_34"]]
        gone = "SELECT count() FROM persons WHERE id = {p} LIMIT 1"
        assert rows_of(posthog, gone, {"p": person_uuid(33)}) == [[0]]
        cached = posthog.query(text, refresh="blocking").body
        posthog.merge("u_33", person_uuid(35))
        assert posthog.query(text, refresh="blocking").body["results"] == cached["results"]


def test_world_without_persons_export_knows_persons_from_events(world: SmallWorld):
    with PostHogStandIn(events=world.events_glob) as posthog:
        text = "SELECT person_id, count() AS n FROM events GROUP BY person_id LIMIT 50000"
        assert dict(rows_of(posthog, text)) == world.rows["person_id"].value_counts().to_dict()
        [[people]] = rows_of(posthog, "SELECT count() FROM persons LIMIT 1")
        assert people == world.rows["person_id"].nunique()


def test_values_reach_the_engine_unchanged(posthog):
    odd = [
        *ODD_IDS,
        "\\'; DROP TABLE x --",
        "tab\there",
        "nul\0byte",
        "emoji 🎯",
        "%(hogql_val_0)s",
    ]
    [[echoed, one]] = rows_of(posthog, "SELECT {odd}, {one} LIMIT 1", {"odd": odd, "one": odd[7]})
    assert echoed == odd
    assert one == odd[7]


def test_time_slices_read_less_than_batches_of_users(posthog, world: SmallWorld):
    by_time = """SELECT count() FROM events WHERE timestamp >= fromUnixTimestamp({a})
                 AND timestamp < fromUnixTimestamp({b}) LIMIT 1"""
    by_user = "SELECT count() FROM events WHERE distinct_id IN {ids} LIMIT 1"
    slices = [{"a": T_FROM, "b": T_FROM + 17 * DAY}, {"a": T_FROM + 17 * DAY, "b": T_TO}]
    batches = [{"ids": world.persons["distinct_id"].tolist()[part::2]} for part in (0, 1)]

    def bytes_read(text: str, values: dict[str, Any]) -> int:
        return int(posthog.query(text, values).headers["x-posthog-query-bytes-read"])

    sliced = [bytes_read(by_time, values) for values in slices]
    batched = [bytes_read(by_user, values) for values in batches]
    whole = bytes_read("SELECT count() FROM events WHERE distinct_id != 'x' LIMIT 1", {})
    assert min(batched) >= 0.9 * whole
    assert max(sliced) < 0.9 * bytes_read(by_time, {"a": T_FROM, "b": T_TO})


def test_property_definitions_type_what_queries_read(world: SmallWorld):
    types = {"amount": "Numeric", "is_new": "Boolean"}
    with PostHogStandIn(events=world.events_glob, property_types=types) as posthog:
        text = "SELECT max(properties.amount) AS m, max(properties.is_new) AS b FROM events"
        reply = posthog.query(text)
        assert reply.body["results"] == [[float(world.rows["amount"].max()), True]]
        explicit = "SELECT max(toFloat(properties.amount)) AS m FROM events"
        assert posthog.query(explicit).body["results"] == [[float(world.rows["amount"].max())]]


def test_property_without_definition_is_text(posthog, world: SmallWorld):
    text = "SELECT max(properties.amount) AS a, any(properties['a b']) AS b FROM events LIMIT 1"
    known = world.rows.loc[world.rows["amount"] >= 5, "amount"].map(json.dumps)
    assert rows_of(posthog, text) == [[known.max(), "spaced"]]
