"""What may stand before a PostgreSQL: a pooler like PgBouncer in transaction mode, and TLS.

Both speak the wire protocol (PostgreSQL's manual, chapter "Frontend/Backend Protocol") as far as
psycopg2 uses it, and lean on the real server behind them for everything else.
"""

from __future__ import annotations

import socket
import ssl
import struct
import subprocess
import threading
from collections import deque
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_ASKS_FOR_TLS, _ASKS_FOR_GSS, _VERSION_3 = 80_877_103, 80_877_104, 196_608
_NEEDS_ANSWER = {3, 5, 10, 11}
"""Kinds of authentication message the client answers."""
_ADMITTED = {
    "user", "database", "application_name", "client_encoding", "datestyle", "intervalstyle",
    "timezone", "standard_conforming_strings",
}  # fmt: skip
"""Startup parameters PgBouncer knows (its documentation, "Startup parameters")."""


class _Front:
    """Takes connections on a port of its own, a thread each."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = [self._listener]
        self._lock = threading.Lock()
        self._is_closed = False
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._is_closed = True
            for one in self._open:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._keep(client)
                threading.Thread(target=self._try_to_serve, args=(client,), daemon=True).start()

    def _try_to_serve(self, client: socket.socket) -> None:
        with suppress(OSError, EOFError):
            self._serve(client)
        client.close()

    def _serve(self, client: socket.socket) -> None:
        """Serve one connection; each kind of front does it in its own way."""

    def _server(self) -> socket.socket:
        return self._keep(socket.create_connection(("127.0.0.1", self._to)))

    def _keep(self, one: socket.socket) -> socket.socket:
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            if self._is_closed:
                one.close()
                raise OSError("this front is closed")
            self._open.append(one)
        return one


class Pooler(_Front):
    """Hands every transaction to the next of its server connections, whoever asks.

    Attributes:
        refused: The startup parameters it refused.
        n_starting: Connections still to be told that the server is starting up.
    """

    def __init__(self, port: int) -> None:
        self._idle: deque[socket.socket] = deque()
        self.refused: list[str] = []
        self.n_starting = 0
        super().__init__(port)

    def _serve(self, client: socket.socket) -> None:
        startup, given = _startup(client)
        if self.n_starting:
            self.n_starting -= 1
            client.sendall(_fatal("57P03", "the database system is starting up"))
            return
        strange = sorted(name for name in given if name.lower() not in _ADMITTED)
        if strange:
            self.refused += strange
            client.sendall(_fatal("08P01", f"unsupported startup parameter: {strange[0]}"))
            return
        server = self._server()
        server.sendall(startup)
        _authenticate(client, server)
        self._idle.append(server)
        self._pass_transactions(client)

    def _pass_transactions(self, client: socket.socket) -> None:
        held: socket.socket | None = None
        try:
            while (message := _message(client))[:1] != b"X":
                held = held or self._idle.popleft()
                held.sendall(message)
                if _answer(held, client) == b"I":
                    self._idle.append(held)
                    held = None
        finally:
            if held is not None:
                held.close()  # in the middle of a transaction


class TlsFront(_Front):
    """Ends TLS before a server that has none."""

    def __init__(self, port: int, certificate: Path, key: Path) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, key)
        super().__init__(port)

    def _serve(self, client: socket.socket) -> None:
        _, code = struct.unpack("!II", _exactly(client, 8))
        if code != _ASKS_FOR_TLS:
            client.sendall(_fatal("28000", "connection requires TLS"))
            return
        client.sendall(b"S")
        with suppress(ssl.SSLError), self._context.wrap_socket(client, server_side=True) as inside:
            server = self._server()
            back = threading.Thread(target=_pump, args=(server, inside), daemon=True)
            back.start()
            _pump(inside, server)
            back.join()


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """An authority, and certificates for this machine: its own, for another name, self-signed."""

    authority: Path
    right: tuple[Path, Path]
    wrong_host: tuple[Path, Path]
    self_signed: tuple[Path, Path]


def make_certificates(folder: Path) -> Certificates:
    """Make an authority and three certificates with their keys in a folder."""
    authority = _certificate(folder / "authority", "Test authority", is_authority=True)
    return Certificates(
        authority=authority[0],
        right=_certificate(folder / "right", "localhost", signed_by=authority),
        wrong_host=_certificate(folder / "wrong", "elsewhere.example", signed_by=authority),
        self_signed=_certificate(folder / "self", "localhost"),
    )


def _certificate(
    stem: Path,
    name: str,
    *,
    is_authority: bool = False,
    signed_by: tuple[Path, Path] | None = None,
) -> tuple[Path, Path]:
    certificate, key = stem.with_suffix(".pem"), stem.with_suffix(".key")
    command = [
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
        "-nodes", "-days", "2", "-subj", f"/CN={name}", "-out", certificate, "-keyout", key,
        "-addext", f"basicConstraints=critical,CA:{'TRUE' if is_authority else 'FALSE'}",
    ]  # fmt: skip
    if not is_authority:
        command += ["-addext", f"subjectAltName=DNS:{name}"]
    if signed_by:
        command += ["-CA", signed_by[0], "-CAkey", signed_by[1]]
    subprocess.run(command, check=True, capture_output=True)
    key.chmod(0o600)
    return certificate, key


def _startup(client: socket.socket) -> tuple[bytes, dict[str, str]]:
    """Return the startup packet, and the parameters in it."""
    while True:
        head = _exactly(client, 8)
        length, code = struct.unpack("!II", head)
        if code in {_ASKS_FOR_TLS, _ASKS_FOR_GSS}:
            client.sendall(b"N")
            continue
        rest = _exactly(client, length - 8)
        if code != _VERSION_3:
            raise EOFError
        texts = [text.decode() for text in rest.split(b"\0")]
        pairs = zip(texts[::2], texts[1::2], strict=False)
        return head + rest, {name: value for name, value in pairs if name}


def _authenticate(client: socket.socket, server: socket.socket) -> None:
    """Pass on what both say until the server is ready for a query."""
    while True:
        message = _message(server)
        client.sendall(message)
        if message[:1] == b"Z":
            return
        if message[:1] == b"E":
            raise EOFError
        if message[:1] == b"R" and struct.unpack("!I", message[5:9])[0] in _NEEDS_ANSWER:
            server.sendall(_message(client))


def _answer(server: socket.socket, client: socket.socket) -> bytes:
    """Pass on a whole answer, and return the state of the transaction after it."""
    while True:
        message = _message(server)
        client.sendall(message)
        if message[:1] == b"Z":
            return message[5:6]


def _message(source: socket.socket) -> bytes:
    head = _exactly(source, 5)
    return head + _exactly(source, struct.unpack("!I", head[1:])[0] - 4)


def _exactly(source: socket.socket, count: int) -> bytes:
    content = b""
    while len(content) < count:
        piece = source.recv(count - len(content))
        if not piece:
            raise EOFError
        content += piece
    return content


def _fatal(code: str, words: str) -> bytes:
    fields = b"".join(
        kind + text.encode() + b"\0"
        for kind, text in ((b"S", "FATAL"), (b"C", code), (b"M", words))
    )
    return b"E" + struct.pack("!I", len(fields) + 5) + fields + b"\0"


def _pump(source: socket.socket, target: socket.socket) -> None:
    with ExitStack() as ends, suppress(OSError):
        ends.callback(_end, target)
        while content := source.recv(1 << 16):
            target.sendall(content)


def _end(target: socket.socket) -> None:
    with suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)
