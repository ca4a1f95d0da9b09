"""The HTTP server: reads requests, hands them to the service, and sends answers as told."""

from __future__ import annotations

import gzip
import json
import socket
import struct
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from .errors import Refusal, parse_error
from .faults import NO_FAULT, Fault
from .service import Answer, Asked, Service

CONTROL: Final = "/__control__/"
_PIECE: Final = 1 << 20
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class Server(ThreadingHTTPServer):
    """One thread a connection."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], service: Service) -> None:
        super().__init__(address, _Handler)
        self.service = service


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    # Head and body leave in one packet; two would meet the client's delayed acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing; the ledger knows."""

    def do_GET(self) -> None:
        """Answer a GET."""
        self._serve()

    def do_POST(self) -> None:
        """Answer a POST."""
        self._serve()

    def do_DELETE(self) -> None:
        """Answer a DELETE."""
        self._serve()

    def _serve(self) -> None:
        if self.path.startswith(CONTROL):
            self._send(self._control())
            return
        service = self.server.service
        entry = service.ledger.open(self.command, self.path)
        asked = Asked(
            method=self.command,
            path=self.path,
            authorization=self.headers.get("Authorization"),
            body=self._body(service.limits.max_body),
        )
        answer = service.answer(asked, entry)
        # Closed twice: whoever reads the ledger right after the answer must find it ended.
        service.ledger.close(entry)
        try:
            self._send(answer)
        except OSError:
            # The client has gone, as clients with a deadline do.
            self.close_connection = True
        finally:
            service.ledger.close(entry)

    def _control(self) -> Answer:
        try:
            given = json.loads(self._body(1 << 26) or b"{}")
            action = self.path.removeprefix(CONTROL).strip("/")
            result = self.server.service.control(action, given)
            return _json(200, result)
        except Refusal as refusal:
            return _json(refusal.status, refusal.body)
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            return _json(400, parse_error(f"{type(error).__name__}: {error}").body)

    def _body(self, most: int) -> bytes | None:
        length = int(self.headers.get("Content-Length") or 0)
        if length <= most:
            return self.rfile.read(length)
        # Read to the end all the same: a client still sending would see a reset, not the answer.
        while length > 0:
            piece = self.rfile.read(min(length, _PIECE))
            if not piece:
                break
            length -= len(piece)
        self.close_connection = True
        return None

    def _send(self, answer: Answer) -> None:
        fault = answer.fault
        if answer.status is None:
            self._hang_up(fault)
            return
        body = answer.body + b" " * fault.pad
        body = gzip.compress(body, compresslevel=1) if fault.gzip else body
        self.send_response_only(answer.status)
        for name, value in self._headers(answer, body).items():
            self.send_header(name, value)
        self.end_headers()
        self._send_body(body, fault)
        if fault.truncate is not None or fault.no_length:
            self._hang_up(fault)

    def _headers(self, answer: Answer, body: bytes) -> Mapping[str, str]:
        is_json = body[:1] in {b"{", b"["} or answer.fault.gzip
        headers = {
            "Date": self.date_time_string(),
            "Content-Type": "application/json" if is_json else "text/html",
        }
        if answer.fault.gzip:
            headers["Content-Encoding"] = "gzip"
        if answer.fault.no_length:
            headers["Connection"] = "close"
        else:
            headers["Content-Length"] = str(len(body))
        return {**headers, **answer.headers}

    def _send_body(self, body: bytes, fault: Fault) -> None:
        body = body if fault.truncate is None else body[: fault.truncate]
        step = fault.drip_bytes or len(body) or 1
        for start in range(0, len(body), step):
            if fault.drip_bytes:
                self.wfile.flush()
                time.sleep(fault.drip_seconds)
            self.wfile.write(body[start : start + step])
        self.wfile.flush()

    def _hang_up(self, fault: Fault) -> None:
        self.close_connection = True
        self.wfile.flush()
        if fault.reset:
            linger = socket.SOL_SOCKET, socket.SO_LINGER
            self.connection.setsockopt(*linger, _RESET_ON_CLOSE)
            self.connection.close()
            return
        self.connection.shutdown(socket.SHUT_RDWR)


def _json(status: int, body: Mapping[str, object]) -> Answer:
    return Answer(status=status, headers={}, body=json.dumps(body).encode(), fault=NO_FAULT)
