"""Small demo worlds, built once a session; nobody changes them."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import pandas as pd
import pyarrow.parquet as pq
import pytest

from core.demo import DemoFiles, World, write_demo

SMALL = World(n_users=2_100, seed=7)
"""All 66 campaigns over 60 days, in two chunks of users."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """A written demo, read back whole; `events` are the export's `rows`, each once."""

    files: DemoFiles
    users: pd.DataFrame
    pushes: pd.DataFrame
    rows: pd.DataFrame
    events: pd.DataFrame
    persons: pd.DataFrame
    truth: pd.DataFrame
    truth_pushes: pd.DataFrame
    people: pd.DataFrame


def read_back(files: DemoFiles) -> Demo:
    with closing(sqlite3.connect(files.root / "pushes.sqlite")) as connection:
        users = pd.read_sql_query("SELECT * FROM users", connection)
        pushes = pd.read_sql_query("SELECT * FROM push_notifications", connection)
    for name in ("sent_at", "delivered_at", "trigger_at"):
        pushes[name] = pd.to_datetime(pushes[name], format="ISO8601", utc=True)
    users["created_at"] = pd.to_datetime(users["created_at"], format="ISO8601", utc=True)
    rows = pq.read_table(files.root / "events").to_pandas()
    return Demo(
        files=files,
        users=users,
        pushes=pushes,
        rows=rows,
        events=rows.drop_duplicates("uuid"),
        persons=pq.read_table(files.root / "persons").to_pandas(),
        truth=pq.read_table(files.truth / "campaigns.parquet").to_pandas(),
        truth_pushes=pq.read_table(files.truth / "pushes").to_pandas(),
        people=pq.read_table(files.truth / "people").to_pandas(),
    )


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """Return the small world with everything in it."""
    return read_back(write_demo(tmp_path_factory.mktemp("small") / "demo", SMALL))


@pytest.fixture(scope="session")
def null(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """Return the small world with no effects at all."""
    world = World(n_users=SMALL.n_users, seed=SMALL.seed, effect_scale=0.0)
    return read_back(write_demo(tmp_path_factory.mktemp("null") / "demo", world))


@pytest.fixture(scope="session")
def default(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoFiles]:
    """Return the default marketplace, which takes seconds to build: for its totals only."""
    folder = tmp_path_factory.mktemp("default")
    yield write_demo(folder / "demo")
    shutil.rmtree(folder)
