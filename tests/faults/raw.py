"""A server that says whatever bytes it is told, when it is told, over TLS or in the clear."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

Say = Callable[[socket.socket, bytes], None]
"""Given the line and the request that came, says what it likes; the line is closed after it."""


class RawServer:
    """Listens on loopback.

    Attributes:
        requests: What came, decrypted; empty bytes for a line on which nothing was said.
    """

    def __init__(self, say: Say, secure: ssl.SSLContext | None = None) -> None:
        self._say = say
        self._secure = secure
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._lines: list[socket.socket] = []
        self.requests: list[bytes] = []
        self._threads = [threading.Thread(target=self._listen)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        scheme = "https" if self._secure else "http"
        return f"{scheme}://127.0.0.1:{self._listening.getsockname()[1]}"

    def close(self) -> None:
        """Hang up on everybody; all that came is in `requests` afterwards."""
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._threads[0].join()
        for line in self._lines:
            with suppress(OSError):
                socket.socket.shutdown(line, socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join()

    def _listen(self) -> None:
        while True:
            try:
                line, _ = self._listening.accept()
            except OSError:
                return
            self._lines.append(line)
            thread = threading.Thread(target=self._serve, args=[line])
            self._threads.append(thread)
            thread.start()

    def _serve(self, line: socket.socket) -> None:
        with line, suppress(OSError):
            if self._secure is not None:
                try:
                    line = self._secure.wrap_socket(line, server_side=True)
                    self._lines.append(line)
                except OSError:
                    self.requests.append(b"")
                    raise
            with line:
                request = read_request(line)
                self.requests.append(request)
                self._say(line, request)


@contextmanager
def raw_server(say: Say, secure: ssl.SSLContext | None = None) -> Iterator[RawServer]:
    """Run a server for a while."""
    server = RawServer(say, secure)
    try:
        yield server
    finally:
        server.close()


def read_request(line: socket.socket) -> bytes:
    """Return one request, or what came before the other side left."""
    got = bytearray()
    while b"\r\n\r\n" not in got:
        piece = line.recv(65536)
        if not piece:
            return bytes(got)
        got += piece
    head, _, rest = bytes(got).partition(b"\r\n\r\n")
    length = next(
        int(row.split(b":")[1])
        for row in head.split(b"\r\n")
        if row.lower().startswith(b"content-length:")
    )
    while len(rest) < length:
        piece = line.recv(65536)
        if not piece:
            break
        rest += piece
    return head + b"\r\n\r\n" + rest


def certificate(folder: Path, name: str, *, alternative: str) -> tuple[ssl.SSLContext, Path]:
    """Return a server's side of TLS with a certificate of its own, and the certificate."""
    key, file = folder / f"{name}.key", folder / f"{name}.pem"
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
            "-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext",
            f"subjectAltName={alternative}", "-keyout", str(key), "-out", str(file),
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, key)
    return context, file
