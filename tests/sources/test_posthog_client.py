"""Tests of the client against the stand-in: what it retries, refuses, waits for and never says."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from core.activity.source import Usage
from core.errors import DataError, PostHogBusy, PostHogDenied, QueryTooBig
from core.sections import PostHog
from core.sources import posthog_answers, posthog_client
from core.sources.pace import Gate, Limits, gate_for
from core.sources.posthog_answers import Answer
from core.sources.posthog_client import PostHogClient
from tests.posthog_standin import PostHogStandIn

ONE = "SELECT {x} AS x LIMIT 50000"


class Unhurried:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Open(Gate):
    """Lets everything through."""

    @contextmanager
    def passage(self, limits: Limits, **_: Any) -> Iterator[Callable[[], None]]:
        yield lambda: None


@pytest.fixture(scope="module")
def standin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostHogStandIn]:
    folder = tmp_path_factory.mktemp("export")
    when = pd.Timestamp("2026-09-01 12:00", tz="UTC").as_unit("us")
    person = "01900000-0000-7000-8000-000000000001"
    event = {
        "uuid": [person],
        "event": ["Trade Confirmed"],
        "distinct_id": ["u_1"],
        "person_id": [person],
        "properties": ["{}"],
        "person_properties": ["{}"],
        "timestamp": [when],
    }
    pd.DataFrame(event).to_parquet(folder / "events.parquet")
    limits = {"rates": ((10_000, 60.0),)}
    with PostHogStandIn(events=folder / "events.parquet", limits=limits) as running:
        yield running


@pytest.fixture
def posthog(standin: PostHogStandIn) -> PostHogStandIn:
    standin.reset()
    return standin


class Asking:
    """A client of the stand-in on time that does not pass, and what it used."""

    def __init__(self, posthog: PostHogStandIn, **settings: Any) -> None:
        self.time = Unhurried()
        self.usage = Usage()
        self.settings = PostHog(
            **{
                "host": posthog.url,
                "project_id": posthog.project_id,
                "api_key": posthog.api_key,
                **settings,
            }
        )
        self.client = PostHogClient(
            self.settings,
            self.usage,
            clock=self.time.clock,
            sleep=self.time.sleep,
            gate=Open(),
        )

    def one(self) -> Answer:
        return self.client.query(ONE, {"x": 1}, name="one")


def test_query_returns_columns_and_rows(posthog: PostHogStandIn) -> None:
    asking = Asking(posthog)
    text = "SELECT {name} AS name, {numbers} AS numbers LIMIT 50000"
    answer = asking.client.query(text, {"name": "a", "numbers": [1, 2]}, name="things")
    assert answer == Answer(columns=("name", "numbers"), rows=[["a", [1, 2]]])
    (asked,) = posthog.requests()
    assert (asked["query"], asked["name"], asked["refresh"]) == (text, "things", "force_blocking")
    assert len(asked["client_query_id"]) == 36


@pytest.mark.parametrize(
    "value",
    ["'; DROP TABLE events --", "a\\'b", "\\n{x}", "{x}", "ünïcødé 👟", "$pageview", '"', "%s", ""],
)
def test_query_sends_values_beside_a_text_that_never_changes(
    posthog: PostHogStandIn, value: str
) -> None:
    asking = Asking(posthog)
    assert asking.client.query(ONE, {"x": value}, name="one").rows == [[value]]
    assert posthog.requests()[0]["query"] == ONE


OK = {"columns": ["x"], "results": [[1]]}
LATER = {"status": 429, "body": {"code": "throttled", "detail": "Request was throttled."}}
BUDGET = {"status": 429, "body": {"code": "api_queries_budget_exceeded", "detail": "No budget."}}


def later(said: str, fault: dict[str, Any] = LATER) -> dict[str, Any]:
    return {**fault, "headers": {"Retry-After": said}}


@pytest.mark.parametrize(
    ("fault", "n_requests", "least_wait", "most_wait", "expected"),
    [
        # Asked again: after the seconds named, else after ever longer ones by chance.
        (later("21"), 2, 21, 21, None),
        (later("60"), 2, 60, 60, None),
        (later("0"), 2, 0.5, 0.5, None),
        (LATER, 2, 0.5, 2, None),
        (later("soon"), 2, 0.5, 2, None),
        (later("-5"), 2, 0.5, 2, None),
        (later("Wed, 21 Oct 2015 07:28:00 GMT"), 2, 0.5, 2, None),
        (later("9" * 30), 2, 0.5, 2, None),
        (later("30", BUDGET), 2, 30, 30, None),
        (BUDGET, 2, 0.5, 2, None),
        ({"status": 408, "body": ""}, 2, 0.5, 2, None),
        ({"status": 500, "body": {"detail": "ClickHouse error."}}, 2, 0.5, 2, None),
        ({"status": 502, "body": "<html>"}, 2, 0.5, 2, None),
        ({"status": 503, "body": {"detail": "A little too busy"}}, 2, 0.5, 2, None),
        ({"status": 503, "headers": {"Retry-After": "9999"}, "body": ""}, 2, 0.5, 2, None),
        ({"status": 202, "body": {"query_status": {}}}, 2, 0.5, 2, None),
        ({"status": 101, "body": ""}, 2, 0.5, 2, None),
        ({"status": 200, "body": {**OK, "error": "it broke"}}, 2, 0.5, 2, None),
        ({"status": 200, "body": {**OK, "results": [[9]], "is_cached": True}}, 2, 0.5, 2, None),
        ({"status": 200, "body": {"columns": ["x"]}}, 2, 0.5, 2, None),
        ({"status": 200, "body": {**OK, "results": None}}, 2, 0.5, 2, None),
        ({"status": 200, "body": '{"results": [[9]], "columns": ["x"], "results": []}'},
         2, 0.5, 2, None),
        ({"status": 200, "body": '{"columns": ["x"], "results": [[1e999]]}'}, 2, 0.5, 2, None),
        # Believed.
        ({"status": 200, "body": {**OK, "hasMore": False}}, 1, 0, 0, None),
        ({"status": 200, "body": {**OK, "hasMore": None}}, 1, 0, 0, None),
        # Not asked again, and nothing else for a while.
        (later("61"), 1, 0, 0, (PostHogBusy, "limit of requests is used up")),
        (later("3600"), 1, 0, 0, (PostHogBusy, "60 minutes")),
        (later("999999999"), 1, 0, 0, (PostHogBusy, "60 minutes")),
        (later("2400", BUDGET), 1, 0, 0, (PostHogBusy, "read budget.*No budget.*40 minutes")),
        # Too much at once: the caller asks for less.
        ({"status": 504, "body": {"detail": "max execution time"}}, 1, 0, 0, (QueryTooBig, "max")),
        ({"status": 512, "body": {"detail": "Too long"}}, 1, 0, 0, (QueryTooBig, "Too long")),
        ({"status": 400, "body": {"code": "too_many_bytes"}}, 1, 0, 0, (QueryTooBig, "costly")),
        ({"status": 200, "body": {**OK, "hasMore": True}}, 1, 0, 0, (QueryTooBig, "has more")),
        ({"status": 200, "body": {**OK, "hasMore": "yes"}}, 1, 0, 0, (QueryTooBig, "has more")),
        # Not asked again.
        ({"status": 400, "body": {"code": "hogql_syntax_error"}}, 1, 0, 0, (PostHogDenied, "acc")),
        ({"status": 400, "body": {"code": "parse_error"}}, 1, 0, 0, (PostHogDenied, "accept")),
        ({"status": 401, "body": {}}, 1, 0, 0, (PostHogDenied, "does not know this key")),
        ({"status": 402, "body": {}}, 1, 0, 0, (PostHogDenied, "quota")),
        ({"status": 403, "body": {}}, 1, 0, 0, (PostHogDenied, "may not read")),
        ({"status": 404, "body": {}}, 1, 0, 0, (PostHogDenied, "no such project")),
        ({"status": 413, "body": "<html>"}, 1, 0, 0, (PostHogDenied, "status 413")),
        ({"status": 204, "body": ""}, 1, 0, 0, (PostHogDenied, "status 204")),
        ({"status": 301, "headers": {"Location": "/"}, "body": ""}, 1, 0, 0,
         (PostHogDenied, "status 301")),
        ({"status": 308, "headers": {"Location": "//x"}, "body": ""}, 1, 0, 0,
         (PostHogDenied, "status 308")),
    ],
)  # fmt: skip
def test_query_does_what_every_answer_asks_for(
    posthog: PostHogStandIn,
    fault: dict[str, Any],
    n_requests: int,
    least_wait: float,
    most_wait: float,
    expected: tuple[type[Exception], str] | None,
) -> None:
    asking = Asking(posthog)
    posthog.script([fault])
    if expected is None:
        assert asking.one().rows == [[1]]
    else:
        with pytest.raises(expected[0], match=expected[1]):
            asking.one()
    assert len(posthog.requests()) == n_requests
    assert len(asking.time.slept) == n_requests - 1
    assert all(least_wait <= wait <= most_wait for wait in asking.time.slept)


def test_query_fails_at_once_after_three_that_failed_and_then_asks_once_a_while(
    posthog: PostHogStandIn, tmp_path: Path
) -> None:
    asking = Asking(posthog)
    asking.client._gate = Gate(tmp_path)
    posthog.script([{"status": 503, "body": {"detail": "too busy"}, "repeat": 0}])
    for _ in range(3):
        with pytest.raises(PostHogBusy, match="failed 5 times"):
            asking.one()
    assert len(posthog.requests()) == 15
    for _ in range(20):
        with pytest.raises(PostHogBusy, match=r"too busy.*asked again in 15 seconds, at .* UTC"):
            asking.one()
    assert len(posthog.requests()) == 15
    asking.time.now += 15
    with pytest.raises(PostHogBusy, match=r"failed once.*too busy"):
        asking.one()
    with pytest.raises(PostHogBusy, match="asked again in 15 seconds"):
        asking.one()
    assert len(posthog.requests()) == 16
    posthog.reset()
    asking.time.now += 15
    assert [asking.one().rows for _ in range(3)] == [[[1]]] * 3


@pytest.mark.parametrize("fault", [{"status": 504, "body": {}}, {"status": 401, "body": {}}])
def test_query_that_was_decided_is_no_failure_of_the_source(
    posthog: PostHogStandIn, fault: dict[str, Any]
) -> None:
    asking = Asking(posthog)
    posthog.script([{**fault, "repeat": 4}])
    for _ in range(4):
        with pytest.raises((QueryTooBig, PostHogDenied)):
            asking.one()
    assert asking.one().rows == [[1]]


def test_query_is_not_sent_while_the_budget_is_used_up_by_whichever_process(
    posthog: PostHogStandIn, tmp_path: Path
) -> None:
    asking, other = Asking(posthog), Asking(posthog)
    asking.client._gate, other.client._gate = Gate(tmp_path), Gate(tmp_path)
    posthog.script([later("600", BUDGET)])
    with pytest.raises(PostHogBusy, match="10 minutes"):
        asking.one()
    for one in (asking, other):
        with pytest.raises(PostHogBusy, match=r"read budget.*asked again in 10 minutes, at"):
            one.one()
    assert len(posthog.requests()) == 1
    asking.time.now = other.time.now = 1600
    assert other.one().rows == asking.one().rows == [[1]]


def test_client_tells_where_processes_cannot_share_a_budget(
    posthog: PostHogStandIn, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    asking = Asking(posthog)
    asking.client._gate = Gate(tmp_path / "file" / "pace")
    asking.one()
    asking.one()
    assert len(asking.usage.notes) == 1
    assert "by this process alone" in asking.usage.notes[0]


def test_client_given_a_folder_shares_its_budget_there(
    posthog: PostHogStandIn, tmp_path: Path
) -> None:
    client = PostHogClient(Asking(posthog).settings, Usage(), folder=tmp_path / "pace")
    assert client.query(ONE, {"x": 1}, name="one").rows == [[1]]
    client.close()
    assert len(list((tmp_path / "pace").glob("*.record"))) == 1


def test_query_shows_no_control_characters_of_what_posthog_says(posthog: PostHogStandIn) -> None:
    posthog.script([{"status": 400, "body": {"detail": "a\x1b[31mred\u202e\ud800 end"}}])
    with pytest.raises(PostHogDenied, match=r"a \[31mred   end"):
        Asking(posthog).one()


def test_query_counts_what_it_used(posthog: PostHogStandIn) -> None:
    asking = Asking(posthog)
    posthog.script([{"status": 503, "body": {}}])
    text = "SELECT count() AS n FROM events LIMIT 50000"
    assert asking.client.query(text, {}, name="events").rows == [[1]]
    usage = asking.usage
    assert (usage.requests, usage.retries, usage.errors) == (2, 1, 1)
    sent = sum(asked["response_bytes"] for asked in posthog.requests())
    assert usage.bytes_received == sent
    assert usage.bytes_read == posthog.requests()[1]["bytes_read"]
    assert usage.budget_remaining_bytes is not None
    assert usage.budget_remaining_bytes > 0


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"status": 500, "body": {"detail": "ClickHouse error while executing query."}}, "500"),
        ({"status": 502, "body": "<html>Bad gateway</html>"}, "502"),
        ({"status": 503, "body": {"detail": "Queries are a little too busy"}}, "too busy"),
        ({"status": 202, "body": {"query_status": {"complete": False}}}, "202"),
        ({"disconnect": "before"}, "connection failed"),
        ({"disconnect": "after"}, "connection failed"),
        ({"reset": True, "disconnect": True}, "connection failed"),
        ({"truncate": 40}, "connection failed"),
        ({"truncate": 40, "no_length": True}, "cut or not JSON"),
        ({"truncate": 60, "no_length": True, "gzip": True}, "connection failed|cut or not JSON"),
        ({"status": 200, "body": "<html>hello</html>"}, "not JSON"),
        ({"status": 200, "body": "[1, 2]"}, "reports an error"),
        ({"status": 200, "body": '{"columns": ["x"], "results": [[NaN]]}'}, "not JSON"),
        ({"status": 200, "body": "[" * 200_000}, "not JSON"),
        ({"status": 200, "body": '{"columns": ["x"], "results": [[' + "9" * 5000 + "]]}"}, "JSON"),
        ({"drop_fields": ["results"]}, "without rows"),
        ({"drop_fields": ["columns"]}, "without columns"),
        ({"set_fields": {"results": [[1, 2]]}}, "without rows"),
        ({"set_fields": {"results": {"x": 1}}}, "without rows"),
        ({"set_fields": {"columns": [1]}}, "without columns"),
        ({"set_fields": {"error": "it broke"}}, "reports an error"),
    ],
)
def test_query_asks_again_after_a_fault_and_gives_up_after_five_tries(
    posthog: PostHogStandIn, fault: dict[str, Any], reason: str
) -> None:
    asking = Asking(posthog)
    posthog.script([fault, fault])
    assert asking.one().rows == [[1]]
    assert len(asking.time.slept) == 2
    assert all(0.5 <= wait <= 4 for wait in asking.time.slept)
    assert asking.usage.retries == 2

    posthog.reset()
    posthog.script([{**fault, "repeat": 5}])
    with pytest.raises(PostHogBusy, match=f"failed 5 times.*({reason})"):
        asking.one()
    assert len(posthog.requests()) == 5


def test_query_where_nothing_listens_gives_up(posthog: PostHogStandIn) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    asking = Asking(posthog, host=f"http://127.0.0.1:{port}")
    with pytest.raises(PostHogBusy, match="connection failed"):
        asking.one()
    assert len(asking.time.slept) == 4


def test_query_backs_off_ever_longer_with_jitter(posthog: PostHogStandIn) -> None:
    waits = []
    for _ in range(3):
        asking = Asking(posthog)
        posthog.script([{"status": 503, "body": {}, "repeat": 4}])
        asking.one()
        waits.append(asking.time.slept)
    assert all(0.5 <= wait <= 2.0**n for row in waits for n, wait in enumerate(row, 1))
    assert len({tuple(row) for row in waits}) == 3


@pytest.mark.parametrize("seconds", [1, 21, 60])
def test_query_waits_as_long_as_posthog_asks(posthog: PostHogStandIn, seconds: int) -> None:
    asking = Asking(posthog)
    posthog.script([{"status": 429, "headers": {"Retry-After": str(seconds)}, "body": {}}])
    assert asking.one().rows == [[1]]
    assert asking.time.slept == [seconds]


@pytest.mark.parametrize(
    "said", [None, "soon", "-5", "", "1.5", "Wed, 21 Oct 2015 07:28:00 GMT", "9" * 5000]
)
def test_query_backs_off_where_it_is_not_told_how_long(
    posthog: PostHogStandIn, said: str | None
) -> None:
    asking = Asking(posthog)
    headers = {} if said is None else {"Retry-After": said}
    posthog.script([{"status": 429, "headers": headers, "body": {"code": "throttled"}}])
    assert asking.one().rows == [[1]]
    (wait,) = asking.time.slept
    assert 0.5 <= wait <= 2


def test_query_does_not_wait_for_an_hour(posthog: PostHogStandIn) -> None:
    asking = Asking(posthog)
    body = {"code": "api_queries_budget_exceeded", "detail": "You are out of budget."}
    posthog.script([{"status": 429, "headers": {"Retry-After": "2400"}, "body": body}])
    with pytest.raises(PostHogBusy, match=r"read budget .*out of budget.* 40 minutes, at .*kept"):
        asking.one()
    assert asking.time.slept == []


def test_query_stops_at_its_deadline(
    posthog: PostHogStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posthog_client, "TOTAL_SECONDS", 100.0)
    asking = Asking(posthog)
    fault = {"status": 429, "headers": {"Retry-After": "45"}, "body": {}, "repeat": 0}
    posthog.script([fault])
    with pytest.raises(PostHogBusy, match="failed 3 times"):
        asking.one()
    assert asking.time.slept == [45, 45]


def test_query_gives_up_once_five_minutes_are_over(posthog: PostHogStandIn) -> None:
    asking = Asking(posthog)

    def sleep_long(_: float) -> None:
        asking.time.now += 200

    asking.client._sleep = sleep_long
    posthog.script([{"status": 503, "body": {}, "repeat": 0}])
    with pytest.raises(PostHogBusy, match="failed 3 times"):
        asking.one()


@pytest.mark.parametrize("status", [504, 512])
def test_query_that_is_too_costly_is_not_repeated(posthog: PostHogStandIn, status: int) -> None:
    asking = Asking(posthog)
    detail = "Query has hit the max execution time before completing."
    posthog.script([{"status": status, "body": {"detail": detail}}])
    with pytest.raises(QueryTooBig, match=r"too costly.*max execution time"):
        asking.one()
    assert len(posthog.requests()) == 1


def test_query_that_reads_too_many_bytes_is_too_big(posthog: PostHogStandIn) -> None:
    posthog.script([{"status": 400, "body": {"code": "too_many_bytes", "detail": "Too much"}}])
    with pytest.raises(QueryTooBig):
        Asking(posthog).one()


def test_query_with_as_many_rows_as_ever_given_is_never_believed(posthog: PostHogStandIn) -> None:
    asking = Asking(posthog)
    text = "SELECT number FROM numbers({n}) LIMIT 50000"
    assert len(asking.client.query(text, {"n": 49_999}, name="numbers").rows) == 49_999
    for n in (50_000, 50_001):
        with pytest.raises(QueryTooBig, match="50,000 rows"):
            asking.client.query(text, {"n": n}, name="numbers")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"api_key": "phx_wrong"}, "does not know this key.*scope query:read"),
        ({"api_key": PostHogStandIn.key_without_scope}, "scope query:read.*missing required scope"),
        ({"api_key": PostHogStandIn.key_of_other_project}, "access to the project.*ID 1"),
        ({"project_id": 99}, r"no such project.*posthog\.project_id.*without '\.i'"),
    ],
)
def test_query_that_is_not_allowed_says_what_to_do(
    posthog: PostHogStandIn, settings: dict[str, Any], words: str
) -> None:
    asking = Asking(posthog, **settings)
    with pytest.raises(PostHogDenied, match=words) as refused:
        asking.one()
    assert len(posthog.requests()) == 1
    assert asking.settings.api_key.get_secret_value() not in str(refused.value)
    assert asking.usage.errors == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("SELECT nope FROM events LIMIT 50000", "did not accept .*Unable to resolve field: nope"),
        ("SELECT FROM WHERE", "did not accept the question"),
    ],
)
def test_query_that_is_wrong_is_refused_at_once(
    posthog: PostHogStandIn, text: str, words: str
) -> None:
    with pytest.raises(PostHogDenied, match=words):
        Asking(posthog).client.query(text, {}, name="nonsense")
    assert len(posthog.requests()) == 1


@pytest.mark.parametrize(("status", "words"), [(402, "quota"), (413, "status 413"), (418, "418")])
def test_query_with_another_status_is_refused_at_once(
    posthog: PostHogStandIn, status: int, words: str
) -> None:
    posthog.script([{"status": status, "body": "no"}])
    with pytest.raises(PostHogDenied, match=words):
        Asking(posthog).one()
    assert len(posthog.requests()) == 1


def test_query_never_follows_a_redirect(posthog: PostHogStandIn) -> None:
    there = f"{posthog.url}/elsewhere"
    posthog.script([{"status": 307, "headers": {"Location": there}, "body": ""}])
    with pytest.raises(PostHogDenied, match=r"status 307.*Check posthog\.host"):
        Asking(posthog).one()
    assert len(posthog.requests()) == 1


def test_query_shows_the_first_line_of_what_posthog_says_without_key_or_email(
    posthog: PostHogStandIn,
) -> None:
    said = f"No luck with {posthog.api_key} and 'ann.lee+x@example.com' " + "x" * 500 + "\nSELECT"
    posthog.script([{"status": 400, "body": {"detail": said}}])
    with pytest.raises(PostHogDenied) as refused:
        Asking(posthog).one()
    words = str(refused.value)
    assert "No luck with *** and '***'" in words
    assert "SELECT" not in words
    assert len(words) < 400


def test_query_ignores_proxies_and_cookies(
    posthog: PostHogStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "")
    asking = Asking(posthog)
    posthog.script([{"headers": {"Set-Cookie": "a=b"}}])
    assert asking.one().rows == [[1]]
    assert len(asking.client._session.cookies) == 0


def test_query_ends_a_drip_at_the_seconds_one_request_may_take(posthog: PostHogStandIn) -> None:
    asking = Asking(posthog, timeout=1)
    asking.client._clock = time.monotonic
    posthog.script([{"drip_bytes": 5, "drip_seconds": 0.3}])
    began = time.monotonic()
    assert asking.one().rows == [[1]]
    assert time.monotonic() - began < 2.5
    assert asking.usage.errors == 1


@pytest.mark.parametrize("is_compressed", [True, False])
def test_query_ends_an_answer_that_grows_too_large(
    posthog: PostHogStandIn, monkeypatch: pytest.MonkeyPatch, *, is_compressed: bool
) -> None:
    monkeypatch.setattr(posthog_answers, "BODY_LIMIT", 1024**2)
    body = json.dumps({"columns": ["x"], "results": [["a" * 30_000_000]]})
    posthog.script([{"status": 200, "body": body, "gzip": is_compressed}])
    asking = Asking(posthog)
    with pytest.raises(QueryTooBig, match="larger than 1 MB"):
        asking.one()
    assert asking.usage.bytes_received < (100_000 if is_compressed else 2_000_000)


def test_query_reads_a_compressed_answer(posthog: PostHogStandIn) -> None:
    posthog.script([{"gzip": True}])
    assert Asking(posthog).one().rows == [[1]]


def test_read_asks_again_where_the_answer_is_not_what_was_asked(posthog: PostHogStandIn) -> None:
    def parse(answer: Answer) -> list[Any]:
        if answer.columns != ("x",):
            raise DataError("It has other columns.")
        return answer.rows[0]

    asking = Asking(posthog)
    posthog.script([{"set_fields": {"columns": ["y"]}}])
    assert asking.client.read(ONE, {"x": 7}, name="one", parse=parse) == [7]
    assert asking.usage.retries == 1
    posthog.script([{"set_fields": {"columns": ["y"]}, "repeat": 0}])
    with pytest.raises(PostHogBusy, match=r"another question.*other columns"):
        asking.client.read(ONE, {"x": 7}, name="one", parse=parse)


def test_queries_of_all_sessions_keep_their_distance_and_are_three_at_most(
    posthog: PostHogStandIn,
) -> None:
    settings = Asking(posthog).settings
    clients = [PostHogClient(settings, Usage()) for _ in range(3)]
    posthog.script([{"hold": 2.2}] * 5)

    def ask(number: int) -> Answer:
        return clients[number % 3].query(ONE, {"x": number}, name="one")

    with ThreadPoolExecutor(7) as pool:
        answers = list(pool.map(ask, range(7)))
    for client in clients:
        client.close()
    assert [answer.rows[0][0] for answer in answers] == list(range(7))
    asked = posthog.requests()
    starts = sorted(request["started"] for request in asked)
    gate = gate_for(settings.host, settings.project_id)
    assert len(gate._own.starts) == 7
    assert min(b - a for a, b in pairwise(gate._own.starts)) >= 0.5
    # The ledger sees the same, but for how long a busy machine lets a request lie.
    assert min(b - a for a, b in pairwise(starts)) >= 0.25
    assert (starts[-1] - starts[0]) / 6 >= 0.5
    at_once = [sum(r["started"] <= start < r["ended"] for r in asked) for start in starts]
    assert max(at_once) == 3


def test_client_keeps_its_key_out_of_what_is_printed(posthog: PostHogStandIn) -> None:
    asking = Asking(posthog)
    shown = repr([asking.client, asking.settings, asking.usage])
    assert posthog.api_key not in shown
