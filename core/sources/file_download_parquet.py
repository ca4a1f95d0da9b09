"""One week's Parquet file from the files PostHog gave: checked, and no more than is measured.

Of properties only the e-mail is kept: what people did beside the tracked events, and everything
else PostHog knows of them, never comes to stand in the folder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import duckdb

from core.errors import ExportError
from core.sources.file_download_api import Model, Order

MEMORY: Final = "1GB"
_REQUIRED: Final[Mapping[Model, tuple[str, ...]]] = {
    "events": ("uuid", "event", "distinct_id", "person_id", "timestamp", "_inserted_at"),
    "persons": ("distinct_id", "person_id", "person_distinct_id_version", "_inserted_at"),
}
_AWARE: Final = {"TIMESTAMP WITH TIME ZONE"}

# Tables of no rows: columns that an export lacks arrive as null, and types are always these.
_SHAPES: Final[Mapping[Model, str]] = {
    "events": """
CREATE TEMP TABLE shape (
    uuid VARCHAR, event VARCHAR, distinct_id VARCHAR, person_id VARCHAR,
    person_properties VARCHAR, timestamp TIMESTAMPTZ, created_at TIMESTAMPTZ,
    _inserted_at TIMESTAMPTZ
)
""",
    "persons": """
CREATE TEMP TABLE shape (
    team_id BIGINT, distinct_id VARCHAR, person_id VARCHAR, properties VARCHAR,
    person_distinct_id_version BIGINT, person_version BIGINT, created_at TIMESTAMPTZ,
    _inserted_at TIMESTAMPTZ, is_deleted BOOLEAN
)
""",
}
_NO_FILES: Final = "CREATE TEMP VIEW given AS SELECT * FROM shape"
_FILES: Final[Mapping[Model, str]] = {
    "events": """
CREATE TEMP VIEW given AS SELECT * FROM shape UNION ALL BY NAME
SELECT COLUMNS(lambda c: c IN ('uuid', 'event', 'distinct_id', 'person_id', 'person_properties',
                               'timestamp', 'created_at', '_inserted_at'))
FROM read_parquet(getvariable('files'), union_by_name = true)
""",
    "persons": """
CREATE TEMP VIEW given AS SELECT * FROM shape UNION ALL BY NAME
SELECT COLUMNS(lambda c: c IN ('team_id', 'distinct_id', 'person_id', 'properties',
                               'person_distinct_id_version', 'person_version', 'created_at',
                               '_inserted_at', 'is_deleted'))
FROM read_parquet(getvariable('files'), union_by_name = true)
""",
}
# Sorted, so that the same rows give the same bytes whatever files they came in.
_KEPT: Final[Mapping[Model, str]] = {
    "events": """
SELECT uuid, event, distinct_id, person_id,
       CASE WHEN email IS NULL THEN '{}' ELSE CAST(json_object('email', email) AS VARCHAR) END
           AS person_properties,
       timestamp, created_at, _inserted_at
FROM (SELECT *, TRY(json_extract_string(person_properties, '$.email')) AS email FROM given)
ORDER BY timestamp, uuid, _inserted_at, distinct_id
""",
    "persons": """
SELECT team_id, distinct_id, person_id,
       CASE WHEN email IS NULL THEN '{}' ELSE CAST(json_object('email', email) AS VARCHAR) END
           AS properties,
       person_distinct_id_version, person_version, created_at, _inserted_at, is_deleted
FROM (SELECT *, TRY(json_extract_string(properties, '$.email')) AS email FROM given)
ORDER BY distinct_id, person_distinct_id_version, person_version, person_id
""",
}
_COUNTS: Final[Mapping[Model, str]] = {
    "events": """
SELECT count(*), count(*) FILTER (
           uuid IS NULL OR event IS NULL OR distinct_id IS NULL OR timestamp IS NULL),
       count(*) FILTER (_inserted_at IS NULL OR _inserted_at < $start OR _inserted_at >= $end),
       count(*) FILTER (NOT list_contains($include, event))
FROM read_parquet($file)
""",
    "persons": """
SELECT count(*), count(*) FILTER (
           distinct_id IS NULL OR person_id IS NULL OR person_distinct_id_version IS NULL),
       count(*) FILTER (_inserted_at IS NULL OR _inserted_at < $start OR _inserted_at >= $end),
       count(*) FILTER (len($include) > 0)
FROM read_parquet($file)
""",
}


class WeekRefusedError(ExportError):
    """What PostHog gave is not what was ordered, or not whole."""


def write_week(parts: Sequence[Path], target: Path, order: Order, n_rows: int | None) -> int:
    """Write the rows of all parts into one new file, check it, and return how many there are.

    Args:
        parts: The files as PostHog gave them; none where there were no rows.
        target: The file to write; it may also be used as scratch space beside.
        order: What was ordered.
        n_rows: How many rows PostHog says there are, where it does.

    Raises:
        WeekRefusedError: A file is damaged or not Parquet, a column is missing, or rows are.
        ExportError: There is no room.
    """
    settings: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": "false",
        "temp_directory": str(target.parent),
    }
    with closing(duckdb.connect(config=settings)) as connection:
        try:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute("SET enable_progress_bar = false")  # it writes to standard output
            connection.execute("SET memory_limit = $limit", {"limit": MEMORY})
            _gather(connection, parts, order)
            connection.sql(_KEPT[order.model]).write_parquet(str(target), compression="zstd")
            return _checked(connection, target, order, n_rows)
        except duckdb.Error as error:
            said = str(error).splitlines()[0][:200]
            if "no space" in said.lower() or isinstance(error, duckdb.OutOfMemoryException):
                raise ExportError(
                    f"There is no room for the {order.words} in {target.parent} or in memory "
                    f"({said}). Make room and run it again; what was fetched is kept."
                ) from error
            raise WeekRefusedError(
                f"A file with the {order.words} is damaged or no Parquet file ({said})."
            ) from error


def _gather(connection: duckdb.DuckDBPyConnection, parts: Sequence[Path], order: Order) -> None:
    connection.execute(_SHAPES[order.model])
    if not parts:
        connection.execute(_NO_FILES)
        return
    connection.execute("SET VARIABLE files = $files", {"files": [str(part) for part in parts]})
    described = connection.sql(
        "DESCRIBE SELECT * FROM read_parquet(getvariable('files'), union_by_name = true)"
    )
    types = {str(row[0]): str(row[1]) for row in described.fetchall()}
    missing = [name for name in _REQUIRED[order.model] if name not in types]
    if missing:
        raise WeekRefusedError(f"The {order.words} came without a column {missing[0]!r}.")
    if order.model == "events" and types["timestamp"] not in _AWARE:
        raise WeekRefusedError(f"The {order.words} came with timestamps of no time zone.")
    connection.execute(_FILES[order.model])


def _checked(
    connection: duckdb.DuckDBPyConnection, file: Path, order: Order, n_rows: int | None
) -> int:
    values: dict[str, Any] = {
        "file": str(file),
        "start": order.start,
        "end": order.end,
        "include": list(order.include),
    }
    found = connection.execute(_COUNTS[order.model], values).fetchall()[0]
    n_found, n_null, n_outside, n_other = (int(number) for number in found)
    fault = fault_of(n_found, n_rows, n_null=n_null, n_outside=n_outside, n_other=n_other)
    if fault:
        raise WeekRefusedError(f"The {order.words} are not what was ordered: {fault}.")
    return n_found


def fault_of(n_found: int, n_rows: int | None, *, n_null: int, n_outside: int, n_other: int) -> str:
    """Return what is wrong with a week's rows, or nothing.

    Args:
        n_found: Rows there are.
        n_rows: Rows PostHog says it wrote, where it does.
        n_null: Rows without what identifies them.
        n_outside: Rows that PostHog did not receive in the interval.
        n_other: Rows of events that were not ordered.
    """
    if n_rows is not None and n_found != n_rows:
        return f"PostHog wrote {n_rows:,} rows and {n_found:,} came"
    if n_null:
        return f"{n_null:,} rows lack an id or a time"
    if n_outside:
        return f"{n_outside:,} rows are of another time"
    if n_other:
        return f"{n_other:,} rows are of other events"
    return ""
