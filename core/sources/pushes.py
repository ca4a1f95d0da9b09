"""The rows of the push database in a period, as they are: read once, in one snapshot."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from sqlalchemy.engine import Engine
from tenacity import (
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    stop_any,
    stop_before_delay,
    wait_exponential,
)

from core.activity.source import Progress, silent
from core.sections import Database
from core.sources.database import reading
from core.sources.faults import ConnectionLost
from core.sources.rights import hides_rows
from core.sources.snapshot import Snapshot

STATUSES = ("delivered", "holdout", "sent", "failed")
"""What a row's status may be; a delivered or held-out row has to name its user."""
SAMPLED_PER_CAMPAIGN = 100
"""Pushes of a campaign, spread evenly, among which the most common message is looked for."""
SAMPLED_PER_HOUR = 10
"""The same for each hour of an automation whose rows name no campaign."""
TRIES = 3
FIRST_WAIT_SECONDS = 1.0
"""Before the second try, and three times that before the third: a server needs some to start."""
_SEGMENT_DAYS = 7
_OTHER = "other"
_N_NEEDING_USER = 2
_LONGEST_STATUS = 30
_MS_PER_HOUR = 3_600_000
_MOST_NAMED = 5
_STR = pd.StringDtype(na_value=np.nan)
_OF_OTHERS = ["campaign_id", "automation_id", "status", "sent_at", "delivered_at"]
_OF_MESSAGES = ["campaign_id", "automation_id", "sent_at", "delivered_at", "title", "body"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RawPushes:
    """The rows of a period, by delivered_at or, where that is null, by sent_at.

    Text is of dtype `str`, instants `datetime64[ms, UTC]`; blank identifiers are missing.

    Attributes:
        rows: The rows of a known status and user: `id` (int64 or str), `campaign_id`,
            `automation_id`, `user_id`, `status` (one of STATUSES), `sent_at`, `delivered_at`,
            `trigger_at`, and of the user `signed_up_at`, `distinct_id`, `email` (trimmed and
            case-folded).
        others: Rows that are only counted: `campaign_id`, `automation_id`, `status` ("other"
            where unknown; "sent" or "failed" where no user is named), `sent_at`,
            `delivered_at`.
        messages: A sample of the delivered rows, spread evenly over each campaign: `campaign_id`,
            `automation_id`, `sent_at`, `delivered_at`, `title`, `body`.
        other_statuses: Unknown status, as it may be shown -> its number of rows.
        n_without_instant: Rows of the whole table with neither delivered_at nor sent_at.
        notices: What the reader of the numbers should know, in sentences.
    """

    rows: pd.DataFrame
    others: pd.DataFrame
    messages: pd.DataFrame
    other_statuses: Mapping[str, int]
    n_without_instant: int
    notices: tuple[str, ...]


def read_push_rows(
    engine: Engine,
    settings: Database,
    since: datetime,
    until: datetime,
    *,
    on_progress: Progress = silent,
    segment_days: int = _SEGMENT_DAYS,
    sleep: Callable[[float], None] = time.sleep,
) -> RawPushes:
    """Return the rows of the period [since, until), read in one snapshot.

    A reading that loses its connection, or finds the server starting up, is begun anew after a
    while; nothing of the first is kept.

    Args:
        engine: The push database.
        settings: Names of tables and columns, and the zone of timestamps without one.
        since: Start, inclusive, with a zone.
        until: End, exclusive, with a zone.
        on_progress: Called after each segment.
        segment_days: Days that one statement reads.
        sleep: Waits some seconds before the next try.

    Raises:
        ConnectionLost: The connection broke at every try.
        DatabaseError: The database cannot be read in time, or lacks a table or column.
        DataError: A column holds what it must not.
        ValueError: An end of the period has no zone.
    """
    if since.tzinfo is None or until.tzinfo is None:
        raise ValueError("since and until need a time zone")
    end = time.monotonic() + settings.read_timeout
    tries = Retrying(
        retry=retry_if_exception_type(ConnectionLost),
        stop=stop_any(stop_after_attempt(TRIES), stop_before_delay(settings.read_timeout)),
        wait=wait_exponential(multiplier=FIRST_WAIT_SECONDS, exp_base=3),
        sleep=sleep,
        reraise=True,
    )
    asked = _Reading(engine=engine, settings=settings, since=since, until=until, end=end)
    return tries(_read, asked, on_progress, segment_days)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    engine: Engine
    settings: Database
    since: datetime
    until: datetime
    end: float
    """The instant of `time.monotonic` by which everything is over."""


def _read(asked: _Reading, on_progress: Progress, segment_days: int) -> RawPushes:
    with reading(asked.engine, until=asked.end) as connection:
        snapshot = Snapshot.of(connection, asked.settings, since=asked.since, until=asked.until)
        read = snapshot.push_rows(on_progress, segment_days=segment_days)
        statuses = _normalised(read["status"])
        rows, others = _halves(read, statuses)
        n_nameless = int(rows["user_id"].isna().sum())
        rows = rows[rows["user_id"].notna()] if n_nameless else rows
        codes, recipients = pd.factorize(rows["user_id"])
        users = _users(snapshot.user_rows(len(recipients)))
        messages = _messages(rows, snapshot)
        n_without_instant = snapshot.n_without_instant()
        notices_of_tables = _notices_of_tables(snapshot)
    other_statuses = _other_statuses(statuses)
    place = pd.Index(users["user_id"].drop_duplicates()).get_indexer(pd.Index(recipients))
    return RawPushes(
        rows=_joined(rows, users.drop_duplicates("user_id"), place[codes]),
        others=others,
        messages=messages,
        other_statuses=other_statuses,
        n_without_instant=n_without_instant,
        notices=(
            *notices_of_tables,
            *_notices_of_columns(snapshot),
            *_notices_of_rows(n_without_instant, other_statuses),
            *_notices_of_nameless(n_nameless, int((others["status"] != _OTHER).sum())),
            *_notices_of_users(int((place < 0).sum()), int(users["user_id"].duplicated().sum())),
        ),
    )


def _joined(rows: pd.DataFrame, users: pd.DataFrame, place: NDArray[np.int64]) -> pd.DataFrame:
    """Return the rows with their users' columns; place is each row's user, -1 where unknown."""
    columns = users.drop(columns="user_id").reset_index(drop=True)
    theirs = (
        columns.reindex(np.append(np.arange(len(columns)), -1)).take(place).set_axis(rows.index)
    )
    return pd.concat([rows, theirs], axis=1)


def _halves(read: pa.Table, statuses: pa.ChunkedArray) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows of a known status, and what counting needs of the others.

    Undelivered rows without a user are others too: they count as sent, and nothing else.
    """
    known = pc.is_in(statuses, pa.array(STATUSES, pa.large_string()))
    status = pc.if_else(known, statuses, _OTHER)
    table = read.set_column(read.column_names.index("status"), "status", status)
    for name in ("campaign_id", "automation_id"):
        table = table.set_column(table.column_names.index(name), name, _filled(table[name]))
    needs_user = pc.is_in(status, pa.array(STATUSES[:_N_NEEDING_USER], pa.large_string()))
    is_whole = pc.and_(known, pc.or_(needs_user, pc.is_valid(table["user_id"])))
    return _frame(table.filter(is_whole)), _frame(
        table.filter(pc.invert(is_whole)).select(_OF_OTHERS)
    )


def _normalised(statuses: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return statuses trimmed and in lower case; each distinct one is treated once."""
    encoded = statuses.combine_chunks().dictionary_encode()
    clean = pc.utf8_lower(pc.utf8_trim_whitespace(encoded.dictionary))
    return pa.chunked_array([clean.take(encoded.indices)], pa.large_string())


def _filled(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return texts with blank ones missing."""
    return pc.if_else(pc.equal(pc.utf8_trim_whitespace(texts), ""), None, texts)


def _frame(table: pa.Table) -> pd.DataFrame:
    frame: pd.DataFrame = table.to_pandas(types_mapper={pa.large_string(): _STR}.get)
    return frame


def _users(table: pa.Table) -> pd.DataFrame:
    """Return users by `user_id`, e-mails trimmed and case-folded."""
    users = _frame(table).rename(
        columns={
            "id": "user_id", "posthog_distinct_id": "distinct_id", "created_at": "signed_up_at",
        }
    )  # fmt: skip
    email = users["email"].str.strip().str.casefold()
    return users.assign(
        email=email.where(email != ""),
        distinct_id=users["distinct_id"].where(users["distinct_id"].str.strip() != ""),
    )


def _messages(rows: pd.DataFrame, snapshot: Snapshot) -> pd.DataFrame:
    """Return title and body of an even sample of each campaign's delivered rows."""
    delivered = rows.loc[rows["status"] == STATUSES[0], ["id", *_OF_MESSAGES[:4]]]
    sample = delivered[_is_sampled(delivered)].dropna(subset="id")
    texts = _frame(snapshot.messages(sample["id"].tolist()))
    return sample.merge(texts.drop_duplicates("id"), on="id")[_OF_MESSAGES]


def _is_sampled(delivered: pd.DataFrame) -> pd.Series:
    """Say which rows are in the sample: of each campaign, or automation and hour, every n-th."""
    own, automation = (pd.factorize(delivered[name])[0] for name in _OF_MESSAGES[:2])
    sent = delivered["sent_at"].fillna(delivered["delivered_at"]).astype("int64").to_numpy()
    derived = own < 0
    keys = pd.DataFrame(
        {
            "own": own,
            "automation": np.where(derived, automation, 0),
            "hour": np.where(derived, sent // _MS_PER_HOUR, 0),
        },
        index=delivered.index,
    ).iloc[np.argsort(sent, kind="stable")]
    groups = keys.groupby(["own", "automation", "hour"], sort=False)
    most = np.where(keys["own"] < 0, SAMPLED_PER_HOUR, SAMPLED_PER_CAMPAIGN)
    every = np.ceil(groups["own"].transform("size") / most).astype("int64")
    is_sampled: pd.Series = groups.cumcount() % every == 0
    return is_sampled.reindex(delivered.index)


def _other_statuses(statuses: pa.ChunkedArray) -> dict[str, int]:
    """Return unknown statuses and their numbers of rows, long or telling ones unnamed."""
    unknown = statuses.filter(pc.invert(pc.is_in(statuses, pa.array(STATUSES, pa.large_string()))))
    names = pd.Series(unknown.to_pandas(), dtype=_STR).fillna("(none)")
    hidden = names.str.contains("@", regex=False) | (names.str.len() > _LONGEST_STATUS)
    counts = names.mask(hidden, "(not shown)").value_counts()
    return {str(name): int(count) for name, count in counts.items()}


def _notices_of_tables(snapshot: Snapshot) -> list[str]:
    return [
        f"Row-level security limits which rows of the table {table.name} this user sees: what it "
        "hides is not measured."
        for table in (snapshot.pushes, snapshot.users)
        if hides_rows(snapshot.connection, table)
    ]


def _notices_of_columns(snapshot: Snapshot) -> list[str]:
    said = [
        f"The table {table.name} has no column {', '.join(table.absent)}: read as not recorded."
        for table in (snapshot.pushes, snapshot.users)
        if table.absent
    ]
    return said + [
        f"{n:,} values of {column} fall in an hour that a clock change made unclear: read as the "
        "first of the two, or as the first instant after the gap."
        for column, n in snapshot.n_unclear.items()
        if n
    ]


def _notices_of_rows(n_without_instant: int, other_statuses: Mapping[str, int]) -> list[str]:
    said = []
    if n_without_instant:
        said.append(f"{n_without_instant:,} rows have neither delivered_at nor sent_at: left out.")
    if other_statuses:
        some = list(other_statuses.items())[:_MOST_NAMED]
        named = ", ".join(f"{name} ({count:,})" for name, count in some)
        more = len(other_statuses) - len(some)
        rest = f" and {more:,} more" if more else ""
        said.append(f"Rows with an unknown status are counted as such only: {named}{rest}.")
    return said


def _notices_of_nameless(n_left_out: int, n_counted: int) -> list[str]:
    said = []
    if n_left_out:
        said.append(f"{n_left_out:,} delivered or held-out rows have no user_id: left out.")
    if n_counted:
        said.append(f"{n_counted:,} sent or failed rows have no user_id: only counted.")
    return said


def _notices_of_users(n_strangers: int, n_repeated: int) -> list[str]:
    said = []
    if n_strangers:
        said.append(
            f"{n_strangers:,} recipients are not in the table of users: they cannot be identified."
        )
    if n_repeated:
        said.append(f"{n_repeated:,} rows of the table of users repeat an id: the first is used.")
    return said
