"""Each limit and refusal: its status, its headers, its body."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from . import PostHogStandIn, Reply
from .errors import refused_by_clickhouse
from .limits import Limits

QUERY = {"kind": "HogQLQuery", "query": "SELECT 1 AS x LIMIT 1"}
SLOW = "SELECT sum(cityHash64(toString(number))) FROM numbers(100000000000) LIMIT 1"


def assert_error(reply: Reply, status: int, kind: str, code: str, detail: str) -> None:
    assert (reply.status, reply.body["type"], reply.body["code"]) == (status, kind, code)
    assert detail in reply.body["detail"]
    assert reply.body["attr"] is None


def test_limits_default_to_posthogs_own():
    limits = Limits()
    assert list(limits.rates) == [(240, 60.0), (2_400, 3_600.0)]
    assert (limits.places, limits.place_wait, limits.seconds) == (3, 30.0, 10.0)
    assert (limits.max_rows, limits.default_rows, limits.max_body) == (50_000, 100, 20_971_520)


# --- who may ask ---------------------------------------------------------------------------------


def test_access_without_key(posthog):
    reply = posthog.post({"query": QUERY}, key=None)
    detail = "Authentication credentials were not provided."
    assert_error(reply, 401, "authentication_error", "not_authenticated", detail)


def test_access_with_unknown_key(posthog):
    reply = posthog.post({"query": QUERY}, key="phx_unknown")
    detail = "Personal API key found in request Authorization header is invalid."
    assert_error(reply, 401, "authentication_error", "authentication_failed", detail)


def test_access_without_scope(posthog):
    reply = posthog.post({"query": QUERY}, key=posthog.key_without_scope)
    detail = "API key missing required scope 'query:read'"
    assert_error(reply, 403, "authentication_error", "permission_denied", detail)


def test_access_with_key_of_other_project(posthog):
    reply = posthog.post({"query": QUERY}, key=posthog.key_of_other_project)
    detail = "API key does not have access to the requested project: ID 1."
    assert_error(reply, 403, "authentication_error", "permission_denied", detail)


def test_access_to_unknown_project(posthog):
    reply = posthog.post({"query": QUERY}, project=99)
    assert_error(reply, 404, "invalid_request", "not_found", "Project not found.")


def test_access_with_project_secret_key(posthog):
    assert posthog.post({"query": QUERY}, key=posthog.secret_key).status == 200


def _at(posthog: PostHogStandIn, path: str, method: str = "POST") -> Reply:
    headers = {"Authorization": f"Bearer {posthog.api_key}"}
    return posthog.send(method, path, json.dumps({"query": QUERY}).encode(), headers)


def test_paths(posthog):
    assert _at(posthog, "/api/projects/1/query").status == 200
    assert _at(posthog, "/api/projects/1/query/HogQLQuery/").status == 200
    assert _at(posthog, "/api/projects/@current/query/").status == 200
    assert _at(posthog, "/api/projects/1/query/TrendsQuery/").status == 400
    assert _at(posthog, "/api/projects/1/persons/").status == 404
    assert _at(posthog, "/api/projects/1/query/", "GET").status == 405


def test_paths_of_environments_are_deprecated(posthog):
    reply = _at(posthog, "/api/environments/1/query/")
    assert reply.status == 200
    assert {"deprecation", "sunset"} <= set(reply.headers)


# --- what is asked -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"{not json",
        {},
        {"query": {"kind": "Tomato Soup"}},
        {"query": {"kind": "HogQLQuery"}},
        {"query": {**QUERY, "surprise": 1}},
        {"query": {**QUERY, "modifiers": {"unknown": True}}},
        {"query": {**QUERY, "modifiers": {"personsOnEventsMode": "wrong"}}},
        {"query": QUERY, "refresh": "whenever"},
        {"query": QUERY, "limit_context": "export"},
        {"query": {**QUERY, "values": [1]}},
    ],
)
def test_body_that_does_not_fit_is_a_parse_error(posthog, body: Any):
    reply = posthog.post(body)
    assert_error(reply, 400, "invalid_request", "parse_error", "JSON parse error - ")
    if body != b"{not json":
        assert re.search(r"\d validation errors? for QueryRequest", reply.body["detail"])


def test_body_over_the_limit_is_refused(posthog):
    posthog.set_limits(max_body=10_000)
    values = {"a": "x" * 20_000}
    assert posthog.query("SELECT {a} LIMIT 1", values).status == 413
    assert posthog.query("SELECT {a} LIMIT 1", {"a": "x" * 5_000}).status == 200


# --- how often -----------------------------------------------------------------------------------


def test_rate_over_the_burst_is_throttled(posthog):
    posthog.set_limits(rates=[[3, 60], [100, 3600]])
    replies = [posthog.query("SELECT 1") for _ in range(4)]
    assert [reply.status for reply in replies] == [200, 200, 200, 429]
    wait = int(replies[-1].headers["retry-after"])
    assert 55 <= wait <= 60
    detail = f"Request was throttled. Expected available in {wait} seconds."
    assert_error(replies[-1], 429, "throttled_error", "throttled", detail)


def test_rate_over_the_hour_names_the_longer_wait(posthog):
    posthog.set_limits(rates=[[100, 60], [2, 3600]])
    statuses = [posthog.query("SELECT 1") for _ in range(3)]
    assert 3_590 <= int(statuses[-1].headers["retry-after"]) <= 3_600


def test_rate_counts_refused_queries_and_each_key_alone(posthog):
    posthog.set_limits(rates=[[1, 60]])
    assert posthog.query("SELEC 1").status == 400
    assert posthog.query("SELECT 1").status == 429
    assert posthog.post({"query": QUERY}, key=posthog.secret_key).status == 200


def test_places_taken_refuse_without_retry_after(posthog):
    posthog.set_limits(places=3, place_wait=0.1)
    posthog.script([{"match": "held", "hold": 1.5, "repeat": 3}])
    with ThreadPoolExecutor(3) as pool:
        held = [pool.submit(posthog.query, "SELECT 1 AS held LIMIT 1") for _ in range(3)]
        while len(posthog.requests()) < 3:
            pass
        reply = posthog.query("SELECT 1")
        assert [future.result().status for future in held] == [200, 200, 200]
    detail = "Too many queries are running right now — please try again in a moment."
    assert_error(reply, 429, "throttled_error", "throttled", detail)
    assert "retry-after" not in reply.headers


def test_places_are_waited_for(posthog):
    posthog.set_limits(places=1, place_wait=20.0)
    posthog.script([{"hold": 0.3, "repeat": 2}])
    with ThreadPoolExecutor(2) as pool:
        replies = list(pool.map(posthog.query, ["SELECT 1", "SELECT 2"]))
    assert [reply.status for reply in replies] == [200, 200]
    assert max(request["waited"] for request in posthog.requests()) >= 0.2


# --- how much ------------------------------------------------------------------------------------


def test_execution_over_the_cap_is_a_504(posthog):
    posthog.set_limits(seconds=0.2)
    reply = posthog.query(SLOW)
    detail = "Query has hit the max execution time before completing."
    assert_error(reply, 504, "server_error", "error", detail)
    assert "retry-after" not in reply.headers
    assert posthog.query("SELECT 7 LIMIT 1").body["results"] == [[7]]
    request = posthog.requests()[0]
    assert 0.2 <= request["ended"] - request["started"] < 5


def test_budget_overdrawn_refuses_the_next_query(posthog):
    posthog.set_limits(budget_per_hour=10_000, budget_hours=2)
    text = "SELECT count() FROM events WHERE distinct_id != '' LIMIT 1"
    first = posthog.query(text)
    assert first.status == 200
    assert int(first.headers["x-posthog-query-bytes-read"]) > 20_000
    assert int(first.headers["x-posthog-query-budget-remaining-bytes"]) == -10_000
    second = posthog.query("SELECT 1")
    detail = "Query budget exceeded."
    assert_error(second, 429, "throttled_error", "api_queries_budget_exceeded", detail)
    assert 3_590 <= int(second.headers["retry-after"]) <= 3_600
    assert -10_000 <= int(second.headers["x-posthog-query-budget-remaining-bytes"]) < 0


def test_budget_used_up_still_serves_cached_answers(posthog):
    text = "SELECT count() FROM events WHERE distinct_id != '' LIMIT 1"
    posthog.query(text)
    posthog.set_limits(budget_per_hour=10_000, budget_hours=2)
    assert posthog.query(text).status == 200
    assert posthog.query(text).status == 429
    cached = posthog.query(text, refresh="blocking")
    assert (cached.status, cached.body["is_cached"]) == (200, True)
    assert cached.headers["x-posthog-query-bytes-read"] == "0"


def test_budget_turned_off_sends_no_balance(posthog):
    posthog.set_limits(budget_per_hour=0)
    reply = posthog.query("SELECT 1")
    assert reply.status == 200
    assert "x-posthog-query-budget-remaining-bytes" not in reply.headers


def test_cache_serves_blocking_and_is_passed_by_when_forced(posthog):
    text = "SELECT now() AS t LIMIT 1"
    first = posthog.query(text, refresh="blocking").body
    second = posthog.query(text, refresh="blocking").body
    forced = posthog.query(text, refresh="force_blocking").body
    assert (first["is_cached"], second["is_cached"], forced["is_cached"]) == (False, True, False)
    assert first["results"] == second["results"] != forced["results"]


def test_cache_goes_stale(posthog):
    posthog.set_limits(cache_seconds=0)
    text = "SELECT now() AS t LIMIT 1"
    replies = [posthog.query(text, refresh="blocking").body for _ in range(2)]
    assert replies[0]["results"] != replies[1]["results"]


# --- what ClickHouse says, in PostHog's words ----------------------------------------------------


@pytest.mark.parametrize(
    ("text", "status", "detail"),
    [
        ("Code: 159. DB::Exception: Timeout exceeded. (TIMEOUT_EXCEEDED)", 504, "max execution"),
        (
            "Code: 241. DB::Exception: Query memory limit exceeded. (MEMORY_LIMIT_EXCEEDED)",
            504,
            "Query has reached the max memory limit before completing.",
        ),
        (
            "Code: 202. DB::Exception: Too many. (TOO_MANY_SIMULTANEOUS_QUERIES)",
            503,
            "Queries are a little too busy right now.",
        ),
        (
            "DB::Exception: Estimated query execution time (9 seconds) is too long. (TOO_SLOW)",
            512,
            "Estimated query execution time (9 seconds) is too long. Try reducing its scope",
        ),
        (
            "Code: 49. DB::Exception: Bad thing in hogql_events. (LOGICAL_ERROR)",
            500,
            "ClickHouse error while executing query.",
        ),
    ],
)
def test_refused_by_clickhouse_status(text: str, status: int, detail: str):
    refusal = refused_by_clickhouse(text)
    assert refusal.status == status
    assert detail in refusal.detail
    assert refusal.body["type"] == "server_error"


def test_refused_by_clickhouse_too_many_bytes():
    text = "Code: 307. DB::Exception: Limit for bytes exceeded: In scope SELECT 1. (TOO_MANY_BYTES)"
    refusal = refused_by_clickhouse(text)
    assert (refusal.status, refusal.code) == (400, "too_many_bytes")
    assert refusal.detail == "Limit for bytes exceeded"
