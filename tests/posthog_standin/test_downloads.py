"""The file download API of the stand-in: orders, statuses, links and what the files hold."""

from __future__ import annotations

import io
import json
from urllib.parse import urlsplit

import pandas as pd
import pyarrow.parquet as pq
import pytest

from . import PostHogStandIn, Reply
from .worlds import SmallWorld

BASE = "/api/projects/1/file_download_batch_exports/"
ORDER = {
    "model": "events",
    "file": {"format": "Parquet", "compression": "zstd", "max_size_mb": 100},
    "data_interval_start": "2026-10-19T00:00:00Z",
    "data_interval_end": "2026-10-26T00:00:00Z",
    "include": ["purchase", "share"],
}
PERSONS = {**{name: ORDER[name] for name in ORDER if name != "include"}, "model": "persons"}


def ask(posthog: PostHogStandIn, method: str, path: str, body=None, *, key=None) -> Reply:
    headers = {"Authorization": f"Bearer {key or posthog.api_key}"}
    text = None if body is None else json.dumps(body).encode()
    return posthog.send(method, BASE + path, text, headers)


def order(posthog: PostHogStandIn, **changes) -> str:
    reply = ask(posthog, "POST", "", {**ORDER, **changes})
    assert reply.status == 202, reply.text
    return reply.body["id"]


def fetch(posthog: PostHogStandIn, run: str, part: str = "") -> pd.DataFrame:
    reply = ask(posthog, "GET", f"{run}/download{part}")
    assert reply.status == 302, reply.text
    file = posthog.send("GET", urlsplit(reply.headers["location"]).path)
    assert file.status == 200
    return pq.read_table(io.BytesIO(file.text)).to_pandas()


def test_a_run_holds_the_ordered_events_that_came_in_its_interval(posthog, world: SmallWorld):
    run = order(posthog)
    status = ask(posthog, "GET", f"{run}/").body
    start, end = pd.Timestamp("2026-10-19", tz="UTC"), pd.Timestamp("2026-10-26", tz="UTC")
    rows = world.unique
    true = rows[(rows["timestamp"] >= start) & (rows["timestamp"] < end)]
    true = true[true["event"].isin(ORDER["include"])]
    got = fetch(posthog, run)
    assert status["status"] == "Completed"
    assert (status["records_completed"], len(status["files"])) == (len(true), 1)
    assert sorted(got["uuid"]) == sorted(true["uuid"])
    assert set(got.columns) >= {"person_id", "person_properties", "_inserted_at", "created_at"}
    assert str(got["timestamp"].dt.tz) == "UTC"


def test_a_run_of_persons_holds_who_changed(posthog, world: SmallWorld):
    # the world's file does not say when, and then it was long ago
    interval = {
        "data_interval_start": "2020-01-01T00:00:00Z",
        "data_interval_end": "2020-01-02T00:00:00Z",
    }
    reply = ask(posthog, "POST", "", {**PERSONS, **interval})
    run = reply.body["id"]
    ask(posthog, "GET", f"{run}/")
    got = fetch(posthog, run)
    assert sorted(got["distinct_id"]) == sorted(world.persons["distinct_id"])
    known = dict(zip(world.persons["distinct_id"], world.persons["person_id"], strict=True))
    assert dict(zip(got["distinct_id"], got["person_id"], strict=True)) == known


def test_a_run_goes_as_scripted(posthog):
    posthog.script_exports({"statuses": ["Starting", "Running"], "parts": 3, "duplicate_rows": 2})
    run = order(posthog)
    said = [ask(posthog, "GET", f"{run}/").body for _ in range(3)]
    assert [one["status"] for one in said] == ["Starting", "Running", "Completed"]
    assert len(said[2]["files"]) == 3
    parts = [fetch(posthog, run, f"/{part}") for part in range(3)]
    assert sum(map(len, parts)) == said[2]["records_completed"]
    assert pd.concat(parts)["uuid"].duplicated().sum() == 2


def test_a_run_that_fails_keeps_failing_and_has_no_files(posthog):
    posthog.script_exports({"statuses": ["Running", "Failed"], "error": "Oh no"})
    run = order(posthog)
    said = [ask(posthog, "GET", f"{run}/").body for _ in range(3)]
    assert said[1:] == [{"status": "Failed", "error": "Oh no"}] * 2
    assert ask(posthog, "GET", f"{run}/download").status == 400


def test_a_run_without_rows_is_completed_without_files(posthog):
    run = order(posthog, include=["nothing like it"])
    said = ask(posthog, "GET", f"{run}/").body
    assert said == {"status": "Completed", "files": [], "records_completed": 0}
    assert ask(posthog, "GET", f"{run}/download").status == 404


def test_a_small_limit_splits_the_files(posthog):
    run = order(posthog, file={**ORDER["file"], "max_size_mb": 0})
    assert len(ask(posthog, "GET", f"{run}/").body["files"]) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"data_interval_end": "2026-10-26T00:00:01Z"},
        {"data_interval_end": "2026-10-18T00:00:00Z"},
        {
            "data_interval_start": "2126-10-19T00:00:00Z",
            "data_interval_end": "2126-10-20T00:00:00Z",
        },
        {"model": "sessions"},
        {"file": {"format": "JSONLines"}},
        {"unknown": 1},
    ],
)
def test_an_order_that_does_not_fit_is_refused(posthog, changes):
    assert ask(posthog, "POST", "", {**ORDER, **changes}).status == 400


def test_too_many_runs_are_refused_without_a_time(posthog):
    posthog.script_exports(*[{"statuses": ["Running"] * 9}] * 2, most=2)
    order(posthog)
    order(posthog)
    reply = ask(posthog, "POST", "", ORDER)
    assert (reply.status, reply.body["code"]) == (429, "too_many_concurrent_file_downloads")
    assert "retry-after" not in reply.headers


def test_keys_need_their_scopes(posthog):
    run = order(posthog)
    reply = ask(posthog, "POST", "", ORDER, key=posthog.key_without_scope)
    assert (reply.status, "batch_export:write" in reply.body["detail"]) == (403, True)
    reply = ask(posthog, "GET", f"{run}/", key=posthog.secret_key)
    assert (reply.status, "batch_export:read" in reply.body["detail"]) == (403, True)
    assert posthog.send("GET", f"{BASE}{run}/").status == 401


def test_a_link_serves_once_and_asks_for_no_key(posthog):
    run = order(posthog)
    ask(posthog, "GET", f"{run}/")
    link = urlsplit(ask(posthog, "GET", f"{run}/download/0/").headers["location"]).path
    assert [posthog.send("GET", link).status for _ in range(2)] == [200, 403]
    asked = posthog.requests()
    assert [entry["has_authorization"] for entry in asked] == [True, True, True, False, False]


def test_a_run_nobody_ordered_is_not_found(posthog):
    assert ask(posthog, "GET", "00000000-0000-0000-0000-000000000000/").status == 404


def test_other_endpoints_have_limits_of_their_own(posthog):
    posthog.set_limits(other_rates=((2, 60.0),))
    run = order(posthog)
    assert [ask(posthog, "GET", f"{run}/").status for _ in range(2)] == [200, 429]
    assert posthog.query("SELECT 1").status == 200
