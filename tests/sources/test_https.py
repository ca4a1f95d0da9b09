"""Tests of the session by itself: what never leaves it, and servers that would hold it for ever."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from core.activity.source import Usage
from core.errors import PostHogBusy, PostHogDenied
from core.sections import PostHog
from core.sources import posthog_client
from core.sources.pace import Gate
from core.sources.posthog_client import PostHogClient
from tests.faults.raw import RawServer, Say, certificate, raw_server

KEY = "phx_keepthistoyourself"
BODY = b'{"columns": ["x"], "results": [[1]]}'
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)


@pytest.fixture
def serve() -> Iterator[Callable[..., RawServer]]:
    with ExitStack() as running:
        yield lambda say, secure=None: running.enter_context(raw_server(say, secure))


@pytest.fixture(autouse=True)
def one_try(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posthog_client, "TRIES", 1)


def client_of(server: RawServer, host: str = "127.0.0.1", **settings: Any) -> PostHogClient:
    url = server.url.replace("127.0.0.1", host)
    asked = PostHog(**{"host": url, "project_id": 1, "api_key": KEY, **settings})
    return PostHogClient(asked, Usage(), gate=Gate())


def ask(client: PostHogClient) -> Any:
    try:
        return client.query("SELECT 1", {"secret": "ann@example.com"}, name="one").rows
    finally:
        client.close()


def say_good(line: socket.socket, _: bytes) -> None:
    line.sendall(GOOD)


def test_certificate_nobody_vouches_for_is_refused_before_anything_is_said(
    serve: Callable[..., RawServer], tmp_path: Path
) -> None:
    secure, _ = certificate(tmp_path, "self", alternative="IP:127.0.0.1")
    server = serve(say_good, secure)
    client = client_of(server)
    with pytest.raises(PostHogDenied, match=r"certificate of .* is not trusted"):
        ask(client)
    assert client._usage.errors == 1
    server.close()
    assert set(server.requests) == {b""}


@pytest.mark.parametrize("alternative", ["DNS:us.posthog.com", "IP:127.0.0.2", "DNS:*.localhost"])
def test_certificate_of_another_host_is_refused_before_anything_is_said(
    serve: Callable[..., RawServer], tmp_path: Path, alternative: str
) -> None:
    secure, authority = certificate(tmp_path, "other", alternative=alternative)
    server = serve(say_good, secure)
    client = client_of(server)
    client._session.verify = str(authority)
    with pytest.raises(PostHogDenied, match=r"certificate of .* is not trusted"):
        ask(client)
    server.close()
    assert set(server.requests) == {b""}


def test_certificate_that_is_trusted_and_names_the_host_is_accepted(
    serve: Callable[..., RawServer], tmp_path: Path
) -> None:
    secure, authority = certificate(tmp_path, "right", alternative="IP:127.0.0.1")
    server = serve(say_good, secure)
    client = client_of(server)
    client._session.verify = str(authority)
    assert ask(client) == [[1]]
    assert KEY.encode() in server.requests[0]


def test_server_without_tls_at_a_secure_address_is_told_nothing(
    serve: Callable[..., RawServer],
) -> None:
    def say(line: socket.socket, _: bytes) -> None:
        line.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    server = serve(say)
    client = client_of(server, timeout=1)
    client._settings = client._settings.model_copy(
        update={"host": server.url.replace("http://", "https://")}
    )
    with pytest.raises(PostHogBusy, match=r"connection failed|took too long"):
        ask(client)
    server.close()
    assert not any(KEY.encode() in request for request in server.requests)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_not_followed_and_gives_nothing_away(
    serve: Callable[..., RawServer], status: int
) -> None:
    there = serve(say_good)

    def say(line: socket.socket, _: bytes) -> None:
        head = f"HTTP/1.1 {status} Moved\r\nLocation: {there.url}/x\r\nContent-Length: 0\r\n\r\n"
        line.sendall(head.encode())

    here = serve(say)
    with pytest.raises(PostHogDenied, match=f"status {status}"):
        ask(client_of(here))
    here.close()
    there.close()
    assert len(here.requests) == 1
    assert there.requests == []


@pytest.mark.parametrize("target", ["http://[::1", "http://\u00e9\u0130:99999", "//", "\\\\x", ""])
def test_redirect_to_nonsense_is_refused_as_any_other(
    serve: Callable[..., RawServer], target: str
) -> None:
    def say(line: socket.socket, _: bytes) -> None:
        head = f"HTTP/1.1 307 Moved\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n"
        line.sendall(head.encode())

    with pytest.raises(PostHogDenied, match="status 307"):
        ask(client_of(serve(say)))


def test_redirect_with_a_body_without_end_is_not_read_whole(
    serve: Callable[..., RawServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.sources.posthog_answers.BODY_LIMIT", 1 << 20)
    client = client_of(serve(endless(b"HTTP/1.1 307 Moved\r\nLocation: /x\r\n\r\n", b"x" * 65536)))
    with pytest.raises(Exception, match="larger than 1 MB"):
        ask(client)
    assert client._usage.bytes_received < 4 << 20


def endless(head: bytes, piece: bytes, seconds: float = 0.0) -> Say:
    """Say a head, then the same piece again and again until hung up on, some seconds at most."""

    def say(line: socket.socket, _: bytes) -> None:
        line.sendall(head)
        line.settimeout(6)
        until = time.monotonic() + 6
        while piece and time.monotonic() < until:
            line.sendall(piece)
            time.sleep(seconds)
        line.recv(1)

    return say


STATUS = b"HTTP/1.1 200 OK\r\n"
SLOW = {
    "no answer at all": endless(b"", b"", 0.05),
    "status line in drops": endless(b"HTTP/1.1 200 ", b"O", 0.05),
    "header line in drops": endless(STATUS + b"X: ", b"x", 0.05),
    "header lines in drops": endless(STATUS, b"X: y\r\n", 0.3),
    "continue without end": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 50, 0.001),
    "body in drops": endless(STATUS + b"Content-Length: 999999\r\n\r\n", b" ", 0.05),
    "body of unknown length": endless(STATUS + b"\r\n", b" ", 0.05),
    "chunks in drops": endless(STATUS + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n", 0.05),
    "size of a chunk in drops": endless(
        STATUS + b"Transfer-Encoding: chunked\r\n\r\n1", b";", 0.05
    ),
    "trailer without end": endless(
        STATUS + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n" * 50, 0.001
    ),
    "body that stops": endless(GOOD[:-5], b"", 0.05),
}


@pytest.mark.parametrize(
    ("way", "is_secure"),
    [
        *((way, False) for way in SLOW),
        *((way, True) for way in ("header lines in drops", "body in drops", "chunks in drops")),
    ],
)
def test_answer_that_never_ends_ends_with_the_time_a_request_may_take(
    serve: Callable[..., RawServer], tmp_path: Path, way: str, *, is_secure: bool
) -> None:
    secure, authority = None, True
    if is_secure:
        secure, authority = certificate(tmp_path, "right", alternative="IP:127.0.0.1")
    client = client_of(serve(SLOW[way], secure), timeout=1)
    client._session.verify = str(authority) if is_secure else True
    began = time.monotonic()
    with pytest.raises(PostHogBusy):
        ask(client)
    assert time.monotonic() - began < 2


def test_header_without_end_is_refused(serve: Callable[..., RawServer]) -> None:
    with pytest.raises(PostHogBusy, match="connection failed"):
        ask(client_of(serve(endless(STATUS + b"X: ", b"x" * 65536))))
    with pytest.raises(PostHogBusy, match="connection failed"):
        ask(client_of(serve(endless(STATUS, b"X: y\r\n" * 99))))


def test_second_answer_to_one_question_is_never_the_answer_to_the_next(
    serve: Callable[..., RawServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posthog_client, "TRIES", 2)

    def say(line: socket.socket, request: bytes) -> None:
        if len(server.requests) == 1:
            line.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n")
            time.sleep(0.8)  # until the question is asked again, or another one is
            line.sendall(GOOD.replace(b"[[1]]", b"[[9]]"))
            time.sleep(0.5)
        else:
            line.sendall(GOOD)

    server = serve(say)
    assert ask(client_of(server)) == [[1]]
    assert len(server.requests) == 2


def test_hang_while_the_question_is_sent_ends_in_time(serve: Callable[..., RawServer]) -> None:
    server = RawServer.__new__(RawServer)  # listens, and never takes a byte
    listening = socket.create_server(("127.0.0.1", 0))
    server._listening, server._secure = listening, None
    client = client_of(server, timeout=1)
    began = time.monotonic()
    with pytest.raises(PostHogBusy):
        client.query("SELECT 1", {"x": "a" * 30_000_000}, name="one")
    assert time.monotonic() - began < 2.5
    client.close()
    listening.close()


def test_question_is_sent_once_whole(serve: Callable[..., RawServer]) -> None:
    server = serve(say_good)
    assert ask(client_of(server)) == [[1]]
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.count(KEY.encode()) == 1
    assert KEY.encode() not in body
    assert json.loads(body)["query"]["values"] == {"secret": "ann@example.com"}
