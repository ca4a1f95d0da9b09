"""One chdb session: the world's tables, HogQL's views over them, and queries with PostHog's caps.

chdb allows one data path a process, so there is one engine a process.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from chdb.session import Session

from .errors import refused_by_clickhouse
from .views import view_statements
from .world import Export, load_export, merge_statements

MAX_QUERY_BYTES: Final = 1_048_576

# What PostHog sets on every query, and what makes chdb's JSON look like PostHog's.
_SETTINGS: Final[Mapping[str, str]] = {
    "readonly": "2",
    "transform_null_in": "1",
    "max_ast_elements": "4000000",
    "max_expanded_ast_elements": "4000000",
    "max_bytes_before_external_group_by": "0",
    "timeout_before_checking_execution_speed": "0",
    # Defaults of PostHog's ClickHouse (25.8) that chdb's has left behind.
    "cast_string_to_date_time_mode": "'basic'",
    "date_time_input_format": "'basic'",
    "use_variant_as_common_type": "0",
    "date_time_output_format": "'unix_timestamp'",
    "output_format_json_quote_64bit_integers": "0",
    "output_format_json_quote_denormals": "0",
    "output_format_json_named_tuples_as_objects": "0",
    "output_format_json_escape_forward_slashes": "0",
}
_DATA_START: Final = b',\n\n\t"data":\n\t'
_LIST_END: Final = b"\n\t],"
_DATA_END: Final = _LIST_END + b'\n\n\t"rows":'


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """What the engine answered.

    Attributes:
        names: column names, as ClickHouse has them.
        types: column types.
        data: the rows as JSON text, a list of lists.
        count: how many rows.
        bytes_read: uncompressed bytes the query read.
    """

    names: tuple[str, ...]
    types: tuple[str, ...]
    data: bytes
    count: int
    bytes_read: int


class Engine:
    """A loaded world that runs ClickHouse SQL, one statement at a time."""

    def __init__(self, export: Export, *, timezone: str, directory: Path) -> None:
        self.team_id = export.team_id
        self._lock = threading.Lock()
        self._session = Session(str(directory))
        self._run(f"SET max_query_size = {MAX_QUERY_BYTES}")
        # Parts stay as loaded, so that equal queries read equal bytes, and no merge takes a core.
        self._run("SYSTEM STOP MERGES")
        load_export(export, self._run, self._describe)
        for statement in view_statements(export.team_id, {"UTC", timezone}):
            self._run(statement)

    def query(self, sql: str, *, seconds: float) -> Rows:
        """Run a SELECT for at most so many seconds.

        Raises:
            Refusal: what PostHog answers for the ClickHouse error that came.
        """
        settings = {**_SETTINGS, "max_execution_time": f"{seconds:g}"}
        tail = ", ".join(f"{name} = {value}" for name, value in settings.items())
        with self._lock:
            try:
                answer = self._session.query(f"{sql} SETTINGS {tail}", "JSONCompact")
            except RuntimeError as error:
                # chdb 4.4 keeps what a failed query had already written, and puts it before the
                # output of the next one; this one takes it away.
                self._session.query("SELECT 1", "JSONCompact")
                if "DB::Exception" not in str(error):
                    raise
                raise refused_by_clickhouse(str(error)) from None
            text = bytes(answer.bytes())
        return _split(text)

    def parquet(self, sql: str) -> bytes:
        """Return the rows of a SELECT as a Parquet file."""
        with self._lock:
            return bytes(self._session.query(sql, "Parquet").bytes())

    def count(self, sql: str) -> int:
        """Return how many rows a SELECT has."""
        with self._lock:
            answer = self._session.query(f"SELECT count() FROM ({sql})", "JSONCompact")  # noqa: S608
            return int(json.loads(answer.bytes())["data"][0][0])

    def merge(self, distinct_id: str, person_id: str) -> None:
        """Move a distinct id to another person, from now on."""
        with self._lock:
            for statement in merge_statements(distinct_id, person_id, self.team_id):
                self._run(statement)

    def close(self) -> None:
        """End the session."""
        self._session.close()

    def _run(self, statement: str) -> None:
        self._session.query(statement)

    def _describe(self, source: str) -> list[str]:
        answer = self._session.query(f"DESCRIBE TABLE {source}", "JSONCompact")
        return [row[0] for row in json.loads(answer.bytes())["data"]]


def _split(text: bytes) -> Rows:
    # Millions of numbers pass through here unparsed. A raw line break cannot stand inside a JSON
    # string, so both marks are found for certain.
    start = text.index(_DATA_START)
    end = text.index(_DATA_END, start)
    head: dict[str, Any] = json.loads(text[:start] + b"}")
    tail: dict[str, Any] = json.loads(b"{" + text[end + len(_LIST_END) :])
    return Rows(
        names=tuple(column["name"] for column in head["meta"]),
        types=tuple(column["type"] for column in head["meta"]),
        data=text[start + len(_DATA_START) : end] + b"]",
        count=tail["rows"],
        bytes_read=tail["statistics"]["bytes_read"],
    )
