"""What goes wrong on the way to PostHog, and what PostHog answers instead of an answer."""

from __future__ import annotations

import random
import socket
from collections.abc import Mapping
from typing import Any

from core.sources import posthog_client
from tests.faults.oracle import DECLARED, EITHER, EXACT
from tests.faults.proxy import Trouble
from tests.faults.rig import Rig
from tests.faults.scenario import Wanted, scenario

POSTHOG = "PostHog"
SLICE, IDS, EMAILS = "AS codes", "IN {ids}", "IN {emails}"
"""What only the query for a slice, for persons, for e-mails holds."""
ENOUGH = 3
"""Faults that every question outlasts."""


def error(kind: str, code: str, detail: str) -> dict[str, Any]:
    """Return the body of an error as PostHog sends it."""
    return {"type": kind, "code": code, "detail": detail, "attr": None}


THROTTLED = error("throttled_error", "throttled", "Request was throttled.")
CROWDED = error(
    "throttled_error", "throttled", "Too many queries are running right now — please try again."
)


def somewhere(rng: random.Random, rig: Rig, fault: Mapping[str, Any]) -> None:
    """Queue a fault for some request of a run."""
    rig.script(fault, skip=rng.randrange(rig.n_requests))


def one_slice_for_good(rng: random.Random, rig: Rig, fault: Mapping[str, Any]) -> None:
    """Let one slice fail however often it is asked for, and nothing else."""
    rig.plan.posthog = {"max_in_flight": 1}
    skip = rng.randrange(rig.count(SLICE))
    rig.script({**fault, "repeat": posthog_client.TRIES}, skip=skip, match=SLICE)


# --- the way there ---------------------------------------------------------------------------


@scenario(POSTHOG, DECLARED)
def posthog_refuses_connections(rng: random.Random, rig: Rig) -> None:
    rig.api.set(Trouble(kind="refuse"))


@scenario(POSTHOG, EXACT)
def posthog_takes_a_connection_and_is_silent(rng: random.Random, rig: Rig) -> None:
    rig.plan.posthog = {"timeout": 1}
    rig.api.set(Trouble(kind="hang", times=rng.randint(1, 2)))


@scenario(POSTHOG, DECLARED)
def posthog_is_silent_for_good(rng: random.Random, rig: Rig) -> None:
    rig.plan.posthog = {"timeout": 1}
    rig.patch("core.sources.posthog_client.TRIES", 2)
    rig.api.set(Trouble(kind="hang", times=0))


@scenario(POSTHOG, EXACT)
def posthog_connection_is_cut_on_the_way(rng: random.Random, rig: Rig) -> None:
    after = rng.randrange(rig.api_bytes // 4)
    rig.api.set(Trouble(kind="cut", after=after, times=rng.randint(1, ENOUGH)))


@scenario(POSTHOG, EXACT)
def posthog_connection_is_reset_on_the_way(rng: random.Random, rig: Rig) -> None:
    after = rng.randrange(rig.api_bytes // 4)
    rig.api.set(Trouble(kind="reset", after=after, times=rng.randint(1, ENOUGH)))


@scenario(POSTHOG, DECLARED)
def posthog_connection_is_cut_every_time(rng: random.Random, rig: Rig) -> None:
    kind = rng.choice(["cut", "reset"])
    rig.api.set(Trouble(kind=kind, times=0, after=rng.randrange(2_000)))


@scenario(POSTHOG, EXACT)
def posthog_falls_silent_mid_answer(rng: random.Random, rig: Rig) -> None:
    rig.plan.posthog = {"timeout": 1}
    rig.api.set(Trouble(kind="black_hole", after=rng.randrange(rig.api_bytes)))


@scenario(POSTHOG, EXACT)
def posthog_answers_drip_slower_than_the_deadline(rng: random.Random, rig: Rig) -> None:
    rig.plan.posthog = {"timeout": 1}
    fault = {"drip_bytes": rng.randint(1, 200), "drip_seconds": rng.uniform(0.02, 0.2)}
    rig.script(fault, match=rng.choice([SLICE, SLICE, IDS, EMAILS]))


@scenario(POSTHOG, EXACT)
def posthog_answers_drip_fast_enough(rng: random.Random, rig: Rig) -> None:
    rig.api.set(Trouble(kind="drip", piece=rng.randrange(2_000, 9_000), seconds=0.001))


@scenario(POSTHOG, EXACT)
def posthog_hangs_up_without_an_answer(rng: random.Random, rig: Rig) -> None:
    when, by_reset = rng.choice(["before", "after"]), rng.random() < 0.5
    fault = {"disconnect": when, "reset": by_reset, "repeat": rng.randint(1, ENOUGH)}
    somewhere(rng, rig, fault)


# --- limits ----------------------------------------------------------------------------------


def _too_many(rng: random.Random, rig: Rig, headers: Mapping[str, str]) -> None:
    fault = {"status": 429, "body": THROTTLED, "headers": headers}
    somewhere(rng, rig, {**fault, "repeat": rng.randint(1, ENOUGH)})


@scenario(POSTHOG, EXACT)
def limit_with_a_short_wait(rng: random.Random, rig: Rig) -> None:
    _too_many(rng, rig, {"Retry-After": str(rng.randint(0, 60))})


@scenario(POSTHOG, EXACT)
def limit_without_a_wait(rng: random.Random, rig: Rig) -> None:
    _too_many(rng, rig, {})


@scenario(POSTHOG, EXACT)
def limit_with_a_wait_that_is_none(rng: random.Random, rig: Rig) -> None:
    waits = ["soon", "-5", "1e3", "", "nan", "12.5", "5, 10", "0x10", "inf", "³"]
    wait = rng.choice(waits).encode().decode("latin-1")
    _too_many(rng, rig, {"Retry-After": wait})


@scenario(POSTHOG, EXACT)
def limit_with_a_date_long_past(rng: random.Random, rig: Rig) -> None:
    _too_many(rng, rig, {"Retry-After": f"Wed, {rng.randint(10, 28)} Oct 2015 07:28:00 GMT"})


@scenario(POSTHOG, DECLARED)
def limit_with_a_wait_too_long(rng: random.Random, rig: Rig) -> None:
    _too_many(rng, rig, {"Retry-After": str(rng.randint(61, 100_000))})


@scenario(POSTHOG, EXACT)
def too_many_queries_at_once(rng: random.Random, rig: Rig) -> None:
    fault = {"status": 429, "body": CROWDED, "repeat": rng.randint(1, ENOUGH)}
    somewhere(rng, rig, fault)


@scenario(POSTHOG, EITHER)
def real_limit_of_queries_at_once(rng: random.Random, rig: Rig) -> None:
    rig.posthog.set_limits(
        rates=((10_000, 60.0),), budget_per_hour=0, places=1, place_wait=rng.uniform(0.0, 0.1)
    )
    rig.posthog.script([{"hold": 0.05, "repeat": rng.randint(1, 4)}])


@scenario(POSTHOG, DECLARED)
def real_limit_of_requests_is_reached(rng: random.Random, rig: Rig) -> None:
    most = rng.randint(1, rig.n_requests - 1)
    rig.posthog.set_limits(rates=((most, rng.choice([60.0, 3600.0])),), budget_per_hour=0)


@scenario(POSTHOG, DECLARED)
def real_read_budget_is_used_up(rng: random.Random, rig: Rig) -> None:
    rig.posthog.set_limits(
        rates=((10_000, 60.0),), budget_per_hour=rng.randint(1, 500_000), budget_hours=1.0
    )


@scenario(POSTHOG, DECLARED)
def read_budget_is_used_up_on_the_way(rng: random.Random, rig: Rig) -> None:
    body = error("throttled_error", "api_queries_budget_exceeded", "Budget exceeded.")
    headers = {
        "Retry-After": str(rng.randint(61, 3600)),
        "X-PostHog-Query-Budget-Remaining-Bytes": str(-rng.randrange(10**9)),
    }
    somewhere(rng, rig, {"status": 429, "body": body, "headers": headers, "repeat": 0})


@scenario(POSTHOG, DECLARED)
def monthly_quota_is_used_up(rng: random.Random, rig: Rig) -> None:
    body = error("quota_limited", "payment_required", "API query quota exceeded.")
    somewhere(rng, rig, {"status": 402, "body": body, "repeat": 0})


# --- faults of the server --------------------------------------------------------------------


def _broken(rng: random.Random) -> dict[str, Any]:
    status = rng.choice([500, 502, 503, 520, 529])
    body = rng.choice(
        [
            error("server_error", "error", "ClickHouse error while executing query."),
            error("server_error", "busy", "Queries are a little too busy right now."),
            "<html><h1>502 Bad Gateway</h1></html>",
            "",
        ]
    )
    return {"status": status, "body": body}


@scenario(POSTHOG, EXACT)
def server_errors_for_a_moment(rng: random.Random, rig: Rig) -> None:
    somewhere(rng, rig, {**_broken(rng), "repeat": rng.randint(1, ENOUGH)})


@scenario(POSTHOG, EXACT)
def server_error_after_the_query_was_charged(rng: random.Random, rig: Rig) -> None:
    somewhere(rng, rig, {**_broken(rng), "run_anyway": True})


@scenario(POSTHOG, DECLARED)
def server_errors_from_some_request_on(rng: random.Random, rig: Rig) -> None:
    somewhere(rng, rig, {**_broken(rng), "repeat": 0})


@scenario(POSTHOG, DECLARED)
def server_errors_for_one_slice(rng: random.Random, rig: Rig) -> None:
    one_slice_for_good(rng, rig, _broken(rng))


@scenario(POSTHOG, DECLARED)
def persons_cannot_be_looked_up(rng: random.Random, rig: Rig) -> None:
    rig.script({**_broken(rng), "repeat": 0}, match=IDS)


@scenario(POSTHOG, DECLARED)
def emails_cannot_be_looked_up(rng: random.Random, rig: Rig) -> None:
    rig.script({**_broken(rng), "repeat": 0}, match=EMAILS)


@scenario(POSTHOG, DECLARED)
def nobody_can_be_looked_up(rng: random.Random, rig: Rig) -> None:
    for match in (IDS, EMAILS):
        rig.script({**_broken(rng), "repeat": 0}, match=match)


@scenario(POSTHOG, EXACT)
def slice_is_too_costly(rng: random.Random, rig: Rig) -> None:
    body = error("server_error", "error", "Query has hit the max execution time.")
    status = rng.choice([504, 512, 400])
    if status == 400:
        body = error("validation_error", "too_many_bytes", "Limit for bytes to read exceeded.")
    fault = {"status": status, "body": body, "repeat": rng.randint(1, 6)}
    rig.script(fault, skip=rng.randrange(rig.count(SLICE)), match=SLICE)


@scenario(POSTHOG, DECLARED)
def every_slice_is_too_costly(rng: random.Random, rig: Rig) -> None:
    fault = {"status": rng.choice([504, 512]), "body": "", "repeat": 0}
    rig.script(fault, skip=rng.randrange(rig.count(SLICE)), match=SLICE)


@scenario(POSTHOG, EXACT)
def accepted_but_not_answered(rng: random.Random, rig: Rig) -> None:
    body = {"query_status": {"id": "x", "complete": False, "query_async": True, "results": None}}
    somewhere(rng, rig, {"status": 202, "body": body, "repeat": rng.randint(1, ENOUGH)})


# --- refusals --------------------------------------------------------------------------------

_REFUSALS = {
    400: error("validation_error", "hogql_query_error", "Unable to resolve field: nope"),
    401: error("authentication_error", "authentication_failed", "Personal API key is invalid."),
    403: error("authentication_error", "permission_denied", "API key missing scope query:read"),
    404: error("invalid_request", "not_found", "Project not found."),
}


@scenario(POSTHOG, DECLARED)
def access_ends_on_the_way(rng: random.Random, rig: Rig) -> None:
    status = rng.choice([401, 403, 404])
    somewhere(rng, rig, {"status": status, "body": _REFUSALS[status], "repeat": 0})


@scenario(POSTHOG, DECLARED)
def question_is_not_accepted(rng: random.Random, rig: Rig) -> None:
    fault = {"status": 400, "body": _REFUSALS[400], "repeat": 0}
    rig.script(fault, match=rng.choice([SLICE, IDS, EMAILS]))


@scenario(POSTHOG, DECLARED)
def refusal_repeats_the_key_and_an_email(rng: random.Random, rig: Rig) -> None:
    said = f"{rig.posthog.api_key} may not see {rig.an_email}"
    status = rng.choice([400, 401, 403, 404, 500])
    body = rng.choice([error("x", "y", said), said])
    somewhere(rng, rig, {"status": status, "body": body, "repeat": 0})


@scenario(POSTHOG, DECLARED)
def redirected_elsewhere(rng: random.Random, rig: Rig) -> Wanted:
    elsewhere = socket.create_server(("127.0.0.1", 0))
    rig.undo(elsewhere.close)
    elsewhere.setblocking(False)  # noqa: FBT003 - the name of the method says it
    place = f"http://127.0.0.1:{elsewhere.getsockname()[1]}/api/projects/1/query/"
    headers = {"Location": place}
    status = rng.choice([301, 302, 303, 307, 308])
    somewhere(rng, rig, {"status": status, "headers": headers, "body": "", "repeat": 0})
    rig.plan.afterwards = lambda: _nobody_came(elsewhere)
    return DECLARED


def _nobody_came(listener: socket.socket) -> str:
    try:
        connection, _ = listener.accept()
    except BlockingIOError:
        return ""
    connection.close()
    return "leak: the request was sent on to where the redirect pointed"
