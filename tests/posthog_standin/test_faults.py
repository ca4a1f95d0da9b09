"""Scripted faults, the ledger, and the life of the process."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import time
from pathlib import Path

import pytest

from . import PostHogStandIn
from .worlds import SmallWorld

TEN = "SELECT number FROM numbers(10) LIMIT 100"


def test_fault_status_body_and_headers_are_used_up_by_one_query(posthog):
    body = {"type": "throttled_error", "code": "throttled", "detail": "later", "attr": None}
    posthog.script([{"status": 429, "headers": {"Retry-After": "1"}, "body": body}])
    first, second = posthog.query("SELECT 1"), posthog.query("SELECT 1")
    assert (first.status, first.headers["retry-after"], first.body) == (429, "1", body)
    assert second.status == 200


def test_faults_come_in_order(posthog):
    posthog.script([{"status": 502, "body": "bad gateway"}, {"status": 503, "body": {}}])
    posthog.script([{"status": 500, "body": None}])
    replies = [posthog.query("SELECT 1") for _ in range(4)]
    assert [reply.status for reply in replies] == [502, 503, 500, 200]
    assert replies[0].text == b"bad gateway"


def test_fault_with_match_waits_for_its_query(posthog):
    posthog.script([{"match": "purchase", "status": 500, "name": "the purchase one"}])
    assert posthog.query("SELECT 1").status == 200
    assert posthog.query("SELECT 'purchase'").status == 500
    assert [request["fault"] for request in posthog.requests()] == [None, "the purchase one"]


def test_fault_repeats_as_often_as_told(posthog):
    posthog.script([{"status": 500, "repeat": 2}])
    assert [posthog.query("SELECT 1").status for _ in range(3)] == [500, 500, 200]
    posthog.script([{"status": 500, "repeat": 0}])
    assert [posthog.query("SELECT 1").status for _ in range(3)] == [500, 500, 500]
    posthog.reset()
    assert posthog.query("SELECT 1").status == 200


def test_fault_truncate_cuts_the_body_short(posthog):
    posthog.script([{"truncate": 100}])
    with pytest.raises(http.client.IncompleteRead) as caught:
        posthog.query(TEN)
    assert len(caught.value.partial) == 100


def test_fault_truncate_without_length_ends_silently(posthog):
    posthog.script([{"truncate": 100, "no_length": True}])
    reply = posthog.query(TEN)
    assert len(reply.text) == 100
    assert "content-length" not in reply.headers


@pytest.mark.parametrize("when", [True, "before", "after"])
def test_fault_disconnect_closes_without_an_answer(posthog, when):
    posthog.script([{"disconnect": when}])
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        posthog.query(TEN)
    [request] = posthog.requests()
    assert request["status"] is None
    assert (request["bytes_read"] is not None) == (when == "after")


def test_fault_reset_ends_the_connection_hard(posthog):
    posthog.script([{"disconnect": True, "reset": True}])
    with pytest.raises(ConnectionResetError):
        posthog.query(TEN)


def test_fault_delay_shows_in_the_ledger(posthog):
    posthog.script([{"delay": 0.2}])
    assert posthog.query(TEN).status == 200
    [request] = posthog.requests()
    assert request["ended"] - request["started"] >= 0.2


def test_fault_drip_sends_piece_by_piece(posthog):
    posthog.script([{"drip_bytes": 200, "drip_seconds": 0.05}])
    started = time.monotonic()
    reply = posthog.query(TEN)
    assert reply.body["results"] == [[n] for n in range(10)]
    assert time.monotonic() - started >= 0.05 * (len(reply.text) // 200)


def test_fault_gzip_compresses(posthog):
    posthog.script([{"gzip": True}])
    reply = posthog.query(TEN)
    assert reply.headers["content-encoding"] == "gzip"
    assert json.loads(gzip.decompress(reply.text))["results"][-1] == [9]


def test_fault_pad_unpacks_to_much_more(posthog):
    posthog.script([{"gzip": True, "pad": 5_000_000}])
    reply = posthog.query(TEN)
    assert len(reply.text) < 50_000
    assert len(gzip.decompress(reply.text)) > 5_000_000


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({"rows_clamp": 4}, [0, 1, 2, 3]),
        ({"drop_rows": 8}, [0, 1]),
        ({"rows_clamp": 2, "duplicate_rows": 1}, [0, 1, 0]),
        ({"rows_clamp": 1, "append_rows": [[99]]}, [0, 99]),
    ],
)
def test_fault_changes_rows_silently(posthog, fault, expected):
    posthog.script([fault])
    body = posthog.query(TEN).body
    assert [row[0] for row in body["results"]] == expected
    assert body["hasMore"] is None
    assert posthog.requests()[0]["rows"] == len(expected)


def test_fault_changes_fields(posthog):
    posthog.script([{"set_fields": {"results": None}}, {"drop_fields": ["results", "types"]}])
    assert posthog.query(TEN).body["results"] is None
    assert not {"results", "types"} & set(posthog.query(TEN).body)
    posthog.script([{"set_fields": {"columns": ["other"]}}])
    body = posthog.query(TEN).body
    assert (body["columns"], len(body["results"])) == (["other"], 10)


def test_fault_run_anyway_charges_the_query_it_fails(posthog):
    posthog.script([{"status": 500, "run_anyway": True}])
    assert posthog.query(TEN).status == 500
    [request] = posthog.requests()
    assert request["bytes_read"] > 0


def test_fault_merge_comes_just_before_the_query(world: SmallWorld):
    with PostHogStandIn(events=world.events_glob, persons=world.persons_glob) as posthog:
        text = "SELECT DISTINCT person_id FROM events WHERE distinct_id = 'u_41' LIMIT 2"
        [[before]] = posthog.query(text).body["results"]
        new = "11111111-1111-4111-8111-111111111111"
        posthog.script([{"merge": {"distinct_id": "u_41", "person_id": new}}])
        [[after]] = posthog.query(text).body["results"]
        assert before != after == new


def test_fault_unknown_key_is_refused(posthog):
    with pytest.raises(RuntimeError, match="no such fault key: tyop"):
        posthog.script([{"tyop": 1}])


# --- ledger --------------------------------------------------------------------------------------


def test_requests_tell_what_was_asked(posthog):
    values = {"ids": ["a", "b", "c"], "text": "four", "n": 7}
    body = {
        "query": {
            "kind": "HogQLQuery",
            "query": "SELECT {ids}, {text}, {n} LIMIT 1",
            "values": values,
            "name": "sizes",
        },
        "refresh": "force_blocking",
        "client_query_id": "id-1",
    }
    reply = posthog.post(body)
    [request] = posthog.requests()
    assert request["query"] == body["query"]["query"]
    assert request["values"] == {"ids": 3, "text": 4, "n": 1}
    assert (request["name"], request["client_query_id"]) == ("sizes", "id-1")
    assert (request["refresh"], request["kind"]) == ("force_blocking", "HogQLQuery")
    assert (request["status"], request["rows"], request["code"]) == (200, 1, None)
    assert request["response_bytes"] == len(reply.text)
    assert request["request_bytes"] == len(json.dumps(body))
    assert request["started"] <= request["ended"] <= time.monotonic()
    assert posthog.api_key not in json.dumps(posthog.requests())


def test_requests_hold_refusals_too_and_reset_forgets(posthog):
    posthog.query("SELECT nope FROM events")
    posthog.post(b"garbage")
    posthog.post({"query": {}}, key=None)
    codes = [request["code"] for request in posthog.requests()]
    assert codes == ["hogql_query_error", "parse_error", "not_authenticated"]
    posthog.reset()
    assert posthog.requests() == []


def test_control_refuses_what_it_does_not_know(posthog):
    assert posthog.send("POST", "/__control__/dance", b"{}").status == 404
    with pytest.raises(RuntimeError, match="unexpected keyword"):
        posthog.set_limits(plces=1)


# --- process -------------------------------------------------------------------------------------


def test_process_ends_with_the_block_and_leaves_nothing(world: SmallWorld):
    with PostHogStandIn(events=world.events_glob) as posthog:
        process, directory = posthog._process, Path(posthog._directory.name)
        assert posthog.query("SELECT 1").status == 200
        assert process.poll() is None
    assert process.returncode is not None
    assert not directory.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)


def test_process_that_cannot_start_says_why(tmp_path: Path):
    standin = PostHogStandIn(events=tmp_path / "*.parquet")
    with pytest.raises(RuntimeError, match="no file matches"):
        standin.__enter__()
    assert standin._process is None
    assert standin._directory is None


def test_process_takes_its_limits_from_arguments(world: SmallWorld):
    limits = {"rates": [(1, 60)], "max_rows": 5, "seconds": 2.5}
    with PostHogStandIn(events=world.events_glob, limits=limits, project_id=7) as posthog:
        reply = posthog.query("SELECT uuid FROM events LIMIT 50")
        assert len(reply.body["results"]) == 5
        assert posthog.query("SELECT 1").status == 429
        assert posthog.project_id == 7
