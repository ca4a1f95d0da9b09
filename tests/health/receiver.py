"""A webhook's receiver on this machine: a real server that answers as told and keeps what came."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PATH = "/services/T000CANARY/B000CANARY/canarysecret77"
"""Where it listens, as secret as Slack's."""


@dataclass
class Receiver:
    """What came, and what is answered: the statuses in turn, then 200."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    headers: Mapping[str, str] = field(default_factory=dict)
    got: list[tuple[str, str, bytes]] = field(default_factory=list)


@contextmanager
def receiving(*statuses: int, headers: Mapping[str, str] | None = None) -> Iterator[Receiver]:
    """Yield a receiver that listens."""
    receiver = Receiver(statuses=list(statuses), headers=headers or {})

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            receiver.got.append((self.path, self.headers.get("Content-Type", ""), content))
            status = receiver.statuses.pop(0) if receiver.statuses else 200
            if not status:  # hang up
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}{PATH}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
