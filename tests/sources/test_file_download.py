"""Downloads against the stand-in: exact, or it is said what is missing; never half, never twice."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.activity.source import Hole, Period
from core.downloading import Dates, in_words, orders_of
from core.errors import ConfigError, ExportError, PostHogBusy, PostHogDenied, PostHogError
from core.settings import Settings
from core.sources import file_download, file_download_files, room
from core.sources.file_download import weeks_between
from core.sources.file_download_files import checked_link
from core.sources.file_download_folder import DownloadFolder, holes_in
from core.span import to_ms
from tests.posthog_standin import PostHogStandIn
from tests.sources.download_child import start_child
from tests.sources.download_world import (
    DATES,
    FIRST,
    METRICS,
    N_WEEKS,
    NOW,
    START,
    Unhurried,
    content_of,
    expected_rows,
    held_rows,
    rows_in,
    run,
    settings_for,
    standin,
    write_world,
)

KILLS = 10


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("download-world")


@pytest.fixture(scope="module")
def events(root: Path) -> pd.DataFrame:
    return write_world(root)


@pytest.fixture(scope="module")
def running(root: Path, events: pd.DataFrame) -> Iterator[PostHogStandIn]:
    with standin(root) as posthog:
        yield posthog


@pytest.fixture
def posthog(running: PostHogStandIn) -> PostHogStandIn:
    running.reset()
    return running


@pytest.fixture
def settings(posthog: PostHogStandIn, root: Path) -> Settings:
    return settings_for(posthog, root)


@pytest.fixture(scope="module")
def whole(running: PostHogStandIn, root: Path, events: pd.DataFrame) -> Path:
    """A folder as a download that met no trouble leaves it."""
    running.reset()
    run(settings_for(running, root), root / "whole")
    return root / "whole"


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "copy"))


# --- what is fetched ---------------------------------------------------------------------------


def test_download_holds_every_row_that_came(whole, events):
    assert held_rows(whole) == expected_rows(events)
    assert len(list(whole.rglob("*.parquet"))) == N_WEEKS


def test_download_keeps_of_properties_only_the_email(whole):
    rows = rows_in(whole)
    assert "properties" not in rows
    assert set(rows["person_properties"].map(json.loads).map(tuple)) == {("email",)}
    assert rows["person_properties"].str.contains("U7@x.com").any()
    persons = rows_in(whole, "persons")
    assert set(persons["properties"].map(json.loads).map(tuple)) == {("email",)}
    assert not any(b"not to be kept" in content for content in content_of(whole).values())


def test_download_keeps_its_files_to_its_owner(whole):
    modes = {oct(file.stat().st_mode & 0o777) for file in whole.rglob("*.parquet")}
    assert modes == {"0o600"}
    assert whole.stat().st_mode & 0o777 == 0o700


def test_download_of_several_files_a_week_gives_the_same_bytes(posthog, settings, whole, tmp_path):
    posthog.script_exports(*[{"parts": 3}] * N_WEEKS)
    run(settings, tmp_path)
    assert content_of(tmp_path) == content_of(whole)


def test_download_sends_no_key_to_where_the_files_are(posthog, settings, tmp_path):
    run(settings, tmp_path)
    asked = posthog.requests()
    of_files = [entry for entry in asked if entry["path"].startswith("/signed-bucket/")]
    assert len(of_files) == N_WEEKS
    assert not any(entry["has_authorization"] for entry in of_files)
    assert all(entry["has_authorization"] for entry in asked if entry not in of_files)


def test_download_orders_tracked_events_and_triggers_by_weeks(posthog, settings, root, tmp_path):
    automations = tmp_path / "automations"
    automations.mkdir()
    trigger = {"id": "a", "name": "A", "trigger": {"event": "Offer Created"}}
    (automations / "a.json").write_text(json.dumps(trigger))
    folder = settings.automations.model_copy(update={"dir": automations})
    run(settings.model_copy(update={"automations": folder}), tmp_path / "out")
    ordered = posthog.orders()
    of_events = [one for one in ordered if one["model"] == "events"]
    names = sorted({*METRICS["trades"], *METRICS["interest"], "Offer Created"})
    assert {tuple(one["include"]) for one in of_events} == {tuple(names)}
    assert {one.get("include") for one in ordered if one["model"] == "persons"} == {None}
    starts = [datetime.fromisoformat(one["data_interval_start"]) for one in of_events]
    assert starts == [FIRST + timedelta(weeks=week) for week in range(3)]
    assert {one.weekday() for one in starts} == {0}


def test_orders_reach_back_to_the_baseline_and_on_until_late_events_came(settings):
    dates = Dates(since=date(2026, 6, 17), until=date(2026, 6, 24), persons_since=date(2026, 1, 7))
    orders = orders_of(settings, dates, NOW)
    of_events = [one for one in orders if one.model == "events"]
    # 17 June less a day and another; 24 June and 48 hours after it and 72 to settle
    assert of_events[0].start == datetime(2026, 6, 15, tzinfo=UTC)
    assert of_events[-1].end == datetime(2026, 6, 29, tzinfo=UTC)
    of_persons = [one for one in orders if one.model == "persons"]
    assert of_persons[0].start == datetime(2026, 1, 5, tzinfo=UTC)
    assert of_persons[-1].end == datetime(2026, 9, 30, 11, 59, tzinfo=UTC)


def test_orders_by_default_are_those_of_analyze(settings):
    orders = orders_of(settings, Dates(), NOW)
    first = NOW - timedelta(days=60 + 1 + 1)
    assert orders[0].start <= first < orders[0].start + timedelta(weeks=1)
    ends = {orders[-1].end, max(one.end for one in orders if one.model == "events")}
    assert ends == {datetime(2026, 9, 30, 11, 59, tzinfo=UTC)}


def test_weeks_between_are_whole_and_meet():
    weeks = weeks_between("events", datetime(2026, 9, 9, 5, tzinfo=UTC), NOW, ("a",))
    assert [week.start for week in weeks[1:]] == [week.end for week in weeks[:-1]]
    assert weeks[0].start == START
    assert weeks[-1].end == NOW
    assert all(week.end - week.start <= timedelta(weeks=1) for week in weeks)


def test_download_of_weeks_without_rows_leaves_empty_files(posthog, settings, tmp_path):
    dates = Dates(since=date(2026, 7, 22), until=date(2026, 7, 23))
    done = run(settings, tmp_path, dates=dates, now=datetime(2026, 7, 30, tzinfo=UTC))
    assert (done.n_rows, done.failed) == (0, ())
    assert rows_in(tmp_path).empty
    assert rows_in(tmp_path, "persons").empty


# --- what a later run does ----------------------------------------------------------------------


def test_download_again_soon_orders_nothing(posthog, settings, copy):
    before = content_of(copy)
    done = run(settings, copy, now=NOW + timedelta(minutes=50))
    assert (done.n_fetched, posthog.orders()) == (0, [])
    assert content_of(copy) == before


def test_download_again_later_orders_only_what_had_not_settled(posthog, settings, copy):
    # on Wednesday noon the week before ended less than 72 hours ago
    done = run(settings, copy, now=NOW + timedelta(hours=2))
    starts = {(one["model"], one["data_interval_start"][:10]) for one in posthog.orders()}
    assert starts == {
        (model, start) for model in ("events", "persons") for start in ("2026-09-21", "2026-09-28")
    }
    assert done.n_fetched == 4


def test_download_with_another_event_orders_every_week_of_events(posthog, settings, copy):
    metrics = {**METRICS, "more": ["Untracked"]}
    run(settings.model_copy(update={"metrics": metrics}), copy)
    assert [one["model"] for one in posthog.orders()] == ["events"] * 3
    assert {event for _, event in held_rows(copy)} == {
        "Trade Confirmed", "$pageview", "it's {odd}", "Untracked",
    }  # fmt: skip


def test_download_until_an_earlier_day_never_holds_less(posthog, settings, copy):
    later = NOW + timedelta(hours=2)
    run(settings, copy, dates=Dates(since=DATES.since, until=date(2026, 9, 25)), now=later)
    weeks = {week.start: week for week in _weeks(copy) if week.model == "events"}
    assert weeks[datetime(2026, 9, 28, tzinfo=UTC)].end == datetime(2026, 9, 30, 11, 59, tzinfo=UTC)


def test_download_fetches_a_changed_file_again(posthog, settings, copy, whole):
    file = copy / "events" / "2026-09-14.parquet"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    (copy / "persons" / "2026-09-21.parquet").unlink()
    done = run(settings, copy)
    assert len(posthog.orders()) == 2
    assert len(done.notices) == 2
    assert content_of(copy) == content_of(whole)


@pytest.mark.parametrize("text", ["", "{", '{"schema_version": 9}'])
def test_download_with_a_damaged_list_fetches_everything_again(
    posthog, settings, copy, whole, text
):
    (copy / "download.json").write_text(text)
    done = run(settings, copy)
    assert len(posthog.orders()) == N_WEEKS
    assert "damaged" in done.notices[0]
    assert content_of(copy) == content_of(whole)


def test_download_into_the_folder_of_another_project_is_refused(posthog, root, copy):
    with pytest.raises(ConfigError, match="holds a download of project 1"):
        run(settings_for(posthog, root, project_id=2), copy)


def test_download_beside_another_is_refused(posthog, settings, copy):
    own = DownloadFolder(copy, host=posthog.url, project_id=1)
    with own.alone(), pytest.raises(ConfigError, match="Another download is at work"):
        run(settings, copy)


def test_download_without_posthog_says_what_to_set(settings, tmp_path):
    with pytest.raises(ConfigError, match=r"\[posthog\]"):
        run(settings.model_copy(update={"posthog": None}), tmp_path)


# --- how an export goes -------------------------------------------------------------------------


def test_download_looks_slower_while_nothing_happens(posthog, settings, tmp_path):
    time = Unhurried()
    posthog.script_exports(*[{"statuses": ["Starting", *["Running"] * 8]}] * N_WEEKS)
    run(settings, tmp_path, time=time)
    assert min(time.slept) == 2.0
    assert max(time.slept) == 5.0
    assert sorted(time.slept[:5]) == time.slept[:5]


def test_download_keeps_to_as_many_as_posthog_allows(posthog, settings, whole, tmp_path):
    posthog.script_exports(*[{"statuses": ["Running"]}] * N_WEEKS, most=1)
    run(settings, tmp_path)
    assert content_of(tmp_path) == content_of(whole)
    assert 429 in {entry["status"] for entry in posthog.requests()}
    assert len(posthog.orders()) == N_WEEKS


def test_download_gives_up_where_others_hold_every_place(posthog, settings, tmp_path, monkeypatch):
    monkeypatch.setattr(file_download, "RUN_SECONDS", 60.0)
    posthog.script_exports(most=0)
    with pytest.raises(PostHogBusy, match="as many exports"):
        run(settings, tmp_path)


def test_download_gives_up_an_export_that_never_ends_and_picks_it_up(
    posthog, settings, whole, tmp_path, monkeypatch
):
    monkeypatch.setattr(file_download, "RUN_SECONDS", 60.0)
    posthog.script_exports({"statuses": ["Running"] * 24})
    with pytest.raises(PostHogBusy, match=r"events of 2026-09-14 .* picked up"):
        run(settings, tmp_path)
    run(settings, tmp_path)
    assert content_of(tmp_path) == content_of(whole)
    assert len(posthog.orders()) == N_WEEKS


@pytest.mark.parametrize("status", ["Failed", "Terminated", "TimedOut", "Cancelled"])
def test_download_names_a_week_that_failed_and_keeps_the_others(
    posthog, settings, whole, tmp_path, status
):
    script = {
        "match": '_start": "2026-09-14',
        "statuses": ["Running", status],
        "error": "Of a@b.c: no",
    }
    posthog.script_exports(script)
    done = run(settings, tmp_path)
    (sentence,) = done.failed
    assert "events of 2026-09-14 to 2026-09-21" in sentence
    assert status in sentence
    assert "a@b.c" not in sentence
    expected = content_of(whole)
    del expected["events/2026-09-14.parquet"]
    assert content_of(tmp_path) == expected
    assert "Missing: The events of 2026-09-14" in in_words(done, tmp_path)
    assert run(settings, tmp_path).failed == ()
    assert content_of(tmp_path) == content_of(whole)


def test_download_of_nothing_but_failures_is_an_error(posthog, settings, tmp_path):
    posthog.script_exports(*[{"statuses": ["Failed"]}] * N_WEEKS)
    with pytest.raises(PostHogError, match="could not be had"):
        run(settings, tmp_path)


def test_download_orders_again_what_can_be_retried(posthog, settings, whole, tmp_path):
    posthog.script_exports({"statuses": ["FailedRetryable"]}, {"statuses": ["FailedRetryable"]})
    assert run(settings, tmp_path).failed == ()
    assert content_of(tmp_path) == content_of(whole)
    assert len(posthog.orders()) == N_WEEKS + 2


def test_download_orders_a_week_only_so_often(posthog, settings, tmp_path):
    script = {"match": '_start": "2026-09-21', "statuses": ["FailedRetryable"]}
    posthog.script_exports(*[script] * 6)
    done = run(settings, tmp_path)
    assert "was ordered 3 times" in done.failed[0]
    assert len(posthog.orders()) == N_WEEKS + 2 * len(done.failed)


def test_download_orders_again_what_posthog_no_longer_has(posthog, settings, whole, tmp_path):
    posthog.script_exports({"expired": True})
    assert run(settings, tmp_path).failed == ()
    assert content_of(tmp_path) == content_of(whole)
    assert len(posthog.orders()) == N_WEEKS + 1


def test_download_orders_again_an_export_that_posthog_forgot(posthog, settings, whole, tmp_path):
    posthog.script([{"match": "GET /api", "status": 404, "body": {"detail": "Not found."}}])
    assert run(settings, tmp_path).failed == ()
    assert content_of(tmp_path) == content_of(whole)


# --- what a file may be -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ({"lose_rows": 1}, "PostHog wrote"),
        ({"records": 7}, "PostHog wrote 7 rows"),
        ({"other_events": True}, "of other events"),
        ({"shift_days": -1}, "of another time"),
        ({"shift_days": 1, "records": -1}, "of another time"),
        ({"drop_column": "uuid"}, "without a column 'uuid'"),
        ({"drop_column": "person_id"}, "without a column 'person_id'"),
        ({"drop_column": "_inserted_at"}, "without a column '_inserted_at'"),
    ],
)
def test_download_refuses_rows_that_were_not_ordered(
    posthog, settings, whole, tmp_path, script, why
):
    match = '"events", "file": {"format": "Parquet", "compression": "zstd", "max_size_mb": 256}, '
    match += '"data_interval_start": "2026-09-14'
    posthog.script_exports(*[{**script, "match": match}] * 3)
    done = run(settings, tmp_path)
    assert why in done.failed[0]
    expected = content_of(whole)
    del expected["events/2026-09-14.parquet"]
    assert content_of(tmp_path) == expected
    assert run(settings, tmp_path).failed == ()
    assert content_of(tmp_path) == content_of(whole)


def test_download_takes_rows_that_stand_twice(posthog, settings, events, tmp_path):
    posthog.script_exports({"duplicate_rows": 5})
    run(settings, tmp_path)
    held = held_rows(tmp_path)
    assert len(held) == len(expected_rows(events)) + 5
    assert set(held) == set(expected_rows(events))


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 403, "body": "<Error><Code>AccessDenied</Code></Error>"},
        {"status": 404, "body": "<Error/>"},
        {"status": 503, "body": "<Error><Code>SlowDown</Code></Error>"},
        {"disconnect": "before"},
        {"disconnect": "after", "reset": True},
        {"truncate": 500},
        {"headers": {"Content-Length": "100000"}, "truncate": 400},
        {"headers": {"x-amz-checksum-sha256": "bm90IHRoZSBzdW0="}},
    ],
)
def test_download_asks_for_a_new_link_after_a_fault(posthog, settings, whole, tmp_path, fault):
    posthog.script([{**fault, "match": "/signed-bucket/"}])
    assert run(settings, tmp_path).failed == ()
    assert content_of(tmp_path) == content_of(whole)
    links = [entry for entry in posthog.requests() if "/download/" in entry["path"]]
    assert len(links) == N_WEEKS + 1
    assert len(posthog.orders()) == N_WEEKS


@pytest.mark.parametrize("body", ["", "PAR1", "PAR1 not Parquet at all PAR1", "<html>no</html>"])
def test_download_orders_again_what_is_no_parquet(posthog, settings, whole, tmp_path, body):
    posthog.script([{"match": "/signed-bucket/", "status": 200, "body": body}])
    assert run(settings, tmp_path).failed == ()
    assert content_of(tmp_path) == content_of(whole)
    assert len(posthog.orders()) == N_WEEKS + 1


def test_download_of_a_file_cut_without_a_length_is_refused(posthog, settings, whole, tmp_path):
    posthog.script([{"match": "/signed-bucket/", "truncate": 900, "no_length": True}])
    assert run(settings, tmp_path).failed == ()
    assert content_of(tmp_path) == content_of(whole)


def test_download_refuses_a_file_larger_than_any(posthog, settings, tmp_path, monkeypatch):
    monkeypatch.setattr(file_download_files, "FILE_LIMIT", 1_000)
    with pytest.raises(ExportError, match="It was not fetched"):
        run(settings, tmp_path)
    assert _left_over(tmp_path) == []


def test_download_refuses_a_file_that_grows_beyond_any(posthog, settings, tmp_path, monkeypatch):
    monkeypatch.setattr(file_download_files, "FILE_LIMIT", 1_000)
    posthog.script([{"match": "/signed-bucket/", "no_length": True, "repeat": 0}])
    with pytest.raises(ExportError, match="It was not fetched"):
        run(settings, tmp_path)


# --- where a file may come from -----------------------------------------------------------------


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/x",
        "https://amazonaws.com.evil.example/x",
        "https://notamazonaws.com/x",
        "http://bucket.s3.amazonaws.com/x",
        "https://user@bucket.s3.amazonaws.com/x",
        "https://bucket.s3.amazonaws.com:8443/x",
        "https://169.254.169.254/latest/meta-data",
        "https://[::ffff:169.254.169.254]/x",
        "file:///etc/passwd",
        "//evil.example/x",
        "/relative",
        "",
        "https://[broken/x",
    ],
)
def test_download_refuses_a_link_to_another_place(posthog, settings, tmp_path, link):
    posthog.script([{"match": "/download/", "headers": {"Location": link}}])
    with pytest.raises(PostHogDenied, match="redirect"):
        run(settings, tmp_path)
    assert not any("/signed-bucket/" in entry["path"] for entry in posthog.requests())


def test_checked_link_takes_posthogs_storage_and_named_hosts(posthog, root):
    settings = settings_for(posthog, root, host="https://us.posthog.com").posthog
    link = "https://Bucket.s3.us-east-1.amazonaws.com/key?X-Amz-Signature=1"
    assert checked_link(link, settings) == link
    own = settings_for(posthog, root, download_hosts=("storage.example",)).posthog
    assert checked_link("https://storage.example/x", own) == "https://storage.example/x"
    with pytest.raises(PostHogDenied):
        checked_link(link, own)


def test_checked_link_takes_loopback_only_where_posthog_is_there(posthog, root):
    settings = settings_for(posthog, root, host="https://us.posthog.com").posthog
    with pytest.raises(PostHogDenied, match="download_hosts"):
        checked_link("http://127.0.0.1:8123/x", settings)


def test_download_follows_no_redirect_of_the_files_host(posthog, settings, tmp_path):
    onward = {"status": 302, "headers": {"Location": f"{posthog.url}/api/stolen"}}
    posthog.script([{**onward, "match": "/signed-bucket/"}])
    with pytest.raises(PostHogDenied, match="not followed"):
        run(settings, tmp_path)
    assert not any("stolen" in entry["path"] for entry in posthog.requests())


def test_download_says_nothing_of_links_and_keys(posthog, settings, tmp_path):
    posthog.script([{"match": "/signed-bucket/", "disconnect": "before", "repeat": 0}])
    with pytest.raises(PostHogBusy) as caught:
        run(settings, tmp_path)
    told = ""
    error: BaseException | None = caught.value
    while error is not None:
        told += str(error)
        error = error.__cause__
    assert "signed-bucket" not in told
    assert posthog.api_key not in told


def test_download_ignores_proxies_of_the_environment(posthog, settings, tmp_path, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    assert run(settings, tmp_path).n_fetched == N_WEEKS


# --- what PostHog may answer --------------------------------------------------------------------


def test_download_without_the_scope_says_which(posthog, root, tmp_path):
    settings = settings_for(posthog, root, api_key=posthog.key_without_scope)
    with pytest.raises(PostHogDenied, match="batch_export:write"):
        run(settings, tmp_path)


@pytest.mark.parametrize(("status", "word"), [(400, "accept"), (401, "key"), (402, "quota")])
def test_download_does_not_repeat_what_is_refused(posthog, settings, tmp_path, status, word):
    posthog.script([{"match": "POST", "status": status, "body": {"detail": "No, a@b.c"}}])
    with pytest.raises(PostHogDenied, match=word) as caught:
        run(settings, tmp_path)
    assert "a@b.c" not in str(caught.value)
    assert len(posthog.requests()) == 1


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500, "body": {"detail": "The batch export failed to start."}},
        {"status": 502, "body": "<html>"},
        {"status": 409, "body": {"detail": "Try again"}},
        {"status": 429, "body": {"code": "throttled"}, "headers": {"Retry-After": "7"}},
        {"status": 429, "body": {"code": "throttled"}},
        {"disconnect": "before"},
        {"truncate": 10},
    ],
)
def test_download_asks_posthog_again_after_a_fault(posthog, settings, whole, tmp_path, fault):
    time = Unhurried()
    posthog.script([{**fault, "match": what} for what in ("POST", "/download/", "GET /api")])
    assert run(settings, tmp_path, time=time).failed == ()
    assert content_of(tmp_path) == content_of(whole)
    assert ("Retry-After" not in fault.get("headers", {})) or 7.0 in time.slept


def test_download_does_not_wait_for_an_hour(posthog, settings, tmp_path):
    fault = {"status": 429, "body": {}, "headers": {"Retry-After": "1800"}}
    posthog.script([{**fault, "match": "POST"}])
    time = Unhurried()
    with pytest.raises(PostHogBusy, match="1800 seconds"):
        run(settings, tmp_path, time=time)
    assert time.slept == []


@pytest.mark.parametrize(
    "body",
    [
        "not JSON",
        [],
        {"status": "Sideways"},
        {"status": "Completed", "files": 3},
        {"status": "Completed", "files": [], "records_completed": "many"},
        {"status": "Completed", "files": [], "records_completed": -1},
    ],
)
def test_download_refuses_answers_it_does_not_know(posthog, settings, tmp_path, body):
    posthog.script([{"match": "GET /api", "status": 200, "body": body}])
    with pytest.raises(PostHogError):
        run(settings, tmp_path)


def test_download_believes_no_week_empty_that_is_not_said_to_be(posthog, settings, whole, tmp_path):
    nothing = {"status": "Completed", "files": [], "records_completed": None}
    posthog.script([{"match": "GET /api", "status": 200, "body": nothing}])
    assert run(settings, tmp_path).failed == ()
    assert content_of(tmp_path) == content_of(whole)


def test_download_refuses_an_order_without_an_id(posthog, settings, tmp_path):
    posthog.script([{"match": "POST", "status": 202, "body": {"id": "../../etc"}}])
    with pytest.raises(PostHogDenied, match="named no export"):
        run(settings, tmp_path)


def test_download_keeps_to_the_limits_of_other_endpoints(posthog, settings, tmp_path, monkeypatch):
    monkeypatch.setattr("core.sources.file_download_api.LIMITS", ((5, 60.0),))
    time = Unhurried()
    run(settings, tmp_path, time=time)
    assert time.seconds >= 60 * (len(posthog.requests()) - 2 * N_WEEKS) / 5


# --- room ---------------------------------------------------------------------------------------


def test_download_asks_for_room_first(posthog, settings, tmp_path, monkeypatch):
    monkeypatch.setattr(room, "free_bytes", lambda _folder: room.RESERVE + 10)
    with pytest.raises(ExportError, match="too little room"):
        run(settings, tmp_path)
    assert _left_over(tmp_path) == []


def test_download_on_a_full_disk_leaves_nothing_half(posthog, settings, tmp_path, monkeypatch):
    whole_file = Path.open

    def full(self: Path, mode: str = "r", **kwargs: object) -> object:
        if mode == "xb":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return whole_file(self, mode, **kwargs)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(ExportError, match="no room left"):
        run(settings, tmp_path)
    assert _left_over(tmp_path) == []
    monkeypatch.undo()
    assert run(settings, tmp_path).failed == ()


# --- what is missing is known -------------------------------------------------------------------


def _weeks(out: Path) -> tuple:
    folder = DownloadFolder(out, host="", project_id=0)
    own = json.loads((out / "download.json").read_text())
    folder = DownloadFolder(out, host=own["host"], project_id=own["project_id"])
    with folder.alone():
        folder.read()
    return folder._manifest.weeks


def _left_over(out: Path) -> list[str]:
    return [file.name for file in out.rglob("*") if file.name.startswith("part-")] + [
        file.name for file in out.rglob("*.parquet")
    ]


def _period(first: datetime, last: datetime) -> Period:
    return Period(to_ms(first), to_ms(last))


def test_holes_in_a_whole_download_are_none(whole):
    period = _period(FIRST + timedelta(days=1), NOW - timedelta(minutes=1))
    assert holes_in(f"{whole}/events/*.parquet", period, ["$pageview"]) == ()
    assert holes_in(f"{whole}/events/**/*.parquet", period, ["$pageview"]) == ()
    assert holes_in(str(whole / "events"), period, ["$pageview"]) == ()


def test_holes_in_name_missing_weeks_and_the_time_since(copy):
    (copy / "events" / "2026-09-21.parquet").unlink()
    period = _period(FIRST - timedelta(days=2), NOW)
    holes = holes_in(f"{copy}/events/*.parquet", period, ["$pageview"])
    monday, next_monday = FIRST + timedelta(weeks=1), FIRST + timedelta(weeks=2)
    assert [(hole.start, hole.end) for hole in holes] == [
        (period.start, to_ms(FIRST)),
        (to_ms(monday), to_ms(next_monday)),
        (to_ms(NOW - timedelta(minutes=1)), period.end),
    ]
    assert all(isinstance(hole, Hole) and "core download" in hole.why for hole in holes)


def test_holes_in_name_missing_weeks_of_persons(copy):
    (copy / "persons" / "2026-09-14.parquet").unlink()
    period = _period(FIRST, NOW - timedelta(minutes=1))
    path, persons = f"{copy}/events/*.parquet", f"{copy}/persons/*.parquet"
    assert holes_in(path, period, ["$pageview"]) == ()
    (hole,) = holes_in(path, period, ["$pageview"], persons=persons)
    assert (hole.start, hole.end) == (to_ms(FIRST), to_ms(FIRST + timedelta(weeks=1)))
    assert "persons" in hole.why


def test_holes_in_are_everything_for_an_event_not_downloaded(whole):
    period = _period(START, NOW)
    (hole,) = holes_in(f"{whole}/events/*.parquet", period, ["$pageview", "Untracked"])
    assert (hole.start, hole.end) == (period.start, period.end)


def test_holes_in_are_everything_where_the_list_is_damaged(copy):
    (copy / "download.json").write_text("{")
    period = _period(START, NOW)
    (hole,) = holes_in(f"{copy}/events/*.parquet", period, ["$pageview"])
    assert (hole.start, hole.end) == (period.start, period.end)


def test_holes_in_a_folder_that_was_not_downloaded_are_not_known(root):
    assert holes_in(f"{root}/export/*.parquet", _period(START, NOW), ["$pageview"]) == ()


# --- a killed process ---------------------------------------------------------------------------


def test_download_killed_at_any_moment_goes_on(posthog, whole, tmp_path):
    out, expected = tmp_path / "out", content_of(whole)
    posthog.script_exports(*[{"parts": 2, "statuses": ["Starting", "Running"]}] * 60)
    rng = np.random.default_rng(5)
    kills = 0
    while not start_child(
        posthog, out, DATES, seconds=rng.uniform(0.02, 0.35) if kills < KILLS else None
    ):
        kills += 1
        seen = content_of(out)
        assert seen == {name: expected[name] for name in seen}
    assert kills >= KILLS // 2  # a quick machine ends before the last
    assert content_of(out) == expected
    assert len(posthog.orders()) <= N_WEEKS + kills
    assert _told(out) == _told(whole)


def _told(out: Path) -> list[dict]:
    """Return what the list says of the weeks, without ids and instants."""
    weeks = json.loads((out / "download.json").read_text())["weeks"]
    return [
        {key: week[key] for key in ("model", "start", "end", "n_rows", "sha256")} for week in weeks
    ]


@pytest.mark.parametrize("last", [1, 3, 4, 6, 12])
def test_download_stopped_while_it_writes_its_list_orders_no_noted_week_again(
    posthog, settings, whole, tmp_path, monkeypatch, last
):
    write, written = DownloadFolder._write, []

    def stopping(self: DownloadFolder, **changes: tuple) -> None:
        written.append(1)
        if len(written) == last:
            raise KeyboardInterrupt
        write(self, **changes)

    monkeypatch.setattr(DownloadFolder, "_write", stopping)
    with pytest.raises(KeyboardInterrupt):
        run(settings, tmp_path)
    seen = content_of(tmp_path)
    assert seen == {name: content_of(whole)[name] for name in seen}
    run(settings, tmp_path)
    assert content_of(tmp_path) == content_of(whole)
    assert len(posthog.orders()) == N_WEEKS + (last in {1, 3})


def test_download_reports_its_weeks(posthog, settings, tmp_path):
    told: list[tuple[str, int, int]] = []
    run(settings, tmp_path, on_progress=lambda step, done, total: told.append((step, done, total)))
    assert told[0][1:] == (0, N_WEEKS)
    assert told[-1][1:] == (N_WEEKS, N_WEEKS)
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)


def test_download_constants_are_what_posthog_allows():
    assert file_download.SHORTEST_POLL >= 2
    assert file_download.LONGEST_POLL <= 5
