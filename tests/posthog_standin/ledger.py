"""What was asked of the stand-in, request by request. No keys, and of values only their sizes."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(slots=True, kw_only=True)
class Entry:
    """One request.

    Attributes:
        index: its place in the ledger, from 0.
        started: monotonic seconds when its head was read.
        ended: monotonic seconds when its answer was sent, None while under way.
        method: HTTP method.
        path: path, with the query string.
        status: HTTP status; None where the connection was closed without one.
        code: the `code` of an error body.
        cause: what ClickHouse said, where it refused.
        fault: the name of the fault that hit it, "fault" for one without a name.
        kind: HogQLQuery or TrendsQuery.
        query: the text, as sent.
        values: name -> number of items (lists), characters (strings) or 1.
        refresh: as sent.
        name: the request's name.
        client_query_id: as sent.
        rows: rows answered.
        request_bytes: bytes of the request's body.
        response_bytes: bytes of the answer's body, before truncation.
        bytes_read: what the engine read.
        is_cached: whether the answer came from the cache.
        waited: seconds spent waiting for a place.
        has_authorization: whether a key came with it.
    """

    index: int
    started: float
    method: str
    path: str
    ended: float | None = None
    status: int | None = None
    code: str | None = None
    cause: str | None = None
    fault: str | None = None
    kind: str | None = None
    query: str | None = None
    values: dict[str, int] = field(default_factory=dict)
    refresh: str | bool | None = None
    name: str | None = None
    client_query_id: str | None = None
    rows: int | None = None
    request_bytes: int = 0
    response_bytes: int = 0
    bytes_read: int | None = None
    is_cached: bool = False
    waited: float = 0.0
    has_authorization: bool = False


class Ledger:
    """All requests since the start or the last reset."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._lock = threading.Lock()

    def open(self, method: str, path: str) -> Entry:
        """Return a new entry, begun now."""
        with self._lock:
            entry = Entry(
                index=len(self._entries), started=time.monotonic(), method=method, path=path
            )
            self._entries.append(entry)
            return entry

    def close(self, entry: Entry) -> None:
        """Mark an entry as answered now."""
        entry.ended = time.monotonic()

    def clear(self) -> None:
        """Forget all requests."""
        with self._lock:
            self._entries.clear()

    def dump(self) -> list[dict[str, Any]]:
        """Return the entries as JSON objects."""
        with self._lock:
            return [asdict(entry) for entry in self._entries]


def size_of(values: Mapping[str, Any] | None) -> dict[str, int]:
    """Return name -> size of the values of a query."""
    return {
        name: len(value) if isinstance(value, (str, list, dict)) else 1
        for name, value in (values or {}).items()
    }
