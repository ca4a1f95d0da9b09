"""Small whole worlds: a push database, an export, automations, and a plain reckoning of both.

Every trouble the contract names is in them: merged persons, doubled events and pushes, e-mails in
odd capitals, e-mails of several persons, users nobody can map, two users of one person, sign-ups
inside the baseline, windows that are still open, events exactly on a boundary.
"""

from __future__ import annotations

import json
import sqlite3
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

AS_OF = datetime(2026, 10, 1, tzinfo=UTC)
BASELINE, POST = timedelta(days=30), timedelta(hours=48)
METRICS = {"trades": ["Trade Confirmed"], "interest": ["$pageview", "PDP add to closet"]}
EVENTS = ["Trade Confirmed", "$pageview", "PDP add to closet", "Untracked"]
SCHEMA = """
CREATE TABLE users (id TEXT, email TEXT, posthog_distinct_id TEXT, created_at {instant});
CREATE TABLE push_notifications (
    id INTEGER, user_id TEXT, automation_id TEXT, campaign_id TEXT, title TEXT, body TEXT,
    status TEXT, sent_at {instant}, delivered_at {instant}, trigger_at {instant});
"""
USER_COLUMNS = ("id", "email", "posthog_distinct_id", "created_at")
PUSH_COLUMNS = (
    "id", "user_id", "automation_id", "campaign_id", "title", "body", "status", "sent_at",
    "delivered_at", "trigger_at",
)  # fmt: skip


@dataclass(kw_only=True)
class SmallWorld:
    """Rows as the sources hold them."""

    users: list[dict]
    pushes: list[dict]
    events: list[dict]
    persons: list[dict]
    automations: dict[str, dict] = field(default_factory=dict)

    def write(self, root: Path, *, database_url: str | None = None, activity: str = "") -> Path:
        """Write everything below a folder and return the settings file.

        Args:
            root: The folder.
            database_url: A database that already holds the rows; else SQLite is written.
            activity: TOML sections that replace the export.
        """
        self.write_export(root)
        for name, content in self.automations.items():
            (root / "automations").mkdir(exist_ok=True)
            (root / "automations" / f"{name}.json").write_text(json.dumps(content))
        if database_url is None:
            self.write_sqlite(root / "pushes.sqlite")
            database_url = f"sqlite:///{root / 'pushes.sqlite'}"
        export = (
            f'[events]\npath = "{root}/events/**/*.parquet"\npersons = "{root}/persons/*.parquet"'
        )
        metrics = "\n".join(f"{name} = {json.dumps(events)}" for name, events in METRICS.items())
        settings = root / "settings.toml"
        settings.write_text(
            f'[database]\nurl = "{database_url}"\n{activity or export}\n'
            f'[automations]\ndir = "{root}/automations"\n[cache]\ndir = "{root}/cache"\n'
            f"[analysis]\nmin_recipients = 5\n[metrics]\n{metrics}\n"
        )
        return settings

    def write_sqlite(self, path: Path) -> None:
        """Write the push database."""
        with sqlite3.connect(path) as connection:
            connection.executescript(SCHEMA.format(instant="TEXT"))
            for table, columns, rows in self.tables():
                marks = ", ".join("?" * len(columns))
                connection.executemany(
                    f"INSERT INTO {table} VALUES ({marks})",  # noqa: S608 - constants
                    [tuple(_text(row.get(c)) for c in columns) for row in rows],
                )
        connection.close()

    def tables(self) -> list[tuple[str, tuple[str, ...], list[dict]]]:
        """Return name, columns and rows of each table."""
        return [
            ("users", USER_COLUMNS, self.users),
            ("push_notifications", PUSH_COLUMNS, self.pushes),
        ]

    def write_export(self, root: Path) -> None:
        """Write events in two files and the persons beside them."""
        half = len(self.events) // 2
        for name, rows in (("a", self.events[:half]), ("b/late", self.events[half:])):
            path = root / "events" / f"{name}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(_events_table(rows), path, compression="zstd")
        (root / "persons").mkdir(exist_ok=True)
        pq.write_table(pa.Table.from_pylist(self.persons), root / "persons" / "all.parquet")


def random_world(seed: int, *, n_users: int = 90, n_campaigns: int = 9) -> SmallWorld:
    """Return a world with every trouble in it."""
    rng = np.random.default_rng(seed)
    users, persons = _people(rng, n_users)
    pushes = _pushes(rng, users, n_campaigns)
    return SmallWorld(
        users=users,
        pushes=pushes,
        events=_events(rng, persons, pushes, users),
        persons=persons,
        automations={
            "hot": {"id": "hot", "name": "Hot inventory", "schedule": {"weekday": "tuesday"}},
            "all": {"id": "all", "name": "Drop", "audience": "all", "content": "drop"},
            "reply": {"id": "reply", "name": "Reply", "trigger": {"event": "Offer Created"}},
        },
    )


def reckon(world: SmallWorld) -> dict[tuple[str, str, str], tuple]:
    """Return (campaign, person, metric) -> (t, n_baseline, baseline_days, n_post, post_hours).

    One user, one event at a time, straight from the contract's sentences.
    """
    owner = _owner_of_distinct_ids(world)
    by_email: dict[str, set[str]] = {}
    for row in world.persons:
        email = json.loads(row["properties"]).get("email")
        if email:
            by_email.setdefault(email.strip().casefold(), set()).add(owner[row["distinct_id"]])
    one = _one_person_per_email(world, by_email)
    happened: dict[str, list[tuple[datetime, str]]] = {}
    for event in {e["uuid"]: e for e in world.events}.values():
        person = owner.get(event["distinct_id"], event["person_id"])
        happened.setdefault(one.get(person, person), []).append(
            (event["timestamp"], event["event"])
        )
    first: dict[tuple[str, str], tuple[datetime, datetime | None]] = {}
    users = {user["id"]: user for user in world.users}
    for push in sorted(world.pushes, key=lambda p: p["delivered_at"] or p["sent_at"]):
        person = _person_of(users[push["user_id"]], owner, by_email)
        if push["status"].strip().lower() == "delivered" and person is not None:
            t = push["delivered_at"] or push["sent_at"]
            key = (_campaign(push), one.get(person, person))
            first.setdefault(key, (t, users[push["user_id"]]["created_at"]))
    answer = {}
    for (campaign, person), (t, signed_up) in first.items():
        start = max(t - BASELINE, min(signed_up, t)) if signed_up else t - BASELINE
        stop = min(t + POST, AS_OF)
        for metric, names in METRICS.items():
            mine = [at for at, name in happened.get(person, []) if name in names]
            answer[campaign, person, metric] = (
                t,
                sum(start <= at < t for at in mine),
                (t - start) / timedelta(days=1),
                sum(t <= at < stop for at in mine),
                (stop - t) / timedelta(hours=1),
            )
    return answer


def _campaign(push: dict) -> str:
    day = (push["sent_at"] or push["delivered_at"]).date().isoformat()
    return push["campaign_id"] or f"{push['automation_id'] or 'one-off'}:{day}"


def _owner_of_distinct_ids(world: SmallWorld) -> dict[str, str]:
    newest = sorted(world.persons, key=lambda row: row["person_distinct_id_version"])
    return {row["distinct_id"]: row["person_id"] for row in newest}


def _person_of(user: dict, owner: dict[str, str], by_email: dict[str, set[str]]) -> str | None:
    if user["posthog_distinct_id"]:
        return owner.get(user["posthog_distinct_id"], user["posthog_distinct_id"])
    found = by_email.get((user["email"] or "").strip().casefold())
    return min(found) if found else None


def _one_person_per_email(world: SmallWorld, by_email: dict[str, set[str]]) -> dict[str, str]:
    """Return person -> the person measured, for e-mails that somebody is mapped by."""
    asked = {
        (user["email"] or "").strip().casefold()
        for user in world.users
        if not user["posthog_distinct_id"]
    }
    return {person: min(by_email[e]) for e in asked & set(by_email) for person in by_email[e]}


def _people(rng: np.random.Generator, n: int) -> tuple[list[dict], list[dict]]:
    users, persons = [], []
    for i in range(n):
        person, email = str(uuid.UUID(int=1000 + i)), f"User{i}@Example.com"
        has_id = i % 5 != 0
        users.append(
            {
                "id": f"u{i}",
                "email": None if i % 11 == 0 else f"  {email.upper() if i % 2 else email}\t",
                "posthog_distinct_id": f"d{i}" if has_id else None,
                "created_at": None if i % 7 == 0 else _instant(rng, -60, -3),
            }
        )
        if i % 13 == 12:
            continue  # unknown to PostHog: their distinct id is all there is
        persons.append(_person(f"d{i}", person, email=email))
        if i % 6 == 0:  # an anonymous person merged into this one
            old = str(uuid.UUID(int=5000 + i))
            persons.append(_person(f"anon{i}", old))
            persons.append(_person(f"anon{i}", person, version=1, email=email))
        if i % 10 == 5:  # a second person with the same e-mail
            persons.append(_person(f"twin{i}", str(uuid.UUID(int=9000 + i)), email=email.lower()))
    users.append({**users[1], "id": "second-account"})  # two users of one person
    return users, persons


def _pushes(rng: np.random.Generator, users: list[dict], n_campaigns: int) -> list[dict]:
    rows: list[dict] = []
    for campaign in range(n_campaigns):
        start = AS_OF - timedelta(days=25) + timedelta(days=3 * campaign)
        automation = ["hot", "all", "reply", "unknown", None][campaign % 5]
        for user in users:
            if rng.random() < 0.3:
                continue
            sent = start + timedelta(milliseconds=int(rng.integers(0, 6 * 3_600_000)))
            status = rng.choice(
                ["delivered", "Delivered ", "failed", "holdout"], p=[0.7, 0.2, 0.05, 0.05]
            )
            row = {
                "user_id": user["id"],
                "automation_id": automation,
                "campaign_id": f"c{campaign}" if campaign % 3 else None,
                "title": "=Hello <b>there</b>",
                "body": "A body",
                "status": str(status),
                "sent_at": sent,
                "delivered_at": sent + timedelta(seconds=2)
                if "eliv" in str(status) and rng.random() < 0.9
                else None,
                "trigger_at": None,
            }  # fmt: skip
            rows += [row, dict(row)] if rng.random() < 0.05 else [row]
    return [{**row, "id": i} for i, row in enumerate(rows)]


def _events(
    rng: np.random.Generator, persons: list[dict], pushes: list[dict], users: list[dict]
) -> list[dict]:
    rows = []
    ids = {user["id"]: user["posthog_distinct_id"] for user in users}
    for row in persons:
        if row["person_distinct_id_version"]:
            continue
        n = int(rng.poisson(25))
        rows += [_event(rng, row, _instant(rng, -58, 0)) for _ in range(n)]
    known = {row["distinct_id"]: row for row in persons}
    for push in pushes:  # events exactly on the boundaries
        person = known.get(ids[push["user_id"]] or "")
        if person and rng.random() < 0.2:
            t = push["delivered_at"] or push["sent_at"]
            step = timedelta(milliseconds=int(rng.integers(-1, 2)))
            edge = [t, t - BASELINE, t + POST][int(rng.integers(3))]
            rows.append(_event(rng, person, edge + step))
    return rows + [dict(rows[i]) for i in rng.integers(0, len(rows), len(rows) // 50)]


def _event(rng: np.random.Generator, person: dict, at: datetime) -> dict:
    return {
        "uuid": str(uuid.UUID(bytes=rng.bytes(16), version=4)),
        "event": EVENTS[int(rng.integers(len(EVENTS)))],
        "distinct_id": person["distinct_id"],
        "person_id": person["person_id"],
        "properties": "{}",
        "person_properties": person["properties"],
        "timestamp": at,
        "created_at": at,
        "_inserted_at": at,
    }


def _person(distinct_id: str, person_id: str, *, version: int = 0, email: str = "") -> dict:
    return {
        "team_id": 1,
        "distinct_id": distinct_id,
        "person_id": person_id,
        "properties": json.dumps({"email": email} if email else {}),
        "person_distinct_id_version": version,
        "person_version": version,
        "created_at": AS_OF - timedelta(days=90),
    }


def _instant(rng: np.random.Generator, first_day: float, last_day: float) -> datetime:
    at = AS_OF + timedelta(days=float(rng.uniform(first_day, last_day)))
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def _text(value: object) -> object:
    return value.isoformat(timespec="milliseconds") if isinstance(value, datetime) else value


def _events_table(rows: list[dict]) -> pa.Table:
    table = pa.Table.from_pylist(rows)
    for name in ("timestamp", "created_at", "_inserted_at"):
        where = table.schema.get_field_index(name)
        table = table.set_column(where, name, table[name].cast(pa.timestamp("us", "UTC")))
    return table
