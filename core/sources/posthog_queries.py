"""What PostHog is asked in HogQL, and what an answer must look like to be believed.

Texts are constants; what varies goes through {placeholders}. Every query that lists something
counts its rows before LIMIT (`n_rows`) and begins with a row of nobody, so that an answer proves
itself whole, one that found nothing too. An event is one
integer, (instant - origin) * n_events + position of its name, which halves the bytes.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from core.activity import slices
from core.errors import DataError, QueryTooBig
from core.sources.posthog_answers import Answer

# Events without a person (propertyless) count for their distinct id.
SLICE_QUERY = """
SELECT who, distinct_ids, codes, count() OVER () AS n_rows
FROM (
    SELECT '' AS who, [''] AS distinct_ids, [0] AS codes
    UNION ALL
    SELECT who, groupUniqArray(distinct_id) AS distinct_ids,
           arraySort(arrayMap(x -> tupleElement(x, 1), groupUniqArray(tuple(code, uuid)))) AS codes
    FROM (
        SELECT coalesce(nullIf(nullIf(toString(person_id), ''),
                               '00000000-0000-0000-0000-000000000000'), distinct_id) AS who,
               distinct_id, uuid,
               (toUnixTimestamp64Milli(timestamp) - {origin_ms}) * {n_events}
                   + indexOf({events}, event) - 1 AS code
        FROM events
        WHERE timestamp >= fromUnixTimestamp({t_from}) AND timestamp < fromUnixTimestamp({t_to})
          AND event IN {events}
    )
    WHERE modulo(cityHash64(who), {shards}) = {shard} AND who != ''
    GROUP BY who
)
ORDER BY who
LIMIT 50000
"""
# A merged person has several distinct ids, so these are all whose events may stand under another.
MERGED_QUERY = """
SELECT who, distinct_ids, count() OVER () AS n_rows
FROM (
    SELECT '' AS who, [''] AS distinct_ids
    UNION ALL
    SELECT toString(person_id) AS who, groupUniqArray(distinct_id) AS distinct_ids
    FROM person_distinct_ids
    WHERE modulo(cityHash64(toString(person_id)), {shards}) = {shard}
    GROUP BY who
    HAVING uniqExact(distinct_id) > 1
)
ORDER BY who
LIMIT 50000
"""
PERSONS_QUERY = """
SELECT who, distinct_ids, count() OVER () AS n_rows
FROM (
    SELECT '' AS who, [''] AS distinct_ids
    UNION ALL
    SELECT toString(person_id) AS who, groupUniqArray(distinct_id) AS distinct_ids
    FROM person_distinct_ids
    WHERE person_id IN (SELECT person_id FROM person_distinct_ids WHERE distinct_id IN {ids})
    GROUP BY who
)
ORDER BY who
LIMIT 50000
"""
EMAILS_QUERY = """
SELECT email, who, count() OVER () AS n_rows
FROM (
    SELECT '' AS email, '' AS who
    UNION ALL
    SELECT p.email AS email, toString(pdi.person_id) AS who
    FROM person_distinct_ids AS pdi
    INNER JOIN (
        SELECT id, lowerUTF8(trim(properties.email)) AS email FROM persons
        WHERE lowerUTF8(trim(properties.email)) IN {emails}
    ) AS p ON pdi.person_id = p.id
    GROUP BY email, who
)
ORDER BY email, who
LIMIT 50000
"""
REACH_QUERY = "SELECT 1 AS reached LIMIT 50000"
TOTALS_QUERY = """
SELECT event, count() AS n
FROM events
WHERE timestamp >= fromUnixTimestamp({t_from}) AND timestamp < fromUnixTimestamp({t_to})
  AND event IN {events}
GROUP BY event
ORDER BY event
LIMIT 50000
"""

_MOST_ROWS = 1 << 53
FOUND = pa.schema([("position", pa.int64()), ("person_id", pa.string())])


def read_slice(answer: Answer, n_codes: int) -> pa.Table:
    """Return the rows of a slice, once they can be nothing else."""
    table = _checked(answer, ("who", "distinct_ids", "codes"), slices.SLICE)
    _require(pc.count_distinct(table.column("person_id")).as_py() == len(table), "repeats a person")
    bounds = pc.min_max(pc.list_flatten(table.column("codes"))).as_py()
    is_inside = len(table) == 0 or 0 <= bounds["min"] <= bounds["max"] < n_codes
    _require(is_inside, "has events outside the slice")
    return table


def read_people(answer: Answer, asked: Sequence[str] | None = None) -> pa.Table:
    """Return persons with their distinct ids, each of them one of those asked for."""
    table = _checked(answer, ("who", "distinct_ids"), slices.PEOPLE)
    person, distinct = slices.exploded(table)
    _require(distinct.is_unique, "gives a distinct id to two persons")
    if asked is not None:
        is_asked = slices.is_among(distinct, pd.Series(asked, dtype="str"))
        _require(set(person[is_asked]) == set(person), "has persons nobody asked for")
    return table


def read_emails(answer: Answer, asked: Sequence[str]) -> pa.Table:
    """Return the position of each e-mail among those asked for, and its person."""
    table = _checked(answer, ("email", "who"), pa.schema([("e", pa.string()), ("p", pa.string())]))
    emails = table.column("e").to_pandas().astype("str").str.strip().str.casefold()
    positions = pd.Index(list(asked), dtype="str").get_indexer(pd.Index(emails, dtype="str"))
    _require(bool((positions >= 0).all()), "has e-mails nobody asked for")
    pairs = pd.DataFrame({"position": positions, "person_id": table.column("p").to_pandas()})
    return pa.Table.from_pandas(pairs.drop_duplicates(), schema=FOUND, preserve_index=False)


def read_counts(answer: Answer) -> dict[str, int]:
    """Return event -> count."""
    _require(answer.columns == ("event", "n"), "has other columns")
    is_right = all(isinstance(event, str) and type(n) is int for event, n in answer.rows)
    _require(is_right, "has counts that are not numbers")
    is_once = len({event for event, _ in answer.rows}) == len(answer.rows)
    _require(is_once, "counts an event twice")
    return dict(answer.rows)


def _checked(answer: Answer, columns: Sequence[str], schema: pa.Schema) -> pa.Table:
    """Return a whole answer as a table.

    Raises:
        QueryTooBig: There were more rows than were given.
        DataError: Columns, types or row counts are not what was asked for.
    """
    _require(answer.columns == (*columns, "n_rows"), "has other columns")
    n_rows = len(answer.rows)
    is_nobody = [row[0] == "" for row in answer.rows]
    _require(sum(is_nobody) == 1, "lacks the one row that is always there")
    *values, counted = zip(*answer.rows, strict=True)
    is_count = type(counted[0]) is int and 0 < counted[0] < _MOST_ROWS
    is_same = all(type(n) is int and n == counted[0] for n in counted)
    _require(is_count and is_same, "miscounts its rows")
    if counted[0] > n_rows:
        raise QueryTooBig(f"PostHog gave {n_rows:,} of {counted[0]:,} rows. Ask for less at once.")
    _require(counted[0] == n_rows, "miscounts its rows")
    arrays = [_array(list(v), field.type) for v, field in zip(values, schema, strict=True)]
    table = pa.Table.from_arrays(arrays, schema=schema)
    return table.filter(pa.array([not nobody for nobody in is_nobody]))


def _array(values: list[object], wanted: pa.DataType) -> pa.Array:
    """Return values as an Arrow array of the wanted type, never converted to fit it."""
    try:
        array = pa.array(values)
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        raise DataError("PostHog's answer mixes types in a column.") from error
    _require(array.type == wanted and array.null_count == 0, "has another type in a column")
    if pa.types.is_list(wanted):
        _require(array.flatten().null_count == 0, "has empty values in a list")
        _require(pc.min(pc.list_value_length(array)).as_py() > 0, "has empty lists")
    return array


def _require(is_right: bool, what: str) -> None:  # noqa: FBT001
    if not is_right:
        raise DataError(f"PostHog's answer {what}.")
