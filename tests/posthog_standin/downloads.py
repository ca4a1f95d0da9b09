"""PostHog's file download API over the stand-in's tables: order, status, redirect, file.

After products/batch_exports/backend/presentation/views/file_download.py and temporal/sql/events.py:
an interval is about when a row was received; rows of one run are distinct by uuid; a run that
ends without rows is Completed with no files. Persons are simplified: those whose distinct id
changed in the interval, without those whose properties alone did.
"""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from .engine import Engine
from .errors import Refusal, parse_error
from .literals import print_value

PATH: Final = re.compile(
    r"^/api/(?P<alias>projects|environments)/(?P<project>\d+|@current)/file_download_batch_exports"
    r"(?:/(?P<run>[^/]+)(?:/(?P<action>download)(?:/(?P<part>[^/.]+))?)?)?/?$"
)
FILE_PATH: Final = re.compile(r"^/signed-bucket/(?P<token>[0-9a-f-]{36})$")
MOST_UNDER_WAY: Final = 5
_WEEK: Final = timedelta(weeks=1)
_FAILED: Final = {"Failed", "FailedRetryable", "FailedBilling", "Terminated", "TimedOut"}
_FORMATS: Final = "output_format_parquet_compression_method = 'zstd'"

_EVENTS: Final = """
SELECT uuid, event, distinct_id, person_id, properties, person_properties, elements_chain,
       timestamp, created_at, _inserted_at
FROM (
    SELECT DISTINCT ON (event, distinct_id, uuid) toString(uuid) AS uuid, event, distinct_id,
           toString(person_id) AS person_id, nullIf(properties, '') AS properties,
           nullIf(person_properties, '') AS person_properties, elements_chain, timestamp,
           created_at, inserted_at AS _inserted_at
    FROM events_raw
    WHERE team_id = {team} AND inserted_at >= {start} AND inserted_at < {end}
      AND (empty({include}) OR event IN {include})
)
"""
_PERSONS: Final = """
SELECT p.team_id AS team_id, pd.distinct_id AS distinct_id, toString(pd.pid) AS person_id,
       p.properties AS properties, pd.latest AS person_distinct_id_version,
       p.newest AS person_version, p.created_at AS created_at, pd.seen AS _inserted_at,
       toBool(p.is_deleted) AS is_deleted
FROM (
    SELECT distinct_id, argMax(person_id, version) AS pid, max(version) AS latest,
           argMax(inserted_at, version) AS seen
    FROM person_distinct_id_raw WHERE team_id = {team} GROUP BY distinct_id
) AS pd INNER JOIN (
    SELECT team_id, id, argMax(person_raw.properties, version) AS properties,
           min(person_raw.created_at) AS created_at,
           argMax(person_raw.is_deleted, version) AS is_deleted,
           max(person_raw.version) AS newest
    FROM person_raw WHERE team_id = {team} GROUP BY team_id, id
) AS p ON p.id = pd.pid
WHERE seen >= {start} AND seen < {end}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """How one run goes; used up by the next order it matches.

    Attributes:
        match: only orders whose JSON holds this.
        statuses: what the run says, look by look; then it is Completed.
        error: what it says beside a failure.
        parts: files its rows are spread over; None: as many as max_size_mb asks for.
        records: rows it says it wrote, where that is to be wrong; -1 says none.
        duplicate_rows: rows that are written twice, and counted twice.
        lose_rows: rows that are counted and not written.
        other_events: whether events come that were not ordered.
        shift_days: by how much the rows are of another time.
        drop_column: a column that is missing.
        expired: whether its files are gone.
    """

    match: str | None = None
    statuses: Sequence[str] = ()
    error: str | None = None
    parts: int | None = None
    records: int | None = None
    duplicate_rows: int = 0
    lose_rows: int = 0
    other_events: bool = False
    shift_days: int = 0
    drop_column: str | None = None
    expired: bool = False


@dataclass(slots=True, kw_only=True)
class _Run:
    """A run as it stands."""

    order: Mapping[str, Any]
    script: Script
    looks: int = 0
    files: list[bytes] = field(default_factory=list)
    records: int | None = None
    is_written: bool = False

    @property
    def status(self) -> str:
        said = self.script.statuses
        if said and said[-1] in _FAILED | {"Cancelled"} and self.looks >= len(said):
            return said[-1]
        return said[self.looks] if self.looks < len(said) else "Completed"


_KEYS: Final = frozenset(one.name for one in fields(Script))


class Downloads:
    """The runs of one project."""

    def __init__(self, engine: Engine) -> None:
        self.base_url = ""
        self.most_under_way = MOST_UNDER_WAY
        self._engine = engine
        self._lock = threading.Lock()
        self._runs: dict[str, _Run] = {}
        self._scripts: list[Script] = []
        self._tokens: dict[str, bytes] = {}

    def script(self, given: Sequence[Mapping[str, Any]]) -> None:
        """Queue how the next runs go."""
        for one in given:
            unknown = sorted(set(one) - _KEYS)
            if unknown:
                raise parse_error(f"no such key: {', '.join(unknown)}; known: {sorted(_KEYS)}")
            self._scripts.append(Script(**one))

    def reset(self) -> None:
        """Forget runs, links and scripts."""
        with self._lock:
            self._runs.clear()
            self._tokens.clear()
            self._scripts.clear()
            self.most_under_way = MOST_UNDER_WAY

    def orders(self) -> list[Mapping[str, Any]]:
        """Return what was ordered, in order."""
        return [run.order for run in self._runs.values()]

    def create(self, body: bytes | None) -> tuple[int, dict[str, Any]]:
        """Take an order.

        Raises:
            Refusal: 400 for what is no order, 429 where too many are under way.
        """
        order = _checked(body)
        with self._lock:
            under_way = [
                run for run in self._runs.values() if run.status in {"Starting", "Running"}
            ]
            if len(under_way) >= self.most_under_way:
                detail = "Too many concurrent file download batch exports for this team."
                code = "too_many_concurrent_file_downloads"
                raise Refusal(429, "throttled_error", code=code, detail=detail)
            run_id = str(uuid.uuid4())
            self._runs[run_id] = _Run(order=order, script=self._next_script(json.dumps(order)))
        return 202, {"id": run_id}

    def retrieve(self, run_id: str) -> dict[str, Any]:
        """Return how far a run is; every look takes it one status further."""
        run = self._run(run_id)
        status = run.status
        run.looks += 1
        if status != "Completed":
            error = {"error": run.script.error or "It failed."} if status in _FAILED else {}
            return {"status": status, **error}
        self._write(run)
        ids = [str(uuid.uuid5(uuid.UUID(run_id), str(place))) for place in range(len(run.files))]
        said = run.records if run.script.records is None else run.script.records
        return {
            "status": status,
            "files": ids,
            "records_completed": None if said == -1 else said,
        }

    def link(self, run_id: str, part: str | None) -> str:
        """Return a link to a file.

        Raises:
            Refusal: 400 while the run is under way, failed or its files are gone; 404 for a file
                that is not there.
        """
        run = self._run(run_id)
        if not run.is_written:
            raise _invalid("Batch export run is still in progress")
        if run.script.expired:
            raise _invalid("This file download has expired")
        place = int(part) if part and part.isdigit() else 0
        if place >= len(run.files):
            raise Refusal(
                404, "invalid_request", code="not_found", detail=f"No files with index {place}"
            )
        token = str(uuid.uuid4())
        self._tokens[token] = run.files[place]
        return f"{self.base_url}/signed-bucket/{token}"

    def file(self, token: str) -> bytes | None:
        """Return the file behind a link, once; None where the link is not known."""
        return self._tokens.pop(token, None)

    def _run(self, run_id: str) -> _Run:
        run = self._runs.get(run_id)
        if run is None:
            raise Refusal(404, "invalid_request", code="not_found", detail="Not found.")
        return run

    def _next_script(self, text: str) -> Script:
        for place, script in enumerate(self._scripts):
            if script.match is None or script.match in text:
                return self._scripts.pop(place)
        return Script()

    def _write(self, run: _Run) -> None:
        if run.is_written:
            return
        sql = self._sql(run)
        run.records = self._engine.count(sql)
        wanted = sql
        if run.script.duplicate_rows:
            twice = min(run.script.duplicate_rows, run.records)
            again = f"SELECT * FROM ({sql}) LIMIT {twice}"  # noqa: S608
            wanted = f"SELECT * FROM ({sql} UNION ALL SELECT * FROM ({again}))"  # noqa: S608
            run.records += twice
        if run.script.lose_rows:
            wanted = f"SELECT * FROM ({sql}) LIMIT {max(run.records - run.script.lose_rows, 0)}"  # noqa: S608
        if run.records:
            run.files = self._files(run, wanted)
        run.is_written = True

    def _files(self, run: _Run, sql: str) -> list[bytes]:
        key = "uuid" if run.order["model"] == "events" else "distinct_id"
        if run.script.drop_column:
            sql = f"SELECT * EXCEPT ({run.script.drop_column}) FROM ({sql})"  # noqa: S608
        parts = run.script.parts
        if parts is None:
            whole = self._engine.parquet(f"{sql} SETTINGS {_FORMATS}")
            most = (run.order["file"].get("max_size_mb") or 0) * 1024**2
            if not most or len(whole) <= most:
                return [whole]
            parts = -(-len(whole) // most)
        return [
            self._engine.parquet(
                f"SELECT * FROM ({sql}) WHERE cityHash64({key}) % {parts} = {place} "  # noqa: S608
                f"SETTINGS {_FORMATS}"
            )
            for place in range(parts)
        ]

    def _sql(self, run: _Run) -> str:
        order, script = run.order, run.script
        shift = timedelta(days=script.shift_days)
        names = [] if script.other_events else list(order.get("include") or [])
        template = _EVENTS if order["model"] == "events" else _PERSONS
        # not str.format: what people call their events may hold braces
        values = {
            "{team}": str(self._engine.team_id),
            "{start}": _instant(_time(order["data_interval_start"]) + shift),
            "{end}": _instant(_time(order["data_interval_end"]) + shift),
            "{include}": f"CAST([{', '.join(map(print_value, names))}], 'Array(String)')",
        }
        return re.sub(r"\{(team|start|end|include)\}", lambda found: values[found[0]], template)


def _checked(body: bytes | None) -> Mapping[str, Any]:
    try:
        order: dict[str, Any] = json.loads(body or b"")
        start, end = _time(order["data_interval_start"]), _time(order["data_interval_end"])
        model, file = order["model"], order["file"]
        known = {"model", "file", "include", "exclude", "data_interval_start", "data_interval_end"}
        if model not in {"events", "persons"} or set(order) - known or not isinstance(file, dict):
            raise _invalid(f"The stand-in does not cover {order}")
        if file.get("format") != "Parquet" or file.get("compression") != "zstd":
            raise _invalid("The stand-in writes Parquet with zstd")
    except (ValueError, KeyError, TypeError) as error:
        raise _invalid(f"{type(error).__name__}: {error}") from None
    if start > end:
        raise _invalid("'data_interval_end' must occur after 'data_interval_start'")
    if end - start > _WEEK:
        raise _invalid("data interval range too big. Choose an interval of at most seven days.")
    if end > datetime.now(UTC):
        raise _invalid(f"The provided 'data_interval_end' ({end.isoformat()}) is in the future")
    return order


def _invalid(detail: str) -> Refusal:
    return Refusal(400, "validation_error", code="invalid_input", detail=detail)


def _time(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _instant(at: datetime) -> str:
    return f"fromUnixTimestamp64Micro({int(at.timestamp() * 1_000_000)}, 'UTC')"
