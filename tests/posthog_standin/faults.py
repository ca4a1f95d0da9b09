"""Faults that tests script: each is used up by the next query it matches.

A fault is a flat JSON object; every key is optional and they combine. To add one, add a field to
`Fault` and read it where its moment is: `Service` (before and while a query runs), `change_rows`
and `change_fields` below (the answer), or `wire.py` (how the answer is sent).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

from .errors import parse_error


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One scripted fault.

    Attributes:
        name: a label for the ledger.
        match: only queries whose text holds this are hit.
        repeat: how many queries are hit; 0 for all of them.
        delay: seconds to wait before anything else.
        status: answer with this status and `body` instead of running the query.
        body: what to answer then; an object goes out as JSON, a string as it is.
        run_anyway: run the query (and charge it) although `status` replaces its answer.
        headers: headers to add to, or replace in, whatever is answered.
        hold: seconds to keep the query's place before it runs.
        merge: `{"distinct_id", "person_id"}`, applied just before the query runs.
        rows_clamp: silently keep only so many rows.
        drop_rows: silently lose so many rows at the end.
        duplicate_rows: send the first so many rows twice.
        append_rows: rows to add.
        set_fields: fields of the answer to overwrite.
        drop_fields: fields of the answer to leave out.
        disconnect: close the connection `before` or `after` (true: before) the query ran.
        reset: close by RST instead of FIN.
        truncate: send only so many bytes of the body, under the full Content-Length.
        no_length: send no Content-Length; the end of the connection ends the body.
        pad: blanks to add to the body; with `gzip`, a small answer that unpacks to a huge one.
        gzip: compress the body, whatever the client accepts.
        drip_bytes: send the body in pieces of so many bytes ...
        drip_seconds: ... with such a pause before each.
    """

    name: str | None = None
    match: str | None = None
    repeat: int = 1
    delay: float = 0.0
    status: int | None = None
    body: Any = None
    run_anyway: bool = False
    headers: Mapping[str, str] | None = None
    hold: float = 0.0
    merge: Mapping[str, str] | None = None
    rows_clamp: int | None = None
    drop_rows: int = 0
    duplicate_rows: int = 0
    append_rows: Sequence[Sequence[Any]] = ()
    set_fields: Mapping[str, Any] | None = None
    drop_fields: Sequence[str] = ()
    disconnect: Literal["before", "after"] | bool = False
    reset: bool = False
    truncate: int | None = None
    no_length: bool = False
    pad: int = 0
    gzip: bool = False
    drip_bytes: int = 0
    drip_seconds: float = 0.0

    @property
    def leaves(self) -> Literal["before", "after"] | None:
        """When the connection is closed without an answer."""
        if self.disconnect is True:
            return "before"
        return self.disconnect or None

    @property
    def changes_rows(self) -> bool:
        """Whether the rows have to be touched."""
        return bool(
            self.rows_clamp is not None or self.drop_rows or self.duplicate_rows or self.append_rows
        )


NO_FAULT = Fault()
_KEYS = frozenset(field.name for field in fields(Fault))


def read_fault(given: Mapping[str, Any]) -> Fault:
    """Return a fault from its JSON object.

    Raises:
        Refusal: 400 for a key no fault has, so that a misspelt fault cannot pass as none.
    """
    unknown = sorted(set(given) - _KEYS)
    if unknown:
        raise parse_error(f"no such fault key: {', '.join(unknown)}; known: {sorted(_KEYS)}")
    return Fault(**given)


class Script:
    """The queue of scripted faults."""

    def __init__(self) -> None:
        self._left: list[tuple[Fault, int]] = []
        self._lock = threading.Lock()

    def add(self, faults: Sequence[Fault]) -> None:
        """Queue faults behind those already there."""
        with self._lock:
            self._left.extend((fault, fault.repeat) for fault in faults)

    def clear(self) -> None:
        """Forget what is queued."""
        with self._lock:
            self._left.clear()

    def next_for(self, text: str) -> Fault:
        """Return the first queued fault that hits a query of this text, used up by one."""
        with self._lock:
            for place, (fault, left) in enumerate(self._left):
                if fault.match is not None and fault.match not in text:
                    continue
                if left == 1:
                    del self._left[place]
                else:
                    self._left[place] = fault, max(left - 1, 0)
                return fault
        return NO_FAULT


def change_rows(fault: Fault, rows: list[list[Any]]) -> list[list[Any]]:
    """Return the rows as the fault leaves them."""
    changed = rows if fault.rows_clamp is None else rows[: fault.rows_clamp]
    if fault.drop_rows:
        changed = changed[: -fault.drop_rows]
    return [*changed, *changed[: fault.duplicate_rows], *(list(row) for row in fault.append_rows)]


def change_fields(fault: Fault, answer: dict[str, Any]) -> dict[str, Any]:
    """Return the answer's fields as the fault leaves them."""
    changed = {**answer, **(fault.set_fields or {})}
    return {name: value for name, value in changed.items() if name not in fault.drop_fields}
