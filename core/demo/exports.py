"""The demo's PostHog batch export: events and persons of one chunk as Parquet files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from core.demo.people import Identities, People
from core.demo.simulation import Chunk
from core.demo.uuids import ordered_uuids
from core.demo.world import EVENTS, HOUR_MS, ZONES, Flags, Ints, Stream, World

TEAM_ID = 1
LATE_SHARE = 0.008
"""Events that arrive minutes to days after they happened."""
LATE_HOURS = (0.2, 60.0)
DUPLICATE_SHARE = 0.003
REPEAT_MS = (60_000, 6 * HOUR_MS)
RECEIVED_MS = 30_000
INSERTED_MS = 300_000
"""Events are received and inserted in batches, this far apart."""
ROW_GROUP = 1_000_000
CLIENTS = (
    {"$lib": "posthog-ios", "$os": "iOS"},
    {"$lib": "posthog-android", "$os": "Android"},
    {"$lib": "web", "$os": "Mac OS X"},
)
_TEXTS = ["event", "distinct_id", "person_id", "properties", "person_properties"]
_TIMES = ("timestamp", "created_at", "_inserted_at")
_INSTANT = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """Events as they arrived, in order of the instant they happened, late ones after the others.

    Attributes:
        user: Position of the user in the chunk.
        event: Index into EVENTS.
        at_ms: When it happened.
        created_ms: When PostHog received it.
        inserted_ms: When it was written to where exports are taken from.
        counter: Number within the chunk, for the uuid.
    """

    user: Ints
    event: Ints
    at_ms: Ints
    created_ms: Ints
    inserted_ms: Ints
    counter: Ints

    def take(self, which: Flags | Ints, *, inserted_ms: Ints | None = None) -> Arrivals:
        """Return some of them, inserted at other instants where given."""
        return Arrivals(
            user=self.user[which],
            event=self.event[which],
            at_ms=self.at_ms[which],
            created_ms=self.created_ms[which],
            inserted_ms=self.inserted_ms[which] if inserted_ms is None else inserted_ms,
            counter=self.counter[which],
        )


def write_events(folder: Path, world: World, chunk: Chunk) -> int:
    """Write the events of a chunk, one file per quarter of arrival and one of repeated rows.

    Returns:
        The number of rows written, repeated ones included.
    """
    rng = world.random(Stream.EXPORT, chunk.number)
    arrivals = _draw_arrivals(rng, world, chunk)
    repeated = _draw_repeats(rng, world, arrivals)
    texts = _Texts.of(chunk.people, chunk.identities)
    name = f"part-{chunk.number:05d}.parquet"
    months = arrivals.inserted_ms.astype("datetime64[ms]").astype("datetime64[M]").astype(np.int64)
    for quarter in np.unique(months // 3).tolist():
        part = arrivals.take(months // 3 == quarter)
        label = f"{1970 + quarter // 4}-Q{quarter % 4 + 1}"
        _write(folder / label / name, texts.table(part, chunk))
    if len(repeated.user):
        _write(folder / "retried" / name, texts.table(repeated, chunk))
    return len(arrivals.user) + len(repeated.user)


def _draw_arrivals(rng: np.random.Generator, world: World, chunk: Chunk) -> Arrivals:
    """Draw when each event arrived: soon, some much later, none after now; late ones last."""
    events = chunk.history.happened(world.as_of_ms)
    n = len(events.at_ms)
    is_late = rng.random(n) < LATE_SHARE
    low, high = np.log(LATE_HOURS)
    delay_ms = np.full(n, 400)
    delay_ms[is_late] = np.floor(np.exp(rng.uniform(low, high, is_late.sum())) * HOUR_MS)
    created = np.minimum(_next_tick(events.at_ms + delay_ms, RECEIVED_MS), world.as_of_ms - 1)
    inserted = np.minimum(_next_tick(created, INSERTED_MS), world.as_of_ms - 1)
    order = np.argsort(is_late, kind="stable")
    return Arrivals(
        user=events.user[order],
        event=events.event[order].astype(np.int64),
        at_ms=events.at_ms[order],
        created_ms=created[order],
        inserted_ms=inserted[order],
        counter=np.arange(n),
    )


def _draw_repeats(rng: np.random.Generator, world: World, arrivals: Arrivals) -> Arrivals:
    """Draw which events were written twice, the second time a minute to hours later."""
    drawn = rng.random(len(arrivals.user)) < DUPLICATE_SHARE
    which = np.flatnonzero(drawn & (arrivals.inserted_ms < world.as_of_ms - REPEAT_MS[0]))
    later = arrivals.inserted_ms[which] + rng.integers(*REPEAT_MS, len(which))
    return arrivals.take(which, inserted_ms=np.minimum(later, world.as_of_ms - 1))


def _next_tick(instants_ms: Ints, every_ms: int) -> Ints:
    return -(-instants_ms // every_ms) * every_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class _Texts:
    """The texts rows point at: a dictionary each, users first and then their early selves."""

    distinct_id: pa.StringArray
    person_id: pa.StringArray
    person_properties: pa.StringArray
    properties: pa.StringArray
    switch_ms: Ints
    n_users: int

    @classmethod
    def of(cls, people: People, identities: Identities) -> _Texts:
        early_properties = pc.if_else(
            pa.array(identities.is_twin), _person_properties(people, identities), "{}"
        )
        return cls(
            distinct_id=pa.concat_arrays([identities.distinct_id, identities.early_distinct_id]),
            person_id=pa.concat_arrays([identities.person_id, identities.early_person_id]),
            person_properties=pa.concat_arrays(
                [_person_properties(people, identities), early_properties]
            ),
            properties=pa.array(
                [json.dumps({**client, "screen": event}) for client in CLIENTS for event in EVENTS]
            ),
            switch_ms=identities.switch_ms,
            n_users=people.n,
        )

    def table(self, rows: Arrivals, chunk: Chunk) -> pa.Table:
        """Return arrivals as rows of the export."""
        is_early = rows.at_ms < self.switch_ms[rows.user]
        who = rows.user + self.n_users * is_early
        client = chunk.people.user_id[rows.user] % len(CLIENTS)
        hours_ms = rows.at_ms // HOUR_MS * HOUR_MS
        return pa.table({
            "uuid": ordered_uuids(hours_ms, rows.counter, node=chunk.number),
            "event": _pointing(rows.event, pa.array(EVENTS)),
            "distinct_id": _pointing(who, self.distinct_id),
            "person_id": _pointing(who, self.person_id),
            "properties": _pointing(client * len(EVENTS) + rows.event, self.properties),
            "person_properties": _pointing(who, self.person_properties),
            "timestamp": _instants(rows.at_ms),
            "created_at": _instants(rows.created_ms),
            "_inserted_at": _instants(rows.inserted_ms),
        })  # fmt: skip


def _person_properties(people: People, identities: Identities) -> pa.StringArray:
    zones = pa.array([zone for zone, _ in ZONES]).take(pa.array(people.zone))
    known = pc.binary_join_element_wise(
        '{"email":"', identities.person_email, '","$geoip_time_zone":"', zones, '"}', ""
    )
    return pc.fill_null(known, "{}")


def _pointing(indices: Ints, texts: pa.StringArray) -> pa.DictionaryArray:
    """Return texts by index; a writer repeats a dictionary's texts where two are the same."""
    is_used = np.bincount(indices, minlength=len(texts)) > 0
    distinct = texts.filter(pa.array(is_used)).dictionary_encode()
    codes = np.zeros(len(texts), dtype=np.int32)
    codes[is_used] = distinct.indices.to_numpy()
    return pa.DictionaryArray.from_arrays(pa.array(codes[indices]), distinct.dictionary)


def _instants(instants_ms: Ints) -> pa.TimestampArray:
    return pa.array(instants_ms * 1000).cast(_INSTANT)


def write_persons(file: Path, chunk: Chunk) -> None:
    """Write the persons export of a chunk: one row per distinct id, merged ones redirected."""
    people, identities = chunk.people, chunk.identities
    early = np.flatnonzero(identities.is_merged | identities.is_twin)
    survivor = pc.if_else(
        pa.array(identities.is_merged), identities.person_id, identities.early_person_id
    )
    early_at = pa.array(early)
    properties = _person_properties(people, identities)
    n = people.n + len(early)
    versions = np.concatenate([np.zeros(people.n), identities.is_merged[early]]).astype(np.int64)
    table = pa.table({
        "team_id": pa.array(np.full(n, TEAM_ID)),
        "distinct_id": _both(identities.distinct_id, identities.early_distinct_id.take(early_at)),
        "person_id": _both(identities.person_id, survivor.take(early_at)),
        "person_distinct_id_version": pa.array(versions),
        "properties": _both(properties, properties.take(early_at)),
    })  # fmt: skip
    _write(file, table)


def _both(first: pa.StringArray, second: pa.StringArray) -> pa.StringArray:
    return pa.concat_arrays([first, second])


def _write(file: Path, table: pa.Table) -> None:
    """Write a table so that equal tables give equal bytes and readers see plain columns."""
    file.parent.mkdir(parents=True, exist_ok=True)
    plain = {"uuid": "DELTA_BYTE_ARRAY"} | dict.fromkeys(_TIMES, "DELTA_BINARY_PACKED")
    pq.write_table(
        table,
        file,
        compression="zstd",
        compression_level=3,
        row_group_size=ROW_GROUP,
        use_dictionary=[name for name in table.column_names if name in _TEXTS],
        column_encoding={name: how for name, how in plain.items() if name in table.column_names},
        store_schema=False,
    )
