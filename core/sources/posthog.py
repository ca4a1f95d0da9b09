"""Activity and identities from PostHog's query API, fetched in slices of time and kept.

Time slices, because batches of users read the same bytes again for every batch; one row per
person with all of its events, so that a slice stays below the rows PostHog gives. A slice that
does not is asked for in two halves.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
import pyarrow as pa

from core.activity import slices
from core.activity.plan import MS_PER_SECOND, Rules, whole_days
from core.activity.slices import Piece, Told
from core.activity.source import Activity, Hole, Period, Progress, Usage, silent
from core.activity.store import Store
from core.activity.timelines import MS_PER_DAY
from core.errors import PostHogBusy, PostHogError, QueryTooBig
from core.sections import PostHog
from core.sources.checks import Check
from core.sources.posthog_client import PostHogClient
from core.sources.posthog_queries import (
    EMAILS_QUERY,
    FOUND,
    MERGED_QUERY,
    PERSONS_QUERY,
    REACH_QUERY,
    TOTALS_QUERY,
    read_counts,
    read_emails,
    read_people,
)
from core.sources.posthog_slices import SliceReader, in_halves, in_parts, numbers_of, question

IDENTITY_TTL_SECONDS = 24 * 3600
BATCH = 1000
"""Users looked up at once, at most."""
CHECK_DAYS = 30
_MERGED_PARTS = (1, 8)
_IN_ORDER_MS = 10 * 60 * 1000
"""Two slices fetched so far apart were not asked for together: a question takes five minutes."""


class PostHogSource:
    """Activity and identities of one PostHog project, through its query API."""

    kind = "posthog"

    def __init__(
        self,
        settings: PostHog,
        store: Store,
        *,
        now: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        client: PostHogClient | None = None,
        folder: Path | None = None,
    ) -> None:
        """Prepare to ask; nothing is sent yet.

        Args:
            settings: Host, project, key, limits, and how slices are cut.
            store: Where slices and identities are kept.
            now: Milliseconds since 1970 UTC.
            client: Who asks; by default one made from the settings.
            folder: Where processes that ask the same project share its limits.
        """
        self.usage = Usage()
        self._settings = settings
        self._store = store
        self._now = now
        self._client = client or PostHogClient(settings, self.usage, folder=folder)
        self._slices = SliceReader(settings, self._client, store, self.usage, now)

    @property
    def label(self) -> str:
        """Return the project and host."""
        return (
            f"PostHog project {self._settings.project_id} at {urlsplit(self._settings.host).netloc}"
        )

    def fetch(
        self,
        period: Period,
        events: Sequence[str],
        *,
        refresh: bool = False,
        on_progress: Progress = silent,
    ) -> Activity:
        """Return everybody's tracked events of a period, each event once.

        Only what is not kept, or had not settled when it was fetched, is asked for. A slice that
        could not be had is named in `holes`; those that came are kept.

        Args:
            period: What is wanted; what lies in the future holds nothing.
            events: Names of the tracked events.
            refresh: Whether everything that had not settled is fetched again.
            on_progress: Told the slices that are there, and all that are needed.

        Raises:
            PostHogError: Nothing could be read, or PostHog does not let this key ask.
        """
        now = self._now()
        names = sorted(set(events))
        rules = Rules(
            now=now,
            slice_days=self._settings.slice_days,
            settle_hours=self._settings.settle_hours,
            refresh=refresh,
        )
        wanted = whole_days(period, now) if names else Period(period.start, period.start)
        pieces, holes = self._slices.read(wanted, names, rules, on_progress)
        # A merge shows in what is fetched afterwards only where the old distinct id is met again.
        ttl = 0 if refresh else IDENTITY_TTL_SECONDS
        is_stale = any(_is_stale(piece.use.slice.fetched_at, now, ttl) for piece in pieces)
        merged = self._merged(ttl) if is_stale else None
        told = [*self._settled(pieces), *([merged] if merged else [])]
        seen, renames = slices.resolved(pieces, told)
        return Activity(
            timelines=slices.joined(
                pieces, renames, period=period, asked=names, event_names=tuple(events)
            ),
            seen=seen.assign(is_current=merged is not None or not is_stale),
            notices=(*self._store.notices, *self.usage.notes),
            holes=_within(holes, period),
        )

    def persons_of(self, distinct_ids: Sequence[str]) -> pd.DataFrame:
        """Return `distinct_id`, `person_id` for up to 1,000 distinct ids.

        Every distinct id of the persons found is in it, so that merges show; ids without a
        person are not.

        Raises:
            ValueError: There are more than 1,000.
            PostHogError: PostHog did not answer.
        """
        asked = _askable(distinct_ids)
        table = self._looked_up(
            PERSONS_QUERY,
            {"ids": asked},
            slices.PEOPLE,
            partial(in_halves, self._ask_persons, asked),
        )
        person, distinct = slices.exploded(table)
        found = pd.DataFrame({"distinct_id": distinct, "person_id": person}, dtype="str")
        # halves may meet the same person, and the later one may know of a merge in between
        return found.drop_duplicates("distinct_id", keep="last", ignore_index=True)

    def persons_with(self, emails: Sequence[str]) -> pd.DataFrame:
        """Return `email`, `person_id` for up to 1,000 e-mails, trimmed and case-folded.

        An e-mail that belongs to several persons has several rows. The store never gets to see
        one: answers are kept under a keyed hash and point into the list that was asked for.

        Raises:
            ValueError: There are more than 1,000.
            PostHogError: PostHog did not answer.
        """
        folded = _askable([email.strip().casefold() for email in emails])
        # Where lower-casing and case-folding differ, PostHog's lowerUTF8 is the former.
        forms = sorted({*folded, *_askable([email.strip().lower() for email in emails])})
        asked = sorted({form.casefold() for form in forms})

        def ask(some: list[str]) -> pa.Table:
            return self._client.read(
                EMAILS_QUERY,
                {"emails": some},
                name="the persons with e-mails",
                parse=lambda answer: read_emails(answer, asked),
            )

        table = self._looked_up(
            EMAILS_QUERY, {"emails": forms}, FOUND, partial(in_halves, ask, forms)
        )
        email = np.asarray(asked, dtype=object)[table.column("position").to_numpy()]
        person = table.column("person_id").to_pandas()
        found = pd.DataFrame({"email": email, "person_id": person}, dtype="str")
        return found.drop_duplicates(ignore_index=True)

    def check(self, events: Sequence[str] = ()) -> list[Check]:
        """Return whether the project can be read, and whether the tracked events occur.

        Args:
            events: Names of the tracked events, each looked for in the last 30 days.
        """
        try:
            self._client.query(REACH_QUERY, {}, name="whether it can be reached")
            totals = self._totals(sorted(set(events)))
        except PostHogError as error:
            return [Check(self.label, ok=False, words=str(error))]
        said = [Check(self.label, ok=True, words="The key is accepted, the project can be read.")]
        for event in events:
            count = totals.get(event, 0)
            words = (
                f"Found {count:,} times in the last {CHECK_DAYS} days."
                if count
                else f"Not found in the last {CHECK_DAYS} days. Check its spelling, capitals "
                "included, in the metrics settings or as the trigger of an automation."
            )
            said.append(Check(f"event {event}", ok=True if count else None, words=words))
        return said

    def close(self) -> None:
        """Close the connections and the store."""
        self._client.close()
        self._store.close()

    def _settled(self, pieces: Sequence[Piece]) -> list[Told]:
        """Return who those are whom slices asked for together saw as different persons."""
        ids = [one for one in slices.disputed(pieces, _IN_ORDER_MS) if "\0" not in one]
        newest = max((piece.use.slice.fetched_at for piece in pieces), default=0)
        told = []
        for start in range(0, len(ids), BATCH):
            asked = ids[start : start + BATCH]
            table, at = self._kept_for_a_day(
                PERSONS_QUERY,
                {"ids": asked},
                slices.PEOPLE,
                partial(in_halves, self._ask_persons, asked),
                ttl_seconds=max(self._now() - newest, 0) // MS_PER_SECOND,
            )
            told.append(Told(table, max(at, newest + 1)))
        return told

    def _ask_persons(self, asked: list[str]) -> pa.Table:
        return self._client.read(
            PERSONS_QUERY,
            {"ids": asked},
            name="the persons of distinct ids",
            parse=lambda answer: read_people(answer, asked),
        )

    def _merged(self, ttl_seconds: int) -> Told | None:
        """Return all persons with several distinct ids and when they were so.

        None where they are too many to ask for, or PostHog is too busy to say: then users are
        looked up one by one.
        """
        try:
            table, at = self._kept_for_a_day(
                MERGED_QUERY,
                {},
                slices.PEOPLE,
                lambda: in_parts(self._ask_merged, _MERGED_PARTS),
                ttl_seconds=ttl_seconds,
            )
        except (QueryTooBig, PostHogBusy):
            return None
        return Told(table, at)

    def _ask_merged(self, shard: int, shards: int) -> pa.Table:
        return self._client.read(
            MERGED_QUERY,
            {"shard": shard, "shards": shards},
            name="merged persons",
            parse=read_people,
        )

    def _looked_up(
        self,
        text: str,
        values: Mapping[str, list[str]],
        schema: pa.Schema,
        ask: Callable[[], pa.Table],
    ) -> pa.Table:
        """Return the answer about some users, from the store where it is a day old at most."""
        if not any(values.values()):
            return schema.empty_table()
        return self._kept_for_a_day(text, values, schema, ask)[0]

    def _kept_for_a_day(
        self,
        text: str,
        values: Mapping[str, list[str]],
        schema: pa.Schema,
        ask: Callable[[], pa.Table],
        *,
        ttl_seconds: int = IDENTITY_TTL_SECONDS,
    ) -> tuple[pa.Table, int]:
        """Return an answer and when it was given."""
        # Keyed: a plain hash of an e-mail is found out by trying e-mails.
        secret = self._settings.api_key.get_secret_value().encode()
        asked = hmac.new(secret, question(self._settings, text, values), hashlib.sha256).hexdigest()
        prefix = f"identity/{asked}/"
        now = self._now()
        for key in reversed(self._store.keys(prefix)):
            at = numbers_of(key, prefix)
            if len(at) != 1 or at[0] > now or _is_stale(at[0], now, ttl_seconds):
                continue
            table = slices.from_bytes(self._store.get(key), schema)
            if table is not None:
                self.usage.cache_hits += 1
                return table, at[0]
        table = ask()
        self._store.put(
            f"{prefix}{now}", slices.to_bytes(table), expire_seconds=IDENTITY_TTL_SECONDS
        )
        return table, now

    def _totals(self, events: list[str]) -> dict[str, int]:
        """Return how often each event occurred in the last days, those that did not left out."""
        until = self._now() // MS_PER_SECOND
        since = until - CHECK_DAYS * MS_PER_DAY // MS_PER_SECOND
        if not events:
            return {}
        return self._client.read(
            TOTALS_QUERY,
            {"t_from": since, "t_to": until, "events": events},
            name="how often tracked events occur",
            parse=read_counts,
        )


def _within(holes: Sequence[Hole], period: Period) -> tuple[Hole, ...]:
    """Return the parts of holes that lie in a period."""
    inside = [
        Hole(start=max(one.start, period.start), end=min(one.end, period.end), why=one.why)
        for one in holes
    ]
    return tuple(one for one in inside if one.start < one.end)


def _is_stale(at: int, now: int, ttl_seconds: int) -> bool:
    return at < now - ttl_seconds * MS_PER_SECOND


def _askable(texts: Sequence[str]) -> list[str]:
    """Return the distinct texts in order of size that can be asked for."""
    if len(texts) > BATCH:
        raise ValueError(f"{len(texts):,} users were asked for at once; {BATCH:,} is the most.")
    return sorted({text for text in texts if text and "\0" not in text})  # NUL is lost on the way
