"""The webhook against a real receiver: what arrives, what is tried again, what stays secret."""

from __future__ import annotations

import json
import logging
import re
import socket
import subprocess
import sys

import pandas as pd
import pytest
from pydantic import SecretStr

from core.health import webhook
from core.health.frames import ALERTS
from core.health.webhook import LONGEST_WAIT, MOST_ALERTS, TRIES, harmless, post, text_of
from tests.health.receiver import PATH, receiving

SECRET = ("canarysecret77", "T000CANARY", "B000CANARY")


def alerts(*words: str) -> pd.DataFrame:
    frame = pd.DataFrame(
        {
            "kind": "mapping", "about": [f"{i}" for i in range(len(words))], "severity": "act",
            "value": 0.9, "threshold": 0.95, "words": list(words),
        }
    )  # fmt: skip
    return ALERTS.checked(frame.astype(dict.fromkeys(("kind", "severity", "words"), "str")))


def test_post_sends_the_text_as_slack_takes_it() -> None:
    with receiving() as receiver:
        assert post(SecretStr(receiver.url), "Zeile eins\nZeile zwei – ü") is None
    [(path, kind, content)] = receiver.got
    assert (path, kind) == (PATH, "application/json")
    assert json.loads(content) == {"text": "Zeile eins\nZeile zwei – ü"}


@pytest.mark.parametrize("faults", [(500,), (503, 502), (429,), (0, 0), (0, 500)])
def test_post_tries_again_what_trying_may_mend(faults: tuple[int, ...]) -> None:
    slept: list[float] = []
    with receiving(*faults) as receiver:
        assert post(SecretStr(receiver.url), "x", sleep=slept.append) is None
        assert len(receiver.got) == len(faults) + 1
    assert slept == [1.0, 2.0][: len(faults)]


def test_post_gives_up_after_three_tries() -> None:
    slept: list[float] = []
    with receiving(*[500] * 9) as receiver:
        said = post(SecretStr(receiver.url), "x", sleep=slept.append)
        assert len(receiver.got) == TRIES
    assert said == "The webhook of alerts.webhook was not told: it answered with status 500."
    assert slept == [1.0, 2.0]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_post_that_is_refused_is_not_tried_again(status: int) -> None:
    with receiving(status) as receiver:
        said = post(SecretStr(receiver.url), "x", sleep=_never)
        assert len(receiver.got) == 1
    assert f"status {status}; check alerts.webhook" in str(said)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_post_follows_no_redirect(status: int) -> None:
    with receiving() as elsewhere, receiving(status, headers={"Location": elsewhere.url}) as first:
        said = post(SecretStr(first.url), "x", sleep=_never)
        assert elsewhere.got == []
    assert f"status {status}" in str(said)


@pytest.mark.parametrize(("asked", "waited"), [("7", 7.0), ("0", 0.0), ("soon", 1.0), ("-5", 1.0)])
def test_post_waits_as_long_as_it_is_asked_to(asked: str, waited: float) -> None:
    slept: list[float] = []
    with receiving(429, headers={"Retry-After": asked}) as receiver:
        assert post(SecretStr(receiver.url), "x", sleep=slept.append) is None
    assert slept == [waited]


def test_post_waits_no_longer_than_the_cap() -> None:
    with receiving(429, headers={"Retry-After": f"{LONGEST_WAIT + 1:.0f}"}) as receiver:
        said = post(SecretStr(receiver.url), "x", sleep=_never)
        assert len(receiver.got) == 1
    assert "wants nothing for 31 s" in str(said)


def test_post_where_nothing_listens_says_so_without_the_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    said = post(SecretStr(f"http://127.0.0.1:{port}{PATH}"), "x", sleep=lambda _: None)
    assert "the connection failed (ConnectionError)" in str(said)
    assert not any(secret in str(said) for secret in (*SECRET, str(port)))


def test_post_to_a_receiver_that_never_answers_ends_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(webhook, "SECONDS", 0.3)
    monkeypatch.setattr(webhook, "TRIES", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent_server:
        port = silent_server.getsockname()[1]
        said = post(SecretStr(f"http://127.0.0.1:{port}/x"), "x", sleep=lambda _: None)
    assert "the connection failed" in str(said)


def test_post_to_an_impossible_address_says_so() -> None:
    said = post(SecretStr("http://127.0.0.1:99999/canarysecret77"), "x", sleep=_never)
    assert "cannot be asked" in str(said)
    assert "canarysecret77" not in str(said)


def test_nothing_logged_holds_the_address(caplog: pytest.LogCaptureFixture) -> None:
    with receiving(500, 404) as receiver, caplog.at_level(logging.DEBUG):
        said = post(SecretStr(receiver.url), "x", sleep=lambda _: None)
    ours = [one.getMessage() for one in caplog.records if one.name.startswith("core.")]
    assert ours
    assert not any(secret in text for secret in SECRET for text in [*ours, str(said)])


def test_nothing_that_libraries_log_holds_the_address() -> None:
    posts = (
        "import sys; from pydantic import SecretStr\n"
        "from core import logs; from core.health.webhook import post\n"
        "import logging; logs.configure(); logging.getLogger().setLevel('DEBUG')\n"
        "print(post(SecretStr(sys.argv[1]), 'x', sleep=lambda _: None))"
    )
    with receiving(500, 500, 500) as receiver:
        done = subprocess.run(
            [sys.executable, "-c", posts, f"{receiver.url}?token=canarysecret78"],
            capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
    assert "urllib3" in done.stderr
    assert "/services" not in done.stderr
    assert not any(one in done.stderr + done.stdout for one in (*SECRET, "canarysecret78"))


HOSTILE = (
    "<!channel> look",
    "<@U123> <https://evil.example|click>",
    "@channel @here ＠everyone",
    "https://evil.example/x?y=1 http://a.b",
    "see evil.example or www.evil.example.",
    "*bold* ~gone~ `code` ```more```",
    "one\ntwo\r\n• To do: send money\u2028three",
    "a & b &amp; &lt;!here&gt;",
    "\u202eright to left\x00\x1b[31m",
)


@pytest.mark.parametrize("words", HOSTILE)
def test_text_from_data_can_mention_link_and_format_nothing(words: str) -> None:
    text = text_of(alerts(words), label=f"data {words}")
    assert "<" not in text
    assert ">" not in text
    assert not re.search(r"&(?!amp;|lt;|gt;)", text)
    assert not re.search(r"[@＠]\w", text)
    assert "://" not in text
    assert not re.search(r"[A-Za-z]\.[A-Za-z]", text)
    assert not set("*~`") & set(text)
    assert len(text.splitlines()) == 2
    assert all(letter.isprintable() or letter in "\n\u200b" for letter in text)


def test_text_says_severity_and_data() -> None:
    table = alerts("Mapping is low.", "A window closed.")
    table["severity"] = pd.Series(["act", "know"], dtype="str")
    assert text_of(table, label="marketplace").splitlines() == [
        "Pushlift, marketplace:",
        "• To do: Mapping is low.",
        "• To know: A window closed.",
    ]


def test_text_of_many_alerts_says_how_many_more() -> None:
    lines = text_of(alerts(*["x"] * (MOST_ALERTS + 3)), label="m").splitlines()
    assert len(lines) == MOST_ALERTS + 2
    assert "3 more" in lines[-1]


def test_harmless_leaves_plain_words_as_they_are() -> None:
    words = "93.1 % of recipients, below 95.0 %: +12.0 % [3.0, 21.0], drop_2026_10 – ü."
    assert harmless(words) == words


def _never(_seconds: float) -> None:
    raise AssertionError("tried again")
