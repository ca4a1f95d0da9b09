"""Activity from a PostHog batch export: Parquet files read with DuckDB."""

from __future__ import annotations

import glob
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.activity.source import Activity, Hole, Period, Progress, Usage
from core.activity.timelines import MS_PER_DAY, from_rows
from core.errors import ExportError
from core.sections import Events
from core.sources.file_download_folder import holes_in

_REQUIRED = ("uuid", "event", "distinct_id", "timestamp")
_OPTIONAL = ("person_id", "person_properties")
_STEP = "Reading exported events"
_LONGEST_SILENCE = MS_PER_DAY
_LEAST_EXPECTED = 100
"""Events that usually come in a time, for none of them to mean that it was not exported."""

# Columns an export lacks (person_id in exports to PostgreSQL) arrive as null through this table.
_SHAPE = """
CREATE OR REPLACE TEMP TABLE shape (
    uuid VARCHAR, event VARCHAR, distinct_id VARCHAR, person_id VARCHAR,
    person_properties VARCHAR, timestamp TIMESTAMPTZ
)
"""
_EVENTS = """
CREATE OR REPLACE TEMP VIEW exported AS
SELECT uuid, event, distinct_id, person_id, person_properties, timestamp FROM shape
UNION ALL BY NAME
SELECT COLUMNS(lambda c: c IN ('uuid', 'event', 'distinct_id', 'person_id', 'person_properties',
                          'timestamp'))
FROM read_parquet(getvariable('events_files'), union_by_name = true)
"""
# The shape gives person_version, which exports may lack, a place; a persons export taken week by
# week holds a person once for each time they changed.
_PERSONS_SHAPE = """
CREATE OR REPLACE TEMP TABLE persons_shape (
    distinct_id VARCHAR, person_id VARCHAR, properties VARCHAR,
    person_distinct_id_version BIGINT, person_version BIGINT
)
"""
_PERSONS = """
CREATE OR REPLACE TEMP TABLE persons AS
SELECT distinct_id, arg_max(CAST(person_id AS VARCHAR), versions) AS person_id,
       arg_max(json_extract_string(properties, '$.email'), versions) AS email,
       arg_max(versions[2], versions) AS version
FROM (
    SELECT *, [person_distinct_id_version, coalesce(person_version, 0)] AS versions
    FROM (
        SELECT * FROM persons_shape
        UNION ALL BY NAME
        SELECT COLUMNS(lambda c: c IN ('distinct_id', 'person_id', 'properties',
                                  'person_distinct_id_version', 'person_version'))
        FROM read_parquet(getvariable('persons_files'), union_by_name = true)
    )
    WHERE distinct_id IS NOT NULL AND person_id IS NOT NULL
)
GROUP BY distinct_id
"""
_NO_PERSONS = """
CREATE OR REPLACE TEMP TABLE persons (
    distinct_id VARCHAR, person_id VARCHAR, email VARCHAR, version BIGINT
)
"""
# person_id is as of ingestion: the newest one a distinct id was exported with says who it
# belongs to now, where there is no persons export to say so.
_IDENTITIES = """
CREATE OR REPLACE TEMP TABLE identities AS
SELECT distinct_id, coalesce(persons.person_id, newest.person_id, distinct_id) AS person_id
FROM (
    SELECT distinct_id, arg_max(person_id, (timestamp, person_id)) AS person_id
    FROM exported WHERE distinct_id IS NOT NULL GROUP BY distinct_id
) AS newest FULL JOIN persons USING (distinct_id)
"""
_CODES = """
CREATE OR REPLACE TEMP TABLE codes AS
SELECT distinct_id, dense_rank() OVER (ORDER BY person_id) - 1 AS code, person_id FROM identities
"""
_WANTED = """
CREATE OR REPLACE TEMP TABLE wanted AS
SELECT unnest($events) AS event, generate_subscripts($events, 1) - 1 AS position
"""
# A uuid may stand twice and counts once. Two 64-bit hashes stand for it, because grouping millions
# of texts in the engine takes four times as long and twice the memory as sorting one of these.
_TRACKED = """
SELECT codes.code::INTEGER AS person, epoch_us(timestamp) // 1000 AS instant,
       wanted.position::SMALLINT AS event, hash(uuid) AS first, hash(uuid, 1) AS second
FROM exported JOIN wanted USING (event) JOIN codes USING (distinct_id)
WHERE timestamp >= $start AND timestamp < $end
"""
_EVENT_EMAILS = """
SELECT arg_max(json_extract_string(person_properties, '$.email'), timestamp) AS email,
       identities.person_id AS person_id
FROM exported JOIN identities USING (distinct_id)
WHERE contains(person_properties, '"email"')
  AND json_extract_string(person_properties, '$.email') IS NOT NULL
  AND identities.person_id NOT IN (SELECT person_id FROM persons)
GROUP BY identities.person_id
"""
_PERSON_EMAILS = """
SELECT DISTINCT email, person_id FROM (
    SELECT * FROM persons QUALIFY version = max(version) OVER (PARTITION BY person_id)
)
WHERE email IS NOT NULL
"""
_HAS_STRANGERS = """
SELECT exists(FROM identities WHERE person_id NOT IN (SELECT person_id FROM persons))
"""
_EXTENT = """
SELECT epoch_us(min(timestamp)) // 1000, epoch_us(max(timestamp)) // 1000, count(*) FROM exported
"""
_TOTALS = """
SELECT event, count(DISTINCT uuid) AS n, epoch_us(max(timestamp)) // 1000 AS last FROM exported
WHERE list_contains($events, event) GROUP BY event
"""


class ExportSource:
    """A folder of exported events, with its persons export where there is one."""

    kind = "export"

    def __init__(self, settings: Events) -> None:
        """Find the files.

        Raises:
            ExportError: No file matches, or a column is missing.
        """
        self.usage = Usage()
        self._settings = settings
        self._files = found_files(settings.path, key="events.path")
        self._has_persons = settings.persons is not None
        self._connection = duckdb.connect(config={"autoinstall_known_extensions": "false"})
        self._run("SET enable_progress_bar = false")
        self._emails: pd.DataFrame | None = None
        self._is_resolved = False
        self._prepare()

    @property
    def label(self) -> str:
        """Return what it is in a few words."""
        return f"PostHog export {self._settings.path}"

    @property
    def fingerprint(self) -> str:
        """Return what changes when a file is added, replaced or grows."""
        persons = (
            found_files(self._settings.persons, key="events.persons")
            if (self._settings.persons)
            else []
        )
        stats = [(str(path), path.stat()) for path in map(Path, self._files + persons)]
        return repr([(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats])

    def fetch(
        self,
        period: Period,
        events: Sequence[str],
        *,
        refresh: bool = False,  # noqa: ARG002 - files are always read as they are now
        on_progress: Progress,
    ) -> Activity:
        """Return everybody's tracked events of a period, each uuid once."""
        on_progress(_STEP, 0, 3)
        self._resolve()
        self._run(_CODES)
        on_progress(_STEP, 1, 3)
        bounds = {"start": _instant(period.start), "end": _instant(period.end)}
        self._run(_WANTED, {"events": list(events)})
        rows = _once(self._run(_TRACKED, bounds).fetchnumpy())
        on_progress(_STEP, 2, 3)
        seen = self._run("SELECT distinct_id, person_id, code FROM codes").df()
        people = seen.drop_duplicates("code").sort_values("code")["person_id"]
        # nobody who did nothing in the period, as through the API: a person's code is then the
        # same whichever way the events came
        is_active = np.bincount(rows["person"], minlength=len(people)) > 0
        timelines = from_rows(
            people.to_numpy(dtype=object)[is_active],
            (np.cumsum(is_active) - 1)[rows["person"]],
            rows["instant"],
            rows["event"],
            event_names=events,
        )
        on_progress(_STEP, 3, 3)
        extent = self._run(_EXTENT).fetchall()[0]
        return Activity(
            timelines=timelines,
            seen=seen[["distinct_id", "person_id"]].astype("str").assign(is_current=True),
            notices=self._notices(period, first=extent[0]),
            holes=self._holes(period, events, extent),
        )

    def persons_of(self, distinct_ids: Sequence[str]) -> pd.DataFrame:
        """Return `distinct_id`, `person_id` of the ids that are in the export."""
        self._resolve()
        found = self._run(
            "SELECT distinct_id, person_id FROM identities WHERE list_contains($ids, distinct_id)",
            {"ids": list(distinct_ids)},
        )
        return found.df().astype("str")

    def persons_with(self, emails: Sequence[str]) -> pd.DataFrame:
        """Return `email`, `person_id` for trimmed, case-folded e-mails."""
        if self._emails is None:
            self._resolve()
            known = self._run(_PERSON_EMAILS).df()
            if self._run(_HAS_STRANGERS).fetchall()[0][0]:  # all events have to be read for them
                known = pd.concat([known, self._run(_EVENT_EMAILS).df()], ignore_index=True)
            folded = known["email"].astype("str").str.strip().str.casefold()
            self._emails = known.astype("str").assign(email=folded).drop_duplicates()
        return self._emails[self._emails["email"].isin(list(emails))].reset_index(drop=True)

    def totals(self, events: Sequence[str]) -> pd.DataFrame:
        """Return `event`, `n` (distinct uuids) and `last` (ms) for each event that occurs."""
        return self._run(_TOTALS, {"events": list(events)}).df()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _prepare(self) -> None:
        self._run("SET VARIABLE events_files = $files", {"files": self._files})
        present = self._columns("events_files")
        missing = [name for name in _REQUIRED if name not in present]
        if missing:
            raise ExportError(
                f"The exported events at {self._settings.path} have no column {missing[0]!r}. "
                "Export the events model from PostHog as Parquet."
            )
        if "person_id" not in present and not self._has_persons:
            raise ExportError(
                f"The exported events at {self._settings.path} have no person_id; export the "
                "persons model too and set events.persons."
            )
        self._run(_SHAPE)
        self._run(_EVENTS)
        self._prepare_persons()

    def _prepare_persons(self) -> None:
        if self._settings.persons is None:
            self._run(_NO_PERSONS)
            return
        files = found_files(self._settings.persons, key="events.persons")
        self._run("SET VARIABLE persons_files = $files", {"files": files})
        self._run(_PERSONS_SHAPE)
        self._run(_PERSONS)

    def _resolve(self) -> None:
        """Say once who every distinct id belongs to; it reads all events, so not before needed."""
        if not self._is_resolved:
            self._run(_IDENTITIES)
            self._is_resolved = True

    def _columns(self, variable: str) -> set[str]:
        described = self._run(
            "SELECT name FROM parquet_schema(getvariable($variable))", {"variable": variable}
        )
        return {name for (name,) in described.fetchall()}

    def _holes(
        self, period: Period, events: Sequence[str], extent: tuple[int | None, int | None, int]
    ) -> tuple[Hole, ...]:
        """Return what is missing: as the list of a download says, else as the events show."""
        told = holes_in(self._settings.path, period, events, persons=self._settings.persons)
        return told or _not_exported(period, *extent)

    def _notices(self, period: Period, *, first: int | None) -> tuple[str, ...]:
        if first is None:
            return (f"The export {self._settings.path} holds no events at all.",)
        notices = []
        if first > period.start:
            notices.append(
                f"Exported events begin at {_instant(first):%Y-%m-%d %H:%M} UTC, later than the "
                f"first baseline ({_instant(period.start):%Y-%m-%d %H:%M}): early baselines are "
                "undercounted."
            )
        return tuple(notices)

    def _run(self, query: str, values: dict[str, Any] | None = None) -> duckdb.DuckDBPyConnection:
        try:
            return self._connection.execute(query, values or {})
        except duckdb.Error as error:
            said = str(error).splitlines()[0][:300]
            raise ExportError(f"The export {self._settings.path} cannot be read: {said}") from None


def _once(rows: Mapping[str, Any]) -> dict[str, NDArray[np.integer]]:
    """Return person, instant and event of each uuid once, at its earliest instant."""
    columns = {name: np.asarray(rows[name]) for name in ("person", "instant", "event")}
    first = np.asarray(rows["first"])
    order = np.argsort(first)
    is_again = first[order[1:]] == first[order[:-1]]
    suspects = np.union1d(order[1:][is_again], order[:-1][is_again])
    table = pd.DataFrame({name: values[suspects] for name, values in columns.items()})
    table = table.assign(row=suspects, first=first[suspects], second=rows["second"][suspects])
    table = table.sort_values(["instant", "event", "person"]).drop_duplicates(["first", "second"])
    keep = np.ones(len(first), dtype=bool)
    keep[suspects] = False
    keep[table["row"]] = True
    return columns if keep.all() else {name: values[keep] for name, values in columns.items()}


def _not_exported(
    period: Period, first: int | None, last: int | None, n_events: int
) -> tuple[Hole, ...]:
    """Return the end of a period as a hole where the export has plainly ended before it.

    A quiet day in a small product proves nothing: only where a day and a hundred events at the
    usual rate are missing is it the export that is silent, and not the users.
    """
    if first is None or last is None or last <= first:
        return ()
    silence = period.end - (last + 1)
    expected = n_events / (last - first) * silence
    if silence < _LONGEST_SILENCE or expected < _LEAST_EXPECTED:
        return ()
    why = (
        f"The exported events end at {_instant(last):%Y-%m-%d %H:%M} UTC, where about "
        f"{expected:,.0f} more are to be expected. Export the days since; as of the export's end "
        "everything is there."
    )
    return (Hole(start=max(last + 1, period.start), end=period.end, why=why),)


def found_files(pattern: str, *, key: str) -> list[str]:
    """Return the Parquet files a folder or glob names, sorted.

    Raises:
        ExportError: There are none.
    """
    path = Path(pattern)
    if path.is_dir():
        files = [str(file) for file in path.rglob("*.parquet")]
    else:
        files = glob.glob(pattern, recursive=True)  # noqa: PTH207 - Path.glob refuses absolutes
    if not files:
        raise ExportError(f"{key}: no Parquet file matches {pattern}. Check the path.")
    return sorted(files)


def _instant(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, tz=UTC)
