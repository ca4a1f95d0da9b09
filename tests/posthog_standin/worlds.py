"""A small world on disk: a batch export with the things that go wrong in real ones.

Merged persons (events came in under the person of before), events exported twice, one e-mail of
two persons, e-mails in odd case and with blanks, events of nobody's profile, distinct ids full of
quotes and backslashes, a person of another team, events around midnight in New York.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

START: Final = pd.Timestamp("2026-10-15", tz="UTC")
DAYS: Final = 30
EVENTS: Final = ("app_open", "view_item", "add_to_cart", "purchase", "search", "share")
ODD_IDS: Final = (
    "it's",
    'say "hi"',
    "back\\slash",
    "50%_off",
    "{braces}",
    "naïve – ünïcode",
    "a\nb",
)
SHARED_EMAIL: Final = "twins@example.com"
_PEOPLE: Final = 60
_EVENTS: Final = 6_000
_NAMESPACE: Final = uuid.UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")
_INSTANT: Final = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallWorld:
    """The export's files and, as frames, what is in them.

    Attributes:
        events_glob: glob of the events' files.
        persons_glob: glob of the persons' files.
        rows: every exported event, those exported twice included: `uuid`, `event`,
            `distinct_id`, `person_id` (as of ingestion), `current` (as of now), `timestamp`, `ms`,
            `amount`.
        persons: one row a distinct id: `distinct_id`, `person_id` (as of now), `email`.
    """

    events_glob: str
    persons_glob: str
    rows: pd.DataFrame
    persons: pd.DataFrame

    @property
    def unique(self) -> pd.DataFrame:
        """The events, each once."""
        return self.rows.drop_duplicates("uuid")


def person_uuid(number: int | str) -> str:
    """Return the id of a person."""
    return str(uuid.uuid5(_NAMESPACE, f"person {number}"))


def write_small_world(folder: Path, *, seed: int = 7) -> SmallWorld:
    """Write the export below a folder; equal seeds give equal files."""
    rng = np.random.default_rng(seed)
    persons = _persons()
    rows = _rows(rng, persons)
    middle = len(rows) // 2
    _write_events(folder / "events" / "part-1.parquet", rows.iloc[:middle])
    _write_events(folder / "events" / "2026" / "part-2.parquet", rows.iloc[middle:])
    _write_persons(folder / "persons" / "all.parquet", persons)
    return SmallWorld(
        events_glob=str(folder / "events" / "**" / "*.parquet"),
        persons_glob=str(folder / "persons" / "*.parquet"),
        rows=rows,
        persons=persons[["distinct_id", "person_id", "email"]],
    )


def _persons() -> pd.DataFrame:
    numbers = np.arange(_PEOPLE)
    names = [f"u_{number}" for number in numbers]
    names[: len(ODD_IDS)] = ODD_IDS
    ids = [person_uuid(number) for number in numbers]
    own = pd.DataFrame({"distinct_id": names, "person_id": ids, "before": ids, "version": 1})
    # Every fifth was somebody else before; their old distinct id is theirs since the merge.
    merged = own.iloc[::5].assign(
        distinct_id=[f"anon_{number}" for number in numbers[::5]],
        before=[person_uuid(f"anon {number}") for number in numbers[::5]],
        version=3,
    )
    emails = pd.Series([f"user{number}@example.com" for number in numbers])
    emails[10], emails[11] = "  User10@Example.COM ", "Ünique11@example.com"
    emails[20:22] = SHARED_EMAIL
    emails[30:40] = None
    both = pd.concat([own, merged], ignore_index=True)
    return both.assign(email=both["person_id"].map(dict(zip(ids, emails, strict=True))))


def _rows(rng: np.random.Generator, persons: pd.DataFrame) -> pd.DataFrame:
    nobody = pd.DataFrame({"distinct_id": ["nobody_1", "nobody_2"]})
    nobody["before"] = nobody["person_id"] = [person_uuid("nobody 1"), person_uuid("nobody 2")]
    everyone = pd.concat([persons, nobody], ignore_index=True)
    who = rng.choice(len(everyone), _EVENTS, p=_skewed(len(everyone)))
    ms = rng.integers(0, DAYS * 86_400_000, _EVENTS)
    # Midnight in New York is 04:00 UTC until the clocks go back on 1 November, then 05:00.
    ms[:4] = [4 * 3_600_000 + day * 86_400_000 for day in range(4)]
    ms[4:8] = ms[:4] - 1
    instants = START + pd.to_timedelta(ms, unit="ms")
    rows = pd.DataFrame({
        "uuid": [str(uuid.UUID(bytes=rng.bytes(16), version=4)) for _ in range(_EVENTS)],
        "event": rng.choice(EVENTS, _EVENTS),
        "distinct_id": everyone["distinct_id"].to_numpy()[who],
        "person_id": everyone["before"].to_numpy()[who],
        "current": everyone["person_id"].to_numpy()[who],
        "timestamp": instants.as_unit("us"),
        "ms": ms + START.value // 1_000_000,
        "amount": rng.integers(0, 500, _EVENTS) / 10,
    })  # fmt: skip
    twice = rows.sample(40, random_state=1)
    return pd.concat([rows, twice], ignore_index=True)


def _skewed(count: int) -> np.ndarray:
    weights = 1.0 / np.arange(1, count + 1)
    return weights / weights.sum()


def _write_events(file: Path, rows: pd.DataFrame) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    stamps = pa.array(rows["timestamp"], type=_INSTANT)
    table = pa.table({
        "uuid": pa.array(rows["uuid"], type=pa.string()),
        "event": pa.array(rows["event"], type=pa.string()),
        "distinct_id": pa.array(rows["distinct_id"], type=pa.string()),
        "person_id": pa.array(rows["person_id"], type=pa.string()),
        "properties": [_properties(amount) for amount in rows["amount"]],
        "person_properties": ["{}"] * len(rows),
        "timestamp": stamps,
        "created_at": stamps,
        "_inserted_at": stamps,
    })  # fmt: skip
    pq.write_table(table, file, compression="zstd")


def _properties(amount: float) -> str:
    # Now and then the amount is missing, so that NULL is met.
    known = {} if amount < 5 else {"amount": amount}
    return json.dumps({"$lib": "web", "a b": "spaced", "is_new": amount > 25, **known})


def _write_persons(file: Path, persons: pd.DataFrame) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    # Another team has somebody of the same distinct id and e-mail; no query may ever meet them.
    stranger = persons.iloc[[12]].assign(person_id=person_uuid("of team 2"), version=9)
    persons = pd.concat([persons, stranger])
    known = [{} if pd.isna(email) else {"email": email} for email in persons["email"]]
    table = pa.table({
        "team_id": pa.array([1] * (len(persons) - 1) + [2], type=pa.int64()),
        "distinct_id": pa.array(persons["distinct_id"], type=pa.string()),
        "person_id": pa.array(persons["person_id"], type=pa.string()),
        "properties": [json.dumps(properties, ensure_ascii=False) for properties in known],
        "person_distinct_id_version": pa.array(persons["version"], type=pa.int64()),
        "person_version": pa.array([1] * len(persons), type=pa.int64()),
    })  # fmt: skip
    pq.write_table(table, file, compression="snappy")
