"""Time limits kept from this side of a connection.

A server's own statement timeout does not help where the server, or a proxy before it, falls
silent while its kernel keeps acknowledging: libpq then waits for ever. Shutting the socket from
another thread ends the wait, and frees thread and pool slot. SQLite has no time limit at all, so
its progress callback serves as one.
"""

from __future__ import annotations

import math
import os
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy.engine import Connection

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


class Limit:
    """The time by which a whole reading must be over, whatever the server does.

    Attributes:
        is_over: Whether it had to be ended.
    """

    def __init__(self, until: float) -> None:
        """Set the limit.

        Args:
            until: An instant of `time.monotonic`.
        """
        self._until = until
        self.is_over = False

    @contextmanager
    def on(self, connection: Connection) -> Iterator[None]:
        """End what a connection waits for in the body once the time is over."""
        driver = connection.connection.driver_connection
        deadline = connection.info.get("deadline")
        if deadline is not None:
            with deadline.within(self):
                yield
        elif self._until < math.inf and hasattr(driver, "fileno"):
            with _shutting(driver, self._until - time.monotonic(), self._end):
                yield
        else:
            yield

    def look(self) -> bool:
        """Return whether the time is over, and remember that it was."""
        self.is_over = self.is_over or time.monotonic() >= self._until
        return self.is_over

    def _end(self) -> None:
        self.is_over = True


@contextmanager
def _shutting(
    connection: Any,  # noqa: ANN401
    seconds: float,
    is_over: Callable[[], None] = lambda: None,
) -> Iterator[None]:
    """Shut the connection's socket unless the body ends in time."""
    if connection.closed:
        yield
        return
    line = _Line(connection.fileno(), is_over)
    timer = threading.Timer(max(seconds, 0.0), line.shut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        line.close()


class _Line:
    """A second handle on a socket, so that what is shut is never another one with its number."""

    def __init__(self, descriptor: int, is_over: Callable[[], None]) -> None:
        self._socket = socket.socket(fileno=os.dup(descriptor))
        self._is_over = is_over
        self._lock = threading.Lock()

    def shut(self) -> None:
        """Shut the socket both ways; closing it is its owner's business."""
        with self._lock, suppress(OSError):
            if self._socket.fileno() >= 0:
                self._is_over()
                self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close this handle; the socket stays as it is."""
        with self._lock:
            self._socket.close()


class Deadline:
    """The time limit of SQLite's current statement."""

    def __init__(self, connection: sqlite3.Connection, seconds: float) -> None:
        self._seconds = seconds
        self._whole: Limit | None = None
        self.restart()
        connection.set_progress_handler(self._is_over, _STEPS_BETWEEN_LOOKS)

    def restart(self) -> None:
        """Give the next statement its whole time."""
        self._end = time.monotonic() + self._seconds

    @contextmanager
    def within(self, limit: Limit) -> Iterator[None]:
        """Keep to the limit of a whole reading, too, while the body lasts."""
        self._whole = limit
        try:
            yield
        finally:
            self._whole = None

    def _is_over(self) -> bool:
        if self._whole is not None and self._whole.look():
            return True
        return time.monotonic() > self._end
