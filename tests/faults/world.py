"""A small world with every trouble in it, and the ledger: its true window counts, reckoned plainly.

Nothing here comes from core: the ledger is what core is judged by.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psycopg2.extensions
from psycopg2.extras import execute_values

AS_OF = datetime(2026, 10, 1, tzinfo=UTC)
SINCE = datetime(2026, 9, 1, tzinfo=UTC)
BASELINE, POST = timedelta(days=30), timedelta(hours=48)
METRICS = {"trades": ["Trade Confirmed"], "interest": ["$pageview", "PDP add to closet"]}
TRIGGER = "Offer Created"
EMAIL_DOMAIN = "canary-mail.example"
"""Of every e-mail in the world: it must never appear in a message or a log."""
N_USERS, N_CAMPAIGNS = 200, 12
AUTOMATIONS: Mapping[str, Mapping[str, Any]] = {
    "drop": {"id": "drop", "name": "Drop", "audience": "all", "content": "drop"},
    "hot": {"id": "hot", "name": "Hot inventory", "schedule": {"weekday": "tuesday"}},
    "reply": {"id": "reply", "name": "Reply", "trigger": {"event": TRIGGER}},
}
SCHEMA = """
CREATE TABLE users (id text, email text, posthog_distinct_id text, created_at timestamptz);
CREATE TABLE push_notifications (
    id bigint, user_id text, automation_id text, campaign_id text, title text, body text,
    status text, sent_at timestamptz, delivered_at timestamptz, trigger_at timestamptz);
"""
Counts = dict[tuple[str, str, str], tuple[int, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """What is true.

    Attributes:
        counts: (campaign, person, metric) -> events in the baseline and in the post window.
        holdouts: (campaign, person) of everybody held out and not delivered after all.
    """

    counts: Counts
    holdouts: frozenset[tuple[str, str]]

    def of_campaigns(self) -> dict[str, Counts]:
        """Return the counts of each campaign."""
        return by_campaign(self.counts)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class World:
    """Rows as the two sources hold them.

    Attributes:
        users: `id`, `email`, `posthog_distinct_id`, `created_at`.
        pushes: The columns of push_notifications.
        events: A batch export's events, some of them twice.
        persons: A batch export's persons: one row per distinct id, merged ones twice.
    """

    users: pd.DataFrame
    pushes: pd.DataFrame
    events: pd.DataFrame
    persons: pd.DataFrame

    def write_export(self, folder: Path) -> tuple[Path, Path]:
        """Write events and persons; return both files."""
        files = folder / "events.parquet", folder / "persons.parquet"
        self.events.to_parquet(files[0])
        self.persons.to_parquet(files[1])
        return files

    def write_automations(self, folder: Path) -> Path:
        """Write the automations' files; return their folder."""
        folder.mkdir(exist_ok=True)
        for name, content in AUTOMATIONS.items():
            (folder / f"{name}.json").write_text(json.dumps(content))
        return folder

    def fill(self, connection: psycopg2.extensions.connection) -> None:
        """Create both tables and write their rows."""
        with connection, connection.cursor() as cursor:
            cursor.execute(SCHEMA)
            for name, frame in (("users", self.users), ("push_notifications", self.pushes)):
                rows = frame.astype(object).where(frame.notna(), None)
                execute_values(
                    cursor,
                    f"INSERT INTO {name} VALUES %s",  # noqa: S608 - a constant
                    list(rows.itertuples(index=False, name=None)),
                )

    def ledger(self, moved: Mapping[str, str] | None = None) -> Ledger:
        """Return what is true, once some distinct ids belong to other persons."""
        owner = _owners(self.persons) | dict(moved or {})
        persons = _persons_of_users(self.users, self.persons, owner)
        one = _one_person_per_email(self.users, self.persons, owner)
        happened = _happened(self.events, owner, one)
        sends = _sends(self.pushes, self.users, persons, one)
        pushes = sends[sends["kind"] == "delivered"].drop_duplicates(["campaign", "person"])
        held = sends[sends["kind"] == "holdout"]
        delivered = set(zip(pushes["campaign"], pushes["person"], strict=True))
        holdouts = set(zip(held["campaign"], held["person"], strict=True)) - delivered
        counts: Counts = {}
        for push in pushes.itertuples():
            for metric, names in METRICS.items():
                counts[push.campaign, push.person, metric] = _counted(
                    [happened.get((push.person, name), []) for name in names],
                    push.at,
                    push.signed_up,
                )
        return Ledger(counts=counts, holdouts=frozenset(holdouts))

    def movable(self) -> list[str]:
        """Return distinct ids of users that are the only one of their person and of no e-mail."""
        single = self.persons.groupby("person_id")["distinct_id"].transform("size") == 1
        plain = ~self.persons["person_id"].duplicated(keep=False) & single
        direct = self.persons["distinct_id"].isin(self.users["posthog_distinct_id"].dropna())
        return sorted(self.persons.loc[plain & direct, "distinct_id"])


def by_campaign(counts: Counts) -> dict[str, Counts]:
    """Return counts split by campaign."""
    found: dict[str, Counts] = {}
    for key, value in counts.items():
        found.setdefault(key[0], {})[key] = value
    return found


def make_world(seed: int = 20261001) -> World:
    """Return the world: 12 campaigns of three layers sent to 200 users over 20 days."""
    rng = np.random.default_rng(seed)
    users, persons, active = _people(rng)
    pushes = _pushes(rng, users)
    return World(
        users=users, pushes=pushes, events=_events(rng, active, pushes, users), persons=persons
    )


# --- the ledger ------------------------------------------------------------------------------


def _owners(persons: pd.DataFrame) -> dict[str, str]:
    newest = persons.sort_values("person_distinct_id_version")
    return dict(zip(newest["distinct_id"], newest["person_id"], strict=True))


def _emails(persons: pd.DataFrame, owner: Mapping[str, str]) -> dict[str, set[str]]:
    """Return e-mail -> the persons that have it and still exist."""
    found: dict[str, set[str]] = {}
    alive = set(owner.values())
    for person, text in zip(persons["person_id"], persons["properties"], strict=True):
        email = json.loads(text).get("email", "").strip().casefold()
        if email and person in alive:
            found.setdefault(email, set()).add(person)
    return found


def _persons_of_users(
    users: pd.DataFrame, persons: pd.DataFrame, owner: Mapping[str, str]
) -> dict[str, str | None]:
    by_email = _emails(persons, owner)
    answer: dict[str, str | None] = {}
    for user in users.itertuples():
        if isinstance(user.posthog_distinct_id, str):
            answer[user.id] = owner.get(user.posthog_distinct_id, user.posthog_distinct_id)
        else:
            answer[user.id] = min(by_email.get(_folded(user.email), {""})) or None
    return answer


def _one_person_per_email(
    users: pd.DataFrame, persons: pd.DataFrame, owner: Mapping[str, str]
) -> dict[str, str]:
    """Return person -> the one measured, for e-mails by which somebody is mapped."""
    by_email = _emails(persons, owner)
    asked = {_folded(email) for email in users.loc[users["posthog_distinct_id"].isna(), "email"]}
    shared = [by_email[email] for email in sorted(asked & set(by_email))]
    return {person: min(some) for some in shared for person in some}


def _folded(email: object) -> str:
    return email.strip().casefold() if isinstance(email, str) else ""


def _happened(
    events: pd.DataFrame, owner: Mapping[str, str], one: Mapping[str, str]
) -> dict[tuple[str, str], list[int]]:
    """Return (person, event) -> the sorted milliseconds at which it happened, each event once."""
    single = events.drop_duplicates("uuid").sort_values("timestamp")
    answer: dict[tuple[str, str], list[int]] = {}
    instants = single["timestamp"].dt.as_unit("ms").astype("int64")
    for distinct, event, at in zip(single["distinct_id"], single["event"], instants, strict=True):
        person = owner.get(distinct, distinct)
        answer.setdefault((one.get(person, person), event), []).append(int(at))
    return answer


def _sends(
    pushes: pd.DataFrame,
    users: pd.DataFrame,
    persons: Mapping[str, str | None],
    one: Mapping[str, str],
) -> pd.DataFrame:
    """Return campaign, person, kind, at, signed_up of every row with a person, in order of time."""
    sent = pushes["sent_at"].fillna(pushes["delivered_at"])
    derived = pushes["automation_id"].fillna("one-off") + ":" + sent.dt.strftime("%Y-%m-%d")
    person = pushes["user_id"].map(persons)
    frame = pd.DataFrame(
        {
            "id": pushes["id"],
            "campaign": pushes["campaign_id"].fillna(derived),
            "person": person.map(lambda p: one.get(p, p), na_action="ignore"),
            "kind": pushes["status"].str.strip().str.lower(),
            "at": pushes["delivered_at"].fillna(pushes["sent_at"]),
            "signed_up": pushes["user_id"].map(users.set_index("id")["created_at"]),
        }
    )
    return frame.dropna(subset="person").sort_values(["at", "id"])


def _counted(
    happened: list[list[int]], at: pd.Timestamp, signed_up: pd.Timestamp
) -> tuple[int, int]:
    start = at - BASELINE
    if pd.notna(signed_up):
        start = max(start, min(signed_up, at))
    first, t, last = (_ms(one) for one in (start, at, min(at + POST, pd.Timestamp(AS_OF))))
    before, after = (
        sum(int(np.searchsorted(times, high) - np.searchsorted(times, low)) for times in happened)
        for low, high in ((first, t), (t, last))
    )
    return before, after


def _ms(instant: pd.Timestamp) -> int:
    return instant.value // 1_000_000


# --- making the world ------------------------------------------------------------------------


def _people(rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return users, persons, and the distinct ids that do things with their person at the time."""
    users, persons, active = [], [], []
    for i in range(N_USERS):
        person, email = _person_id(i), f"User{i}@{EMAIL_DOMAIN}"
        users.append(
            {
                "id": f"u{i}",
                "email": None if i % 11 == 3 else f" {email.upper() if i % 2 else email}\t",
                "posthog_distinct_id": None if i % 5 == 0 else f"d{i}",
                "created_at": None if i % 7 == 0 else _instant(rng, -70, -3),
            }
        )
        if i % 13 == 12:  # no person: half of them are never seen, half act all the same
            active += [(f"d{i}", None)] if i % 26 == 12 else []
            continue
        persons.append((f"d{i}", person, 0, email))
        active += [] if i % 17 == 3 else [(f"d{i}", person)]  # known, but never seen
        if i % 6 == 1:  # somebody anonymous who was merged into this person
            persons += [(f"anon{i}", _person_id(i + 5000), 0, ""), (f"anon{i}", person, 1, email)]
            active.append((f"anon{i}", _person_id(i + 5000)))
        if i % 20 == 5:  # a second person with this e-mail
            persons.append((f"twin{i}", _person_id(i + 9000), 0, email.lower()))
            active.append((f"twin{i}", _person_id(i + 9000)))
    users.append({**users[1], "id": "second-account"})
    frame = pd.DataFrame(
        persons, columns=["distinct_id", "person_id", "person_distinct_id_version", "email"]
    )
    properties = [json.dumps({"email": email} if email else {}) for email in frame.pop("email")]
    return (
        pd.DataFrame(users).astype({"created_at": "datetime64[ms, UTC]"}),
        frame.assign(team_id=1, properties=properties),
        pd.DataFrame(active, columns=["distinct_id", "person_id"]),
    )


def _pushes(rng: np.random.Generator, users: pd.DataFrame) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    for campaign in range(N_CAMPAIGNS):
        start = AS_OF - timedelta(days=21) + campaign * timedelta(hours=42)
        automation = list(AUTOMATIONS)[campaign % len(AUTOMATIONS)]
        for user in users["id"]:
            if rng.random() < 0.4:
                continue
            sent = start + timedelta(milliseconds=int(rng.integers(0, 5 * 3_600_000)))
            status = str(rng.choice(["delivered", "Delivered ", "failed", "holdout"],
                                    p=[0.7, 0.1, 0.05, 0.15]))  # fmt: skip
            is_delivered = "eliv" in status
            row = {
                "user_id": user,
                "automation_id": automation,
                "campaign_id": f"c{campaign}" if campaign % 3 else None,
                "title": "=Hello <b>there</b>",
                "body": "A body " * 5,
                "status": status,
                "sent_at": sent,
                "delivered_at": sent + timedelta(seconds=2) if is_delivered else None,
                "trigger_at": sent - timedelta(hours=3) if automation == "reply" else None,
            }
            rows.append(row)
            if is_delivered and rng.random() < 0.05:  # the same push a second time
                later = timedelta(seconds=int(rng.integers(60, 600)))
                rows.append({**row, "delivered_at": sent + later})
    frame = pd.DataFrame(rows)
    frame.insert(0, "id", np.arange(len(frame)))
    instants = dict.fromkeys(("sent_at", "delivered_at", "trigger_at"), "datetime64[ms, UTC]")
    return frame.astype(instants)


def _events(
    rng: np.random.Generator, active: pd.DataFrame, pushes: pd.DataFrame, users: pd.DataFrame
) -> pd.DataFrame:
    """Return events everywhere and on the boundaries of windows, one in fifty of them twice."""
    end, day = int(AS_OF.timestamp() * 1000), 86_400_000
    n = rng.poisson(30, len(active))
    who = np.repeat(np.arange(len(active)), n)
    when = rng.integers(end - 58 * day, end, len(who))
    place = {distinct: i for i, distinct in enumerate(active["distinct_id"])}
    ids = users.set_index("id")["posthog_distinct_id"]
    at = pushes["delivered_at"].fillna(pushes["sent_at"]).astype("int64").to_numpy()
    known = pushes["user_id"].map(ids).map(place)
    some = np.flatnonzero(known.notna() & (rng.random(len(pushes)) < 0.25))
    edges = np.array([0, -30 * day, 2 * day])[rng.integers(0, 3, len(some))]
    near = at[some] + edges + rng.integers(-1, 2, len(some))
    who = np.concatenate([who, known.iloc[some].astype("int64")])
    when = np.concatenate([when, near])
    names = [*(name for some in METRICS.values() for name in some), TRIGGER, "Untracked"]
    frame = pd.DataFrame(
        {
            "uuid": [str(uuid.UUID(bytes=rng.bytes(16), version=4)) for _ in who],
            "event": rng.choice(names, len(who)),
            "distinct_id": active["distinct_id"].to_numpy()[who],
            "person_id": active["person_id"].to_numpy()[who],
            "properties": "{}",
            "person_properties": "{}",
            "timestamp": pd.to_datetime(when, unit="ms", utc=True).as_unit("us"),
        }
    )
    frame = frame[when < end]
    return pd.concat([frame, frame.sample(frac=0.02, random_state=1)], ignore_index=True)


def _person_id(number: int) -> str:
    return str(uuid.UUID(int=(0x0190 << 112) | (7 << 76) | (1 << 63) | number))


def _instant(rng: np.random.Generator, first_day: float, last_day: float) -> datetime:
    at = AS_OF + timedelta(days=float(rng.uniform(first_day, last_day)))
    return at.replace(microsecond=at.microsecond // 1000 * 1000)
