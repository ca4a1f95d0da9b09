"""The demo's push database: SQLite with the two tables of the contract."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from core.demo.audiences import NO_INSTANT
from core.demo.pushes import STATUSES, Pushes
from core.demo.schedule import Campaign
from core.demo.simulation import Chunk
from core.demo.world import Ints, Stream, World, iso_texts

DOUBLED_SECONDS = (2, 90)
_SCHEMA = """
CREATE TABLE users (
    id INTEGER PRIMARY KEY, email TEXT, posthog_distinct_id TEXT, created_at TEXT
);
CREATE TABLE push_notifications (
    id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL REFERENCES users (id), automation_id TEXT,
    campaign_id TEXT, title TEXT, body TEXT, status TEXT NOT NULL, sent_at TEXT,
    delivered_at TEXT, trigger_at TEXT
);
"""
_INDEXES = """
CREATE INDEX push_notifications_sent_at ON push_notifications (sent_at)
    WHERE delivered_at IS NULL;
CREATE INDEX push_notifications_delivered_at ON push_notifications (delivered_at);
"""


class PushDatabase:
    """The file while it is filled, chunk by chunk; push ids count up in that order."""

    def __init__(self, connection: sqlite3.Connection, campaigns: tuple[Campaign, ...]) -> None:
        self._connection = connection
        self._campaigns = campaigns
        self._next_id = 1

    def add(self, world: World, chunk: Chunk) -> Ints:
        """Insert the users and push rows of a chunk.

        Returns:
            The ids of the chunk's push rows, without the ids of doubled rows.
        """
        self._add_users(chunk)
        everything = Pushes.joined([chunk.pushes, _later(world, chunk)])
        first_id = self._next_id
        self._next_id += len(everything.user)
        self._add_pushes(chunk, everything, first_id)
        return first_id + np.arange(len(chunk.pushes.user))

    def _add_users(self, chunk: Chunk) -> None:
        joined = np.array(iso_texts(chunk.people.joined_ms), dtype=object)
        joined[~chunk.people.has_sign_up] = None
        rows = zip(
            chunk.people.user_id.tolist(),
            chunk.identities.user_email.to_pylist(),
            chunk.identities.stored_distinct_id.to_pylist(),
            joined.tolist(),
            strict=True,
        )
        self._connection.executemany("INSERT INTO users VALUES (?, ?, ?, ?)", rows)

    def _add_pushes(self, chunk: Chunk, pushes: Pushes, first_id: int) -> None:
        sends = self._campaigns
        rows = zip(
            range(first_id, first_id + len(pushes.user)),
            chunk.people.user_id[pushes.user].tolist(),
            _pick([send.automation_id for send in sends], pushes.campaign),
            _pick([send.campaign_id for send in sends], pushes.campaign),
            _pick([send.message.title for send in sends], pushes.campaign),
            _pick([send.message.body for send in sends], pushes.campaign),
            _pick(STATUSES, pushes.status),
            iso_texts(pushes.sent_ms),
            _instants(np.where(pushes.is_timed, pushes.delivered_ms, NO_INSTANT)),
            _instants(pushes.trigger_ms),
            strict=True,
        )
        self._connection.executemany(
            "INSERT INTO push_notifications VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows
        )


@contextmanager
def push_database(file: Path, campaigns: tuple[Campaign, ...]) -> Iterator[PushDatabase]:
    """Create the push database, yield it to be filled, then index and close it."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")
        connection.executescript(_SCHEMA)
        connection.execute("BEGIN")
        yield PushDatabase(connection, campaigns)
        connection.execute("COMMIT")
        connection.executescript(_INDEXES)


def _later(world: World, chunk: Chunk) -> Pushes:
    """Return the rows that stand twice, with their second instants of delivery."""
    rng = world.random(Stream.DATABASE, chunk.number)
    again = chunk.pushes.take(chunk.pushes.is_doubled)
    seconds = rng.integers(*DOUBLED_SECONDS, len(again.user))
    return replace(again, delivered_ms=again.delivered_ms + 1000 * seconds)


def _pick(texts: Sequence[str | None], which: Ints) -> list[str | None]:
    picked: list[str | None] = np.array([*texts, None], dtype=object)[which].tolist()
    return picked


def _instants(instants_ms: Ints) -> list[str | None]:
    texts = np.array(iso_texts(instants_ms), dtype=object)
    texts[instants_ms == NO_INSTANT] = None
    listed: list[str | None] = texts.tolist()
    return listed
