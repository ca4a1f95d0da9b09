"""What HogQL takes, refuses, and means otherwise than ClickHouse would."""

from __future__ import annotations

import re

import pytest

from . import PostHogStandIn
from .worlds import SmallWorld

OFFSET = "OFFSET is not supported on queries made with a personal API key. "


def refused(posthog: PostHogStandIn, text: str, values: dict | None = None) -> tuple[str, str]:
    reply = posthog.query(text, values)
    assert reply.status == 400, reply.text[:500]
    assert set(reply.body) == {"type", "code", "detail", "attr"}
    assert reply.body["type"] == "validation_error"
    return reply.body["code"], reply.body["detail"]


def one(posthog: PostHogStandIn, text: str, values: dict | None = None) -> list:
    reply = posthog.query(text, values)
    assert reply.status == 200, reply.text[:500]
    return reply.body["results"][0]


QUERY_ERRORS = {
    "SELECT toInt64(1)": "Unsupported function call 'toInt64(...)'. "
    "Perhaps you meant 'toInt(...)'?",
    "SELECT toUInt32(1)": r"Unsupported function call 'toUInt32\(...\)'",
    "SELECT toIntervalMillisecond(1)": r"Unsupported function call 'toIntervalMillisecond",
    "SELECT uniqCombined(event) FROM events": "Unsupported function call 'uniqCombined",
    "SELECT topKIf(5)(event, 1) FROM events": "Unsupported function call 'topKIf",
    "SELECT corrIf(1, 2, 3) FROM events": "Unsupported function call 'corrIf",
    "SELECT sleep(1)": "Unsupported function call 'sleep",
    "SELECT hamburger(event) FROM events": r"Unsupported function call 'hamburger\(...\)'",
    "SELECT tostring(1)": "Perhaps you meant 'toString",
    "SELECT groupArray(event, 5) FROM events": "Aggregation 'groupArray' expects 1 argument, "
    "found 2",
    "SELECT groupArray(5)(event) FROM events": "Aggregation 'groupArray' expects 0 parameters",
    "SELECT groupUniqArray(5)(event) FROM events": "Aggregation 'groupUniqArray' expects 0",
    "SELECT cityHash64(1, 2)": "Function 'cityHash64' expects 1 argument, found 2",
    "SELECT least(1, 2, 3)": "Function 'least' expects 2 arguments, found 3",
    "SELECT count(1, 2, 3, 4) FROM events": "Aggregation 'count' expects at most 1 argument, "
    "found 4",
    "SELECT countIf() FROM events": "Aggregation 'countIf' expects at least 1 argument, found 0",
    "SELECT quantile(1) FROM events": "Aggregation 'quantile' requires parameters in addition",
    "SELECT quantile(0.5, 2)(1) FROM events": "Aggregation 'quantile' expects 1 parameter, found 2",
    "SELECT avg(avg(1)) FROM events": "Aggregation 'avg' cannot be nested inside another "
    "aggregation 'avg'.",
    "SELECT nope FROM events": "Unable to resolve field: nope",
    "SELECT avg(bla) FROM events": "Unable to resolve field: bla",
    "SELECT e.nope FROM events AS e": "Field not found: nope",
    "SELECT person.chipotle FROM events": "Field not found: chipotle",
    "SELECT person FROM events": "Can't select a table when a column is expected: person",
    "SELECT 1 FROM other": 'Unknown table "other".',
    "SELECT 1 FROM events_raw": 'Unknown table "events_raw".',
    "SELECT 1 FROM system.tables": 'Unknown table "system.tables".',
    "SELECT event AS `a%d` FROM events": 'The HogQL identifier "a%d" is not permitted',
    "SELECT properties.0 FROM events": "SQL indexes start from one, not from zero",
    "SELECT event FROM events FINAL": "The FINAL keyword is not supported in HogQL",
    "SELECT {missing}": r"Unresolved placeholder: \{missing\}",
    "SELECT 1 LIMIT 10 OFFSET 1": OFFSET,
    "SELECT 1 FROM (SELECT event FROM events LIMIT 1 OFFSET 1)": OFFSET,
    "SELECT event FROM events LIMIT 1 OFFSET 1 BY event LIMIT 5": OFFSET,
    "(SELECT 1) UNION ALL (SELECT 2) LIMIT 1 OFFSET 1": OFFSET,
}


@pytest.mark.parametrize("text", QUERY_ERRORS)
def test_query_error_names_what_is_wrong(posthog, text: str):
    code, detail = refused(posthog, text)
    assert code == "hogql_query_error"
    expected = QUERY_ERRORS[text]
    assert expected in detail or re.match(expected, detail)


@pytest.mark.parametrize(
    "text",
    ["SELEC 1", "SELECT FROM WHERE", "SELECT 1 FORMAT JSON", "SELECT 1 FROM events WHERE"],
)
def test_syntax_error(posthog, text: str):
    code, detail = refused(posthog, text)
    assert code == "hogql_syntax_error"
    assert "input" in detail


def test_syntax_error_reserved_alias(posthog):
    code, detail = refused(posthog, "SELECT 1 AS team_id")
    assert code in {"hogql_syntax_error", "hogql_query_error"}
    assert "team_id" in detail
    assert "reserved keyword" in detail


def test_settings_clause_is_an_internal_error(posthog):
    reply = posthog.query("SELECT 1 SETTINGS max_threads = 1")
    assert (reply.status, reply.body["type"]) == (500, "server_error")


def test_placeholder_missing_among_values_names_the_known(posthog):
    _, detail = refused(posthog, "SELECT {a}", {"b": 1, "c": 2})
    assert detail.endswith("You can use the following: b, c")


def test_placeholder_object_is_refused(posthog):
    assert refused(posthog, "SELECT {a}", {"a": {"b": 1}})[0] == "invalid_input"


CLICKHOUSE_ERRORS = {
    "SELECT 1 + 'a'": "illegal_type_of_argument",
    "SELECT sum(person_id) FROM events": "illegal_type_of_argument",
    # HogQL does not know the type of toUnixTimestamp, and parses it as if it were text.
    "SELECT toDateTime(toUnixTimestamp(timestamp)) FROM events": "illegal_type_of_argument",
    "SELECT [1, 'a']": "no_common_type",
    "SELECT event, count() FROM events": "not_an_aggregate",
    "SELECT count() FROM events WHERE count() > 1": "illegal_aggregation",
    "SELECT toDateTime('garbage')": "cannot_parse_datetime",
    "SELECT count() FROM events WHERE timestamp > '2026-10-20T00:00:00Z'": "cannot_parse_text",
    "SELECT count() FROM events WHERE person_id = 'no uuid'": "cannot_parse_uuid",
    "SELECT arrayZip([1], [1, 2])": "sizes_of_arrays_dont_match",
}


@pytest.mark.parametrize("text", CLICKHOUSE_ERRORS)
def test_clickhouse_error_becomes_its_code(posthog, text: str):
    code, detail = refused(posthog, text)
    assert code == CLICKHOUSE_ERRORS[text]
    assert "hogql_" not in detail, "views of the stand-in show"
    assert "SETTINGS" not in detail


def test_clickhouse_error_that_is_not_the_users_is_a_bare_500(posthog):
    reply = posthog.query("WITH 1 AS x SELECT x + 1 AS x")
    assert (reply.status, reply.body["type"]) == (500, "server_error")
    assert reply.body["detail"] == "ClickHouse error while executing query."
    assert "MULTIPLE_EXPRESSIONS_FOR_ALIAS" in posthog.requests()[0]["cause"]


def test_query_text_over_one_mebibyte_is_refused(posthog):
    fits, too_long = ["x" * 100] * 9_000, ["x" * 100] * 11_000
    assert one(posthog, "SELECT length({a}) LIMIT 1", {"a": fits}) == [9_000]
    reply = posthog.query("SELECT length({a}) LIMIT 1", {"a": too_long})
    assert (reply.status, reply.body["detail"]) == (500, "Query size exceeded.")


# --- rows ----------------------------------------------------------------------------------------


def test_limit_absent_gives_a_page_and_tells_of_more(posthog):
    body = posthog.query("SELECT event FROM events").body
    assert len(body["results"]) == 100
    assert (body["hasMore"], body["limit"], body["offset"]) == (True, 100, 0)
    body = posthog.query("SELECT DISTINCT event FROM events").body
    assert (len(body["results"]), body["hasMore"]) == (6, False)


def test_limit_given_tells_nothing_of_more(posthog):
    body = posthog.query("SELECT event FROM events LIMIT 3").body
    assert len(body["results"]) == 3
    assert (body["hasMore"], body["limit"], body["offset"]) == (None, None, None)


@pytest.mark.parametrize("limit", ["5000", "{n}", "100000", "60 + 60"])
def test_limit_over_the_most_is_silently_clamped(posthog, limit: str):
    posthog.set_limits(max_rows=50)
    body = posthog.query(
        "SELECT uuid FROM events LIMIT MOST".replace("MOST", limit), {"n": 70_000}
    ).body
    assert len(body["results"]) == 50
    assert body["hasMore"] is None


def test_limit_of_subqueries_is_not_clamped(posthog):
    posthog.set_limits(max_rows=50)
    text = "SELECT count() FROM (SELECT uuid FROM events LIMIT 500) LIMIT 1"
    assert one(posthog, text) == [500]


def test_union_without_limit_gives_the_default_to_each_branch(posthog):
    text = "SELECT uuid FROM events UNION ALL SELECT uuid FROM events"
    body = posthog.query(text).body
    assert len(body["results"]) == 200
    assert body["hasMore"] is None


def test_rows_clamp_does_not_cut_arrays(posthog, world: SmallWorld):
    posthog.set_limits(max_rows=1)
    [length] = one(posthog, "SELECT length(groupArray(uuid)) FROM events LIMIT 10")
    assert length == len(world.rows)


# --- meaning -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "meaning"),
    [
        ("properties.amount != '1.0'", "all"),
        ("NOT properties.amount = '1.0'", "all"),
        ("properties.nope = 'x'", "none"),
        ("NOT properties.nope LIKE 'x'", "all"),
        ("properties.nope IS NULL", "all"),
        ("properties.nope = NULL", "all"),
        ("properties.nope != NULL", "none"),
        ("toFloat(properties.nope) > 1", "none"),
        ("NOT toFloat(properties.nope) > 1", "all"),
        ("NOT toFloat(properties.nope) BETWEEN 1 AND 2", "all"),
        ("properties.nope = properties.nada", "all"),
        ("properties.nope IN ('x', 'y')", "none"),
    ],
)
def test_comparison_counts_a_missing_property_as_a_value(posthog, world, condition, meaning):
    [n] = one(posthog, "SELECT count() FROM events WHERE IT".replace("IT", condition))
    assert n == {"all": len(world.rows), "none": 0}[meaning]


def test_bare_string_is_project_local_time(posthog, world: SmallWorld):
    text = """SELECT count() FROM events
              WHERE timestamp >= '2026-10-20' AND timestamp < '2026-10-21 00:00:00'"""

    def count_of(zone: str) -> int:
        local = world.rows["timestamp"].dt.tz_convert(zone)
        return int((local.dt.strftime("%Y-%m-%d") == "2026-10-20").sum())

    assert one(posthog, text) == [count_of("America/New_York")]
    utc = posthog.query(text, modifiers={"convertToProjectTimezone": False})
    assert utc.body["results"] == [[count_of("UTC")]]
    assert count_of("UTC") != count_of("America/New_York")


@pytest.mark.parametrize(
    "instant",
    [
        "toDateTime(1792540800)",
        "fromUnixTimestamp(1792540800)",
        "fromUnixTimestamp64Milli(1792540800000)",
        "toDateTime('2026-10-20 20:00:00')",
        "toDateTime('2026-10-21 00:00:00', 'UTC')",
        "toDateTime('2026-10-21T00:00:00Z')",
        "toDateTime('2026-10-20T20:00:00.000-04:00')",
        "toDateTime64('2026-10-20 20:00:00.000', 3)",
    ],
)
def test_instants_written_in_every_way_are_the_same(posthog, world: SmallWorld, instant: str):
    expected = int((world.rows["ms"] >= 1_792_540_800_000).sum())
    text = "SELECT count() FROM events WHERE timestamp >= INSTANT".replace("INSTANT", instant)
    assert one(posthog, text) == [expected]
    assert one(posthog, f"SELECT toUnixTimestamp({instant}) LIMIT 1") == [1_792_540_800]


def test_reverse_sort_is_ascending_as_in_the_stored_source(posthog):
    text = "SELECT arrayReverseSort([2, 3, 1]), arrayReverse(arraySort([2, 3, 1])) LIMIT 1"
    assert one(posthog, text) == [[1, 2, 3], [3, 2, 1]]


def test_functions_the_client_uses(posthog):
    text = """
        SELECT indexOf(['a', 'b'], 'b'), arrayMap(x -> x + 1, [1, 2]),
               tupleElement(tuple(1, 'a'), 2), lower(' A'), lowerUTF8('Ä'), trim(' a '),
               replaceRegexpAll('a1', '[0-9]', ''),
               toString(1), plus(1, 2), minus(3, 1), multiply(2, 3), divide(1, 2), has([1], 1),
               modulo(7, 4), 7 % 4, toInt('5'), coalesce(nullIf('', ''), 'x'), COUNT(), min(1),
               max(2), uniqExact(1), argMax(1, 2), any(3), groupArray(1), groupUniqArray(1),
               cityHash64('a') = cityHash64('a')
        LIMIT 1"""
    assert one(posthog, text) == [
        2, [2, 3], "a", " a", "ä", "a", "a", "1", 3, 2, 6, 0.5, 1, 3, 3, 5, "x", 1, 1, 2, 1, 1, 3,
        [1], [1], 1,
    ]  # fmt: skip


def test_syntax_that_the_description_lists_runs(posthog):
    text = """
        WITH 2 AS two, firsts AS (SELECT event, min(timestamp) AS t FROM events GROUP BY event)
        SELECT e.event AS event, count(DISTINCT e.uuid) AS n, -- a comment
               count() FILTER (WHERE e.properties.amount BETWEEN '1' AND '2') AS some, /* here */
               CASE WHEN e.event = 'share' THEN 'a' WHEN e.event = 'search' THEN 'b' ELSE 'c' END
                   AS label,
               quantile(0.5)(toFloat(e.properties.amount)) AS q, two AS pair,
               e.event || '!' AS loud, (e.event, 1) IN (('share', 1), ('x', 2)) AS is_pair,
               min(f.t + INTERVAL 7 DAY) AS later
        FROM events AS e
        INNER JOIN firsts AS f ON f.event = e.event
        WHERE e.event IN ['share', 'search'] AND e.event =~ 's.*'
        GROUP BY ALL
        ORDER BY event DESC
        LIMIT 5;"""
    body = posthog.query(text).body
    assert [row[0] for row in body["results"]] == ["share", "search"]
    assert body["results"][0][3] == "a"
    assert body["results"][0][7] == 1
    assert body["columns"][:3] == ["event", "n", "some"]


def test_window_functions_run(posthog):
    text = """
        SELECT event, row_number() OVER (PARTITION BY event ORDER BY timestamp) AS place,
               count() OVER () AS all_rows
        FROM events ORDER BY place, event LIMIT 2"""
    assert [row[1] for row in posthog.query(text).body["results"]] == [1, 1]


def test_star_lists_the_documented_columns(posthog):
    assert posthog.query("SELECT * FROM events LIMIT 1").body["columns"][:5] == [
        "uuid",
        "event",
        "properties",
        "timestamp",
        "distinct_id",
    ]
    columns = posthog.query("SELECT * FROM person_distinct_ids LIMIT 1").body["columns"]
    assert columns == ["distinct_id", "person_id"]


# --- the answer's form ---------------------------------------------------------------------------


def test_answer_has_the_documented_fields(posthog):
    reply = posthog.query("SELECT event, count() AS n FROM events GROUP BY event ORDER BY event")
    body = reply.body
    assert body["columns"] == ["event", "n"]
    assert body["types"] == [["event", "String"], ["n", "UInt64"]]
    assert body["query"].startswith("SELECT event")
    assert body["is_cached"] is False
    assert body["timezone"] == "America/New_York"
    assert {"hogql", "clickhouse", "timings", "modifiers", "cache_key", "last_refresh"} <= set(body)
    assert reply.headers["content-type"] == "application/json"
    assert int(reply.headers["x-posthog-query-bytes-read"]) > 0
    assert int(reply.headers["x-posthog-query-budget-remaining-bytes"]) > 0


def test_answer_has_numbers_as_json_numbers(posthog):
    text = (
        "SELECT 18446744073709551615 AS u, -5 AS i, 1 / 0 AS i1, 0 / 0 AS i2, 2.0 AS f, true AS b"
    )
    reply = posthog.query(text)
    assert reply.body["results"] == [[18446744073709551615, -5, None, None, 2.0, 1]]
    assert b'"results": [[18446744073709551615, -5, null, null, 2.0, 1]]' in reply.text


def test_answer_has_instants_in_iso_8601(posthog):
    text = """SELECT toDateTime64('2026-07-01 00:00:10.123', 6) AS local,
                     toDateTime('2026-07-01 00:00:10', 'UTC') AS utc,
                     [toDateTime64('2026-12-01 00:00:10', 3, 'UTC')] AS listed,
                     tuple(1, toDateTime(0)) AS paired, toDate('2026-07-01') AS day,
                     toUUID('6ba7b810-9dad-11d1-80b4-00c04fd430c8') AS id"""
    assert one(posthog, text) == [
        "2026-07-01T00:00:10.123000-04:00",
        "2026-07-01T00:00:10Z",
        ["2026-12-01T00:00:10Z"],
        [1, "1969-12-31T19:00:00-05:00"],
        "2026-07-01",
        "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
    ]


def test_answer_of_unaliased_columns_is_named_after_the_text(posthog):
    body = posthog.query(
        "SELECT count(), e.event, properties.amount FROM events AS e GROUP BY 2, 3"
    )
    assert body.body["columns"] == ["count()", "event", "amount"]
