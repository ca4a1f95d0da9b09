"""Time limits kept from this side of a connection.

A server's own statement timeout does not help where the server, or a proxy before it, falls
silent while its kernel keeps acknowledging: libpq then waits for ever. Shutting the socket from
another thread ends the wait, and frees thread and pool slot. SQLite has no time limit at all, so
its progress callback serves as one.
"""

from __future__ import annotations

import os
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

GRACE_SECONDS = 5.0
"""What a server may need beyond its own limit to say that the limit was reached."""
_STEPS_BETWEEN_LOOKS = 100_000


def watched(seconds: float) -> dict[str, Any]:
    """Return psycopg2's connect arguments that give up a server silent for that long.

    They are classes of connection and cursor, so that the pool's own pings, commits and
    rollbacks are under the limit too.
    """
    from psycopg2 import extensions  # type: ignore[import-untyped]

    class WatchedCursor(extensions.cursor):  # type: ignore[misc]
        """A cursor whose socket is shut when the server stays silent."""

        def execute(self, query: Any, vars: Any = None) -> None:  # noqa: A002, ANN401
            """Execute a statement, within the limit."""
            with _shutting(self.connection, seconds):
                super().execute(query, vars)

        def fetchmany(self, size: int | None = None) -> list[tuple[Any, ...]]:
            """Return the next rows, within the limit."""
            with _shutting(self.connection, seconds):
                rows: list[tuple[Any, ...]] = super().fetchmany(size or self.arraysize)
                return rows

        def close(self) -> None:
            """Close the cursor, within the limit."""
            with _shutting(self.connection, seconds):
                super().close()

    class WatchedConnection(extensions.connection):  # type: ignore[misc]
        """A connection whose socket is shut when the server stays silent."""

        def commit(self) -> None:
            """End the transaction, within the limit."""
            with _shutting(self, seconds):
                super().commit()

        def rollback(self) -> None:
            """End the transaction, within the limit."""
            with _shutting(self, seconds):
                super().rollback()

    return {"connection_factory": WatchedConnection, "cursor_factory": WatchedCursor}


@contextmanager
def _shutting(connection: Any, seconds: float) -> Iterator[None]:  # noqa: ANN401
    """Shut the connection's socket unless the body ends in time."""
    if connection.closed:
        yield
        return
    timer = threading.Timer(seconds, _shut, [connection.fileno()])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _shut(descriptor: int) -> None:
    """Shut a socket both ways; closing it is its owner's business."""
    with suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as line:
        line.shutdown(socket.SHUT_RDWR)


class Deadline:
    """The time limit of SQLite's current statement."""

    def __init__(self, connection: sqlite3.Connection, seconds: float) -> None:
        self._seconds = seconds
        self.restart()
        connection.set_progress_handler(self._is_over, _STEPS_BETWEEN_LOOKS)

    def restart(self) -> None:
        """Give the next statement its whole time."""
        self._end = time.monotonic() + self._seconds

    def _is_over(self) -> bool:
        return time.monotonic() > self._end
