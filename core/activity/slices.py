"""Slices of activity as Arrow tables: how they are kept, who is who in them, and all in one.

A row is one person with the distinct ids met and one integer an event,
`(instant - start of the slice) * n_events + position of its name`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from core.activity.plan import Use
from core.activity.source import Period
from core.activity.timelines import Int64, Timelines, from_rows

_TEXT = pa.string()
PEOPLE = pa.schema([("person_id", _TEXT), ("distinct_ids", pa.list_(_TEXT))])
SLICE = PEOPLE.append(pa.field("codes", pa.list_(pa.int64())))


class Piece(NamedTuple):
    """The part of a slice that answers a part of a period, and the slice's rows."""

    use: Use
    rows: pa.Table


def to_bytes(table: pa.Table) -> bytes:
    """Return a table as compressed Arrow IPC."""
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_file(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def from_bytes(content: bytes | None, schema: pa.Schema) -> pa.Table | None:
    """Return the table in Arrow IPC bytes, or None where they hold anything else."""
    if content is None:
        return None
    try:
        table = pa.ipc.open_file(pa.BufferReader(content)).read_all()
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError):
        return None
    return table if table.schema.equals(schema) else None


def exploded(table: pa.Table) -> tuple[pd.Series, pd.Series]:
    """Return person id and distinct id of every distinct id in a table of people."""
    lists = _array(table, "distinct_ids")
    person = table.column("person_id").take(pc.list_parent_indices(lists))
    return _text(person), _text(lists.flatten())


class Told(NamedTuple):
    """A table of people, and the instant at which they were so (milliseconds since 1970 UTC)."""

    people: pa.Table
    at: int


def disputed(pieces: Sequence[Piece], within_ms: int) -> list[str]:
    """Return the distinct ids that slices give to several persons, and cannot say who is right.

    Slices that were asked for together saw a merge between them in no known order.

    Args:
        pieces: Slices in any order.
        within_ms: How far apart two slices must have been fetched to be in a known order.
    """
    met = [_evidence(piece.rows, piece.use.slice.fetched_at) for piece in pieces]
    pairs = pd.concat([_evidence(PEOPLE.empty_table(), 0), *met], ignore_index=True)
    pairs = pairs.sort_values("at", kind="stable")
    pairs = pairs.drop_duplicates(["distinct_id", "person_id"], keep="last")
    pairs = pairs[pairs["distinct_id"].duplicated(keep=False)]
    latest = pairs.groupby("distinct_id")["at"].transform("max")
    late = pairs[pairs["at"] >= latest - within_ms]
    return sorted(late["distinct_id"][late["distinct_id"].duplicated()].unique())


def resolved(
    pieces: Sequence[Piece], told: Sequence[Told] = ()
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Return who is who by the latest answers.

    A person whose distinct id is met under another one later, and who is not met any more, was
    merged into that one; so was everything else that stood under the first.

    Args:
        pieces: Slices in order of time.
        told: What was said of people besides.

    Returns:
        `distinct_id`, `person_id` with one row per distinct id of the pieces; and the person ids
        that stand in the pieces but are another's now, with that other's.
    """
    met = [_evidence(piece.rows, piece.use.slice.fetched_at) for piece in pieces]
    also = [_evidence(one.people, one.at) for one in told]
    everything = pd.concat([_evidence(PEOPLE.empty_table(), 0), *met, *also], ignore_index=True)
    latest = everything.sort_values("at", kind="stable").drop_duplicates("distinct_id", keep="last")
    renames = _renames(everything, latest)
    seen = latest
    if told:  # of the persons told about, only those met
        of_pieces = pd.concat([everything.iloc[:0], *met])["distinct_id"]
        seen = latest[is_among(latest["distinct_id"], of_pieces)]
    person = _renamed(seen["person_id"], renames)
    frame = pd.DataFrame({"distinct_id": seen["distinct_id"], "person_id": person}, dtype="str")
    return frame.reset_index(drop=True), renames


def joined(
    pieces: Sequence[Piece],
    renames: dict[str, str],
    *,
    period: Period,
    asked: Sequence[str],
    event_names: Sequence[str],
) -> Timelines:
    """Return the events of a period out of slices, each person under their present name.

    Args:
        pieces: The slices, and the part of the period each answers.
        renames: Person ids in the slices -> person ids now.
        period: What is wanted; events outside are dropped.
        asked: Event names in the order the slices count them.
        event_names: Event names in the order wanted.
    """
    order = np.array([event_names.index(name) for name in asked], dtype=np.int64)
    persons = [pd.Series(dtype="str")]
    rows, instants, events = [_none()], [_none()], [_none()]
    first = 0
    for use, table in pieces:
        person = _text(table.column("person_id"))
        row, instant, event = _events(use, table, len(asked), period)
        persons.append(_renamed(person, renames))
        rows.append(row + first)
        instants.append(instant)
        events.append(order[event])
        first += len(person)
    row = np.concatenate(rows)
    is_active = np.bincount(row, minlength=first) > 0  # nobody who did nothing in the period
    place = np.cumsum(is_active) - 1
    return from_rows(
        pd.concat(persons).to_numpy(dtype=object)[is_active],
        place[row],
        np.concatenate(instants),
        np.concatenate(events),
        event_names=tuple(event_names),
    )


def is_among(values: pd.Series, known: pd.Series) -> NDArray[np.bool_]:
    """Return for each text whether it is one of those known.

    (`isin` walks through Arrow's texts one by one.)
    """
    found = pd.Index(known.drop_duplicates()).get_indexer(pd.Index(values))
    is_found: NDArray[np.bool_] = found >= 0
    return is_found


def _events(use: Use, table: pa.Table, n_events: int, period: Period) -> tuple[Int64, Int64, Int64]:
    """Return row, instant and event position of the events of a piece within a period."""
    lists = _array(table, "codes")
    codes = lists.flatten().to_numpy()
    row = pc.list_parent_indices(lists).to_numpy()
    instant = use.slice.start + codes // n_events
    start, end = max(use.start, period.start), min(use.end, period.end)
    if start > use.slice.start or end < use.slice.end:
        inside = (instant >= start) & (instant < end)
        row, codes, instant = row[inside], codes[inside], instant[inside]
    return row, instant, codes % n_events


def _evidence(table: pa.Table, at: int) -> pd.DataFrame:
    person, distinct = exploded(table)
    return pd.DataFrame({"distinct_id": distinct, "person_id": person, "at": np.int64(at)})


def _renames(everything: pd.DataFrame, latest: pd.DataFrame) -> dict[str, str]:
    """Return person id -> the one it was merged into, chains followed to their end.

    Chains end: the later name was met later than the earlier one ever was.
    """
    pairs = everything.groupby(["distinct_id", "person_id"], as_index=False)["at"].max()
    pairs["last_met"] = pairs.groupby("person_id")["at"].transform("max")
    pairs = pairs.drop(columns="at").merge(latest, on="distinct_id", suffixes=("", "_now"))
    is_other = pairs["person_id"] != pairs["person_id_now"]
    gone = pairs[is_other & (pairs["at"] > pairs["last_met"])].sort_values(["at", "person_id_now"])
    names = gone.drop_duplicates("person_id", keep="last").set_index("person_id")["person_id_now"]
    while not (further := names.map(names)).isna().all():
        names = further.fillna(names)
    return dict(names)


def _renamed(person: pd.Series, renames: dict[str, str]) -> pd.Series:
    place = pd.Index(list(renames), dtype="str").get_indexer(pd.Index(person))
    now = pd.array(list(renames.values()), dtype="str").take(place, allow_fill=True)
    return person.where(place < 0, pd.Series(now, index=person.index))


def _array(table: pa.Table, name: str) -> pa.ListArray:
    return table.column(name).combine_chunks()


def _text(values: pa.Array) -> pd.Series:
    text: pd.Series = values.to_pandas().astype("str")
    return text.rename(None)


def _none() -> Int64:
    return np.empty(0, dtype=np.int64)
