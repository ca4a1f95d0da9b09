"""Tests of the client against the stand-in: what it retries, refuses, waits for and never says."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pandas as pd
import pytest

from core.activity.source import Usage
from core.errors import DataError, PostHogBusy, PostHogDenied, QueryTooBig
from core.settings import PostHog
from core.sources import posthog_client
from core.sources.posthog_client import Answer, Gate, Limits, PostHogClient, gate_for
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
    with pytest.raises(PostHogBusy, match=r"read budget .* 40 minutes .*out of budget.*kept"):
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


def test_query_refuses_a_certificate_it_cannot_trust(posthog: PostHogStandIn) -> None:
    asking = Asking(posthog, host=posthog.url.replace("http://", "https://"))
    with pytest.raises(PostHogDenied, match="certificate"):
        asking.one()


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
    monkeypatch.setattr(posthog_client, "BODY_LIMIT", 1024**2)
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
    assert len(gate._starts) == 7
    assert min(b - a for a, b in pairwise(gate._starts)) >= 0.5
    # The ledger sees the same, but for how long a busy machine lets a request lie.
    assert min(b - a for a, b in pairwise(starts)) >= 0.25
    assert (starts[-1] - starts[0]) / 6 >= 0.5
    at_once = [sum(r["started"] <= start < r["ended"] for r in asked) for start in starts]
    assert max(at_once) == 3


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"per_minute": 3, "per_hour": 100}, [0, 0.5, 1, 60, 60.5, 61, 120]),
        ({"per_minute": 100, "per_hour": 2}, [0, 0.5, 3600, 3600.5]),
        ({"per_minute": 2, "per_hour": 3}, [0, 0.5, 60, 3600, 3600.5, 3660]),
    ],
)
def test_gate_keeps_to_the_limits_of_a_minute_and_an_hour(
    limits: dict[str, int], expected: list[float]
) -> None:
    gate, passing = Gate(), Unhurried()
    starts = []
    for _ in expected:
        with gate.passage(
            Limits(spacing=0.5, in_flight=3, **limits),
            deadline=1e9,
            clock=passing.clock,
            sleep=passing.sleep,
        ):
            starts.append(passing.now - 1000)
    assert starts == pytest.approx(expected)


def test_gate_counts_from_when_a_request_was_on_its_way() -> None:
    gate, passing = Gate(), Unhurried()
    limits = Limits(per_minute=99, per_hour=99, spacing=0.5, in_flight=2)

    def enter() -> Any:
        return gate.passage(limits, deadline=1e9, clock=passing.clock, sleep=passing.sleep)

    with enter() as is_sent:
        passing.now += 0.3  # a slow connection
        is_sent()
        with enter():  # others go on while the first is answered
            assert passing.now == pytest.approx(1000.8)
        passing.now += 7
        is_sent()  # once is enough
    with enter():
        assert passing.now == pytest.approx(1007.8)


def test_gate_does_not_wait_beyond_the_deadline() -> None:
    gate, passing = Gate(), Unhurried()
    limits = Limits(per_minute=9, per_hour=1, spacing=0.5, in_flight=3)

    def enter(deadline: float) -> Any:
        return gate.passage(limits, deadline=deadline, clock=passing.clock, sleep=passing.sleep)

    with enter(2000):
        pass
    with pytest.raises(PostHogBusy, match="60 minutes"), enter(2000):
        pass
    assert passing.slept == []
    with enter(5000):  # the refused one neither counted nor kept its place
        assert passing.now == 4600


def test_gate_gives_up_where_no_request_ends() -> None:
    gate = Gate()
    limits = Limits(per_minute=9, per_hour=9, spacing=0.0, in_flight=1)

    def enter(patience: float) -> Any:
        return gate.passage(
            limits, deadline=time.monotonic() + patience, clock=time.monotonic, sleep=time.sleep
        )

    with enter(5), pytest.raises(PostHogBusy, match="under way"), enter(0.05):
        pass
    with enter(5):
        pass


def test_gate_is_left_when_asking_fails() -> None:
    gate, passing = Gate(), Unhurried()
    limits = Limits(per_minute=99, per_hour=99, spacing=0.5, in_flight=1)
    for _ in range(3):
        passage = gate.passage(limits, deadline=1e9, clock=passing.clock, sleep=passing.sleep)
        with pytest.raises(KeyError), passage:
            raise KeyError


def test_gate_for_is_one_a_project() -> None:
    found: list[Gate] = []
    workers = [
        threading.Thread(target=lambda: found.append(gate_for("https://a", 1))) for _ in range(8)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(set(map(id, found))) == 1
    assert gate_for("https://a", 2) is not found[0]
    assert gate_for("https://b", 1) is not found[0]


def test_client_keeps_its_key_out_of_what_is_printed(posthog: PostHogStandIn) -> None:
    asking = Asking(posthog)
    shown = repr([asking.client, asking.settings, asking.usage])
    assert posthog.api_key not in shown
