"""The log: one line of JSON a record, and nothing in it that must not be there."""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
import time
from urllib.parse import quote

import pytest

from core import logs, redaction
from core.errors import DatabaseError
from core.logs import JsonLines, configure, note, traced
from core.redaction import redacted, secrets_of
from core.sections import Database, Export, Log, PostHog
from core.settings import Settings

PASSWORD = "p@ss/w:rd-canary"
KEY = "phx_canarycanary123"
SETTINGS = Settings(
    database=Database(url=f"postgresql://reader:{quote(PASSWORD, safe='')}@db.example/shop"),
    posthog=PostHog(host="https://us.posthog.com", project_id=1, api_key=KEY),
    export=Export(key="canary-export-key"),
    log=Log(level="info"),
)


@pytest.fixture
def log(monkeypatch):
    """Return what is written from here on; afterwards logging is as it was."""
    root, before = logging.getLogger(), logging.getLogRecordFactory()
    handlers, level = root.handlers[:], root.level
    monkeypatch.setattr(redaction, "_known", frozenset())
    monkeypatch.setattr(redaction, "_known_pattern", None)
    for module, name in ((sys, "excepthook"), (threading, "excepthook")):
        monkeypatch.setattr(module, name, getattr(module, name))
    sink = io.StringIO()
    monkeypatch.setattr(logs, "_standard_error", lambda: sink)
    configure(SETTINGS, secrets=["canary-cookie"])
    yield sink
    logging.setLogRecordFactory(before)
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(sink: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in sink.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("postgresql://reader:s3cret@db/shop", "s3cret"),
        ("mysql://u:pa@ss@db/x", "pa@ss"),
        ("key phx_AbCd1234 and phs_zzzz9999", "AbCd1234"),
        ("Authorization: Bearer abc.def-123", "abc.def"),
        ("{'Authorization': 'Basic dXNlcjpwYXNz'}", "dXNlcjpwYXNz"),
        ("token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc", "eyJzdWIi"),
        ("dsn password=hunter2 host=db", "hunter2"),
        ('{"password": "hunter2"}', "hunter2"),
        ("api_key='hunter2'", "hunter2"),
        ("GET /oauth2callback?code=hunter2&state=x", "hunter2"),
        ("user Ann.Lee+x@mail.example.com failed", "Ann.Lee"),
        ("distinct_id=größe@exämple.de", "größe"),
        ("id a%40b.example", "a%40b"),
        ("full＠width.example", "full"),
        ("LINE 1: SELECT id FROM users WHERE name = 'Ann Lee'\n          ^", "Ann Lee"),
        ("DETAIL:  Key (name)=(Ann Lee) already exists.", "Ann Lee"),
        ("[SQL: SELECT 1]\n[parameters: {'t': 'Ann Lee'}]\n(Background on", "Ann Lee"),
        ("x [parameters: ('a]b', 'Ann Lee')]", "Ann Lee"),
    ],
)
def test_redacted_hides(text, hidden):
    assert hidden not in redacted(text)


@pytest.mark.parametrize(
    "text",
    [
        "Reading slice 3 of 9", "HTTP 503 after 1.2 s", "2026-10-31T00:00:00Z", "core/loading.py:1",
        "https://us.posthog.com/api/projects/1/query/", "campaign drop-08", "LINE of business",
    ],
)  # fmt: skip
def test_redacted_leaves_the_rest(text):
    assert redacted(text) == text


@pytest.mark.parametrize("text", ["a" * 200_000, "a@" * 100_000, "://" * 60_000, "'" * 200_000,
                                  "password=" * 20_000, "[parameters: " * 20_000])  # fmt: skip
def test_redacted_takes_no_time_over_hostile_text(text):
    started = time.thread_time()
    assert len(redacted(text)) < 21_000
    assert time.thread_time() - started < 4


def test_secrets_of_finds_every_secret(monkeypatch):
    monkeypatch.setenv("PGPASSWORD", "canary-pg")
    found = secrets_of(SETTINGS)
    assert {PASSWORD, KEY, "canary-export-key", "canary-pg"} <= set(found)
    assert any(text.startswith("postgresql://") for text in found)


@pytest.mark.parametrize("way", [str, repr, json.dumps, quote, lambda text: quote(text, safe="")])
def test_redacted_knows_a_secret_however_it_is_written(way, log):
    assert "canary" not in redacted(f"before {way(PASSWORD)} after")
    assert "canary" not in redacted(f"before {way('canary-cookie')} after")


def test_json_lines_say_when_where_what(log):
    note(logging.getLogger("core.test"), "Request answered", status=200, seconds=1.5, name="events")
    (line,) = lines(log)
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info", "logger": "core.test", "message": "Request answered",
        "fields": {"status": 200, "seconds": 1.5, "name": "events"},
    }  # fmt: skip


def test_records_are_clean_in_message_arguments_and_fields(log):
    logger = logging.getLogger("core.test")
    logger.warning("password=%s", "hunter2")
    logger.warning("for %(who)s", {"who": "ann@example.com"})
    logger.warning("got %s", ValueError("title Canary Title"))
    logger.error(ValueError("title Canary Title"))
    logger.warning("%d of %d", 3, 9)
    logger.warning("too few %s %s", "arguments")
    logger.warning("line\nbreak", extra={"url": f"x://u:{PASSWORD}@h", "deep": {"api_key": "z9z9"}})
    logger.warning("nan", extra={"fields": {"n": float("nan"), "token": "hunter2"}})
    written = log.getvalue()
    for text in ("hunter2", "ann@", "Canary", "canary", "z9z9", PASSWORD):
        assert text not in written
    assert len(lines(log)) == 8
    assert lines(log)[4]["message"] == "3 of 9"
    assert lines(log)[6]["message"] == "line\nbreak"


def test_tracebacks_tell_places_but_no_rows(log):
    try:
        try:
            {"a": 1}["Canary Title"]
        except KeyError as error:
            raise DatabaseError("The database db.example refused the password.") from error
    except DatabaseError:
        logging.getLogger("core.test").exception("Incident %s", "00ff")
    text = lines(log)[0]["exception"]
    assert "Canary" not in log.getvalue()
    assert "refused the password" in text
    assert "KeyError: (***)" in text
    assert "test_tracebacks_tell_places_but_no_rows" in text


def test_traced_walks_groups_and_endless_chains():
    first, second = ValueError("Canary"), TypeError("unsupported operand")
    first.__context__, second.__context__ = second, first
    text = traced(ExceptionGroup("Canary", [first, OSError(2, "No such file", "/Canary")]))
    assert "Canary" not in text
    assert "unsupported operand" in text
    assert "No such file" in text


def test_other_handlers_get_nothing_else(log):
    sink = io.StringIO()
    logger, handler = logging.getLogger("elsewhere"), logging.StreamHandler(sink)
    logger.addHandler(handler)
    try:
        _fail(RuntimeError)
    except RuntimeError:
        logger.exception("with %s", KEY)
    logger.removeHandler(handler)
    assert "canary" not in sink.getvalue().lower()
    assert "RuntimeError" in sink.getvalue()


def test_configure_takes_over_handlers_that_write_to_standard_error(log):
    logger, handler = logging.getLogger("theirs"), logging.StreamHandler()
    logger.addHandler(handler)
    configure(SETTINGS)
    configure(None)
    assert isinstance(handler.formatter, JsonLines)
    ours = [one for one in logging.getLogger().handlers if isinstance(one.formatter, JsonLines)]
    assert len(ours) == 1
    assert logging.getLogger().level == logging.INFO
    logger.removeHandler(handler)


def test_crashes_are_incidents_in_the_log(log, monkeypatch):
    try:
        _fail(ValueError)
    except ValueError as error:
        sys.excepthook(ValueError, error, error.__traceback__)

    def crash():
        raise LookupError("Canary Title")

    thread = threading.Thread(target=crash)
    thread.start()
    thread.join()
    assert [line["level"] for line in lines(log)] == ["critical", "critical"]
    assert "Canary" not in log.getvalue()
    assert "LookupError" in log.getvalue()


def _fail(kind):
    raise kind("Canary Title")


def test_level_is_that_of_the_settings(log):
    logs.configure(SETTINGS.model_copy(update={"log": Log(level="error")}))
    logging.getLogger("core.test").warning("unheard")
    assert log.getvalue() == ""
