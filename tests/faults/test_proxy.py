"""The proxy does what it says: the scenarios stand on it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.faults.proxy import PASS, Proxy, Trouble

SENT = bytes(range(256)) * 40


class Speaker:
    """A server that answers every byte it gets with all of SENT."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._speak, args=(client,), daemon=True).start()

    def _speak(self, client: socket.socket) -> None:
        with closing(client):
            try:
                while client.recv(1):
                    client.sendall(SENT)
            except OSError:
                return

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with closing(Speaker()) as speaker, Proxy("127.0.0.1", speaker.port) as running:
        yield running


def connect(proxy: Proxy, *, timeout: float = 5.0) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=timeout)


def ask(line: socket.socket, n_bytes: int = len(SENT)) -> bytes:
    line.sendall(b"?")
    got = b""
    while len(got) < n_bytes and (piece := line.recv(1 << 16)):
        got += piece
    return got


def test_proxy_passes_and_counts(proxy):
    with connect(proxy) as line:
        assert ask(line) == SENT
        assert ask(line) == SENT
    assert (proxy.connections, proxy.bytes_up, proxy.bytes_down) == (1, 2, 2 * len(SENT))


def test_proxy_refuses_and_listens_again_on_the_same_port(proxy):
    for _ in range(3):
        proxy.set(Trouble(kind="refuse"))
        with pytest.raises(ConnectionRefusedError):
            connect(proxy)
        proxy.set(PASS)
        with connect(proxy) as line:
            assert ask(line) == SENT


def test_proxy_leaves_live_connections_alone_while_it_refuses(proxy):
    with connect(proxy) as line:
        assert ask(line) == SENT
        proxy.set(Trouble(kind="refuse"))
        assert ask(line) == SENT


def test_proxy_hang_takes_a_connection_and_says_nothing(proxy):
    proxy.set(Trouble(kind="hang"))
    with connect(proxy, timeout=0.2) as line, pytest.raises(TimeoutError):
        ask(line)
    with connect(proxy) as line:  # it struck once
        assert ask(line) == SENT


def test_proxy_delay_holds_back_the_first_byte(proxy):
    proxy.set(Trouble(kind="delay", seconds=0.3))
    started = time.monotonic()
    with connect(proxy) as line:
        assert ask(line) == SENT
    assert time.monotonic() - started >= 0.3


@pytest.mark.parametrize("after", [0, 1, 777])
def test_proxy_cut_passes_so_many_bytes_then_ends(proxy, after):
    proxy.set(Trouble(kind="cut", after=after))
    with connect(proxy) as line:
        assert ask(line) == SENT[:after]
    assert proxy.bytes_down == after
    with connect(proxy) as line:
        assert ask(line) == SENT


def test_proxy_reset_ends_by_rst(proxy):
    proxy.set(Trouble(kind="reset", after=100))
    with connect(proxy) as line, pytest.raises(ConnectionResetError):
        ask(line)


def test_proxy_black_hole_keeps_taking_bytes_and_forwards_none(proxy):
    with connect(proxy, timeout=0.3) as line:
        assert ask(line) == SENT
        proxy.set(Trouble(kind="black_hole", after=50))  # while the connection lives
        assert ask(line, 50) == SENT[:50]
        with pytest.raises(TimeoutError):
            line.recv(1)
        line.sendall(b"x" * 200_000)  # still acknowledged
        with pytest.raises(TimeoutError):
            line.recv(1)
        proxy.set(PASS)
        with pytest.raises(TimeoutError):
            line.recv(1)  # what fell into it stays there


def test_proxy_drip_sends_pieces_with_pauses(proxy):
    proxy.set(Trouble(kind="drip", piece=2000, seconds=0.02))
    started = time.monotonic()
    with connect(proxy) as line:
        assert ask(line) == SENT
    assert time.monotonic() - started >= 0.02 * (len(SENT) // 2000)


def test_proxy_strikes_as_often_as_told(proxy):
    proxy.set(Trouble(kind="cut", after=10, times=2))
    lengths = []
    for _ in range(3):
        with connect(proxy) as line:
            lengths.append(len(ask(line)))
    assert lengths == [10, 10, len(SENT)]
    assert proxy.strikes == 2


def test_proxy_reset_closes_what_is_open_and_counts_from_zero(proxy):
    with connect(proxy) as line:
        assert ask(line) == SENT
        proxy.reset()
        assert line.recv(1) == b""
    assert (proxy.connections, proxy.bytes_down) == (0, 0)
