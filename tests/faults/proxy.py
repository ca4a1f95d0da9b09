"""A TCP proxy that does to connections what networks and servers do, switchable while they live.

    with Proxy("127.0.0.1", 5432) as proxy:
        proxy.set(Trouble(kind="cut", after=20_000))
        ...  # connect to proxy.port

Bytes are counted from the server to the client, over all connections, from the moment a trouble
is set; it strikes `times` times, counting anew after each, and then everything passes.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Literal

Kind = Literal["pass", "refuse", "hang", "delay", "cut", "reset", "black_hole", "drip"]
_AT_CONNECTING = {"hang", "delay"}
_PIECE = 1 << 16
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_LOOK_MILLISECONDS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What the proxy does.

    Attributes:
        kind: `refuse`: nobody listens. `hang`: a connection is taken and nothing ever comes of it.
            `delay`: the first byte is forwarded after `seconds`. `cut`: after `after` bytes the
            connection is closed; `reset`: the same by RST; `black_hole`: the same, but bytes
            are still taken and acknowledged, and none forwarded. `drip`: bytes come `piece` at a
            time with `seconds` before each.
        after: Bytes from the server that pass before it strikes.
        times: How many connections it strikes; 0 for all of them.
        seconds: The delay, or the pause between drops.
        piece: Bytes of a drop.
    """

    kind: Kind = "pass"
    after: int = 0
    times: int = 1
    seconds: float = 0.0
    piece: int = 1


PASS = Trouble()


class Proxy:
    """A proxy on a free port of this machine, from `with` to its end.

    Attributes:
        port: Where it listens.
        connections: Connections taken so far.
        bytes_up: Bytes from clients so far.
        bytes_down: Bytes to clients so far.
        strikes: How often the present trouble struck.
    """

    def __init__(self, host: str, port: int) -> None:
        self._upstream = (host, port)
        self._lock = threading.Lock()
        self._trouble = PASS
        self._left = 0
        self._passed = 0
        self._lines: set[_Line] = set()
        self._is_open = True
        self.connections = self.bytes_up = self.bytes_down = self.strikes = 0
        self._listener = _free_listener()
        self.port: int = self._listener.getsockname()[1]
        self._is_listening = threading.Event()
        self._thread = threading.Thread(target=self._accept, daemon=True, name="proxy")

    def __enter__(self) -> Proxy:
        self._listen()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_open = False
        self._is_listening.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        self.drop_all()

    def set(self, trouble: Trouble) -> None:
        """Do this from now on, to connections that live and to those that come."""
        with self._lock:
            self._trouble = trouble
            self._left = trouble.times or 1 << 62
            self._passed = self.strikes = 0
        if trouble.kind == "refuse":
            self._refuse()
        elif not self._is_listening.is_set():
            self._listen()

    def drop_all(self) -> None:
        """Close every connection."""
        with self._lock:
            lines = list(self._lines)
        for line in lines:
            line.is_closed.set()  # its own thread closes it
        while lines:
            with self._lock:
                lines = [line for line in lines if line in self._lines]
            time.sleep(0.001)

    def reset(self) -> None:
        """Let everything pass, close what is open, and count from zero."""
        self.set(PASS)
        self.drop_all()
        with self._lock:
            self.connections = self.bytes_up = self.bytes_down = 0

    # --- connections -------------------------------------------------------------------------

    def _listen(self) -> None:
        self._listener.listen(128)
        self._is_listening.set()

    def _refuse(self) -> None:
        """Stop listening but keep the port: connections are refused by the kernel."""
        self._is_listening.clear()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while self._is_open:
            self._is_listening.wait()
            try:
                client, _ = self._listener.accept()
            except OSError:  # it has just stopped listening
                time.sleep(0.001)
                continue
            with self._lock:
                self.connections += 1
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        line = _Line(client)
        with self._lock:
            self._lines.add(line)
        try:
            if self._is_struck_at_connecting(line):
                return
            line.connect(self._upstream)
            self._pump(line)
        except OSError:  # either side has gone, which is what this proxy is for
            line.is_closed.set()
        finally:
            line.close()
            with self._lock:
                self._lines.discard(line)

    def _is_struck_at_connecting(self, line: _Line) -> bool:
        """Wait where a connection is to be delayed; say whether it hung until it was dropped."""
        trouble = self._strike_now(_AT_CONNECTING)
        if trouble.kind == "delay":
            line.is_closed.wait(trouble.seconds)
        elif trouble.kind == "hang":
            line.swallow()
            return True
        return line.is_closed.is_set()

    def _pump(self, line: _Line) -> None:
        """Forward both ways in one thread: none may sit in a socket that is to be reset."""
        while not line.is_closed.is_set():
            for side in line.readable():
                data = side.recv(_PIECE)
                if side is line.server:
                    if not data or not self._down(line, data):
                        return
                elif data:
                    self._up(line, data)
                elif line.is_dead:
                    return
                else:
                    line.half_close()

    def _up(self, line: _Line, data: bytes) -> None:
        with self._lock:
            self.bytes_up += len(data)
        if not line.is_dead:
            line.server.sendall(data)

    def _down(self, line: _Line, data: bytes) -> bool:
        """Forward what the server sent; say whether the connection goes on."""
        if line.is_dead:
            return True
        passing, trouble = self._passing(data)
        if trouble.kind == "drip":
            self._drip(line, passing, trouble)
            return True
        self._send(line, passing)
        if trouble.kind == "reset":
            line.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            line.client.close()
        line.is_dead = trouble.kind == "black_hole"
        return trouble.kind not in {"cut", "reset"}

    def _send(self, line: _Line, data: bytes) -> None:
        if not data:
            return
        with self._lock:
            self.bytes_down += len(data)
        line.client.sendall(data)

    def _drip(self, line: _Line, data: bytes, trouble: Trouble) -> None:
        for start in range(0, len(data), trouble.piece):
            is_over = self._trouble is not trouble
            if not is_over and line.is_closed.wait(trouble.seconds):
                return
            self._send(line, data[start:] if is_over else data[start : start + trouble.piece])
            if is_over:
                return

    def _passing(self, data: bytes) -> tuple[bytes, Trouble]:
        """Return what of some bytes still passes, and what strikes after them."""
        with self._lock:
            trouble = self._trouble
            if trouble.kind not in {"cut", "reset", "black_hole", "drip"} or not self._left:
                return data, PASS
            if trouble.kind == "drip":
                self.strikes += 1
                return data, trouble
            room = trouble.after - self._passed
            if len(data) <= room:
                self._passed += len(data)
                return data, PASS
            self._passed = 0
            self._left -= 1
            self.strikes += 1
            return data[: max(room, 0)], trouble

    def _strike_now(self, kinds: set[str]) -> Trouble:
        with self._lock:
            if self._trouble.kind not in kinds or not self._left:
                return PASS
            self._left -= 1
            self.strikes += 1
            return self._trouble


def _free_listener() -> socket.socket:
    with _bound() as probe:
        port = probe.getsockname()[1]
    return _bound(port)


def _bound(port: int = 0) -> socket.socket:
    """Return a socket on a port; one asked for by number keeps it when it stops listening."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    return listener


class _Line:
    """One connection through the proxy: the client's socket and the server's."""

    def __init__(self, client: socket.socket) -> None:
        self.client = client
        self.server = socket.socket()
        self.is_dead = False
        self.is_closed = threading.Event()
        self._watched = select.poll()
        self._watched.register(client, select.POLLIN)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connect(self, upstream: tuple[str, int]) -> None:
        """Connect to the server."""
        self.server.connect(upstream)
        self.server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._watched.register(self.server, select.POLLIN)

    def readable(self) -> list[socket.socket]:
        """Return the sides that sent something, after a short wait."""
        ready = {descriptor for descriptor, _ in self._watched.poll(_LOOK_MILLISECONDS)}
        return [side for side in (self.client, self.server) if side.fileno() in ready]

    def half_close(self) -> None:
        """Pass on that the client has said all."""
        self._watched.unregister(self.client)
        self.server.shutdown(socket.SHUT_WR)

    def swallow(self) -> None:
        """Take whatever the client says, and answer nothing, until one of the two gives up."""
        while not self.is_closed.is_set():
            if self.readable() and not self.client.recv(_PIECE):
                return

    def close(self) -> None:
        """Close both sides."""
        self.is_closed.set()
        for side in (self.client, self.server):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
            side.close()
