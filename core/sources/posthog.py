"""Activity and identities from PostHog's query API, fetched in slices of time and kept.

Time slices, because batches of users read the same bytes again for every batch; one row per
person with all of its events, so that a slice stays below the rows PostHog gives. A slice that
does not is asked for in two halves.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, closing
from dataclasses import replace
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
import pyarrow as pa

from core.activity import slices
from core.activity.plan import (
    MS_PER_SECOND,
    Plan,
    Rules,
    Slice,
    Use,
    halves,
    plan_fetch,
    whole_days,
)
from core.activity.slices import Piece
from core.activity.source import Activity, Period, Progress, Usage, silent
from core.activity.store import Store
from core.activity.timelines import MS_PER_DAY
from core.errors import PostHogError, QueryTooBig
from core.settings import PostHog
from core.sources.checks import Check
from core.sources.posthog_client import Answer, PostHogClient
from core.sources.posthog_queries import (
    EMAILS_QUERY,
    FOUND,
    MERGED_QUERY,
    PERSONS_QUERY,
    REACH_QUERY,
    SLICE_QUERY,
    TOTALS_QUERY,
    read_counts,
    read_emails,
    read_people,
    read_slice,
)

IDENTITY_TTL_SECONDS = 24 * 3600
BATCH = 1000
"""Users looked up at once, at most."""
CHECK_DAYS = 30
_STEP = "Fetching activity from PostHog"
_SECOND_PARTS = (4, 16, 64)
"""Parts by person into which one second is divided when it is too big, tried in this order."""
_MERGED_PARTS = (1, 8)


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
    ) -> None:
        """Prepare to ask; nothing is sent yet.

        Args:
            settings: Host, project, key, limits, and how slices are cut.
            store: Where slices and identities are kept.
            now: Milliseconds since 1970 UTC.
            client: Who asks; by default one made from the settings.
        """
        self.usage = Usage()
        self._settings = settings
        self._store = store
        self._now = now
        self._client = client or PostHogClient(settings, self.usage)

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

        Only what is not kept, or had not settled when it was fetched, is asked for.

        Args:
            period: What is wanted; what lies in the future holds nothing.
            events: Names of the tracked events.
            refresh: Whether everything that had not settled is fetched again.
            on_progress: Told the slices that are there, and all that are needed.

        Raises:
            PostHogError: A slice could not be read; those that were are kept.
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
        pieces = self._pieces(wanted, names, rules, on_progress)
        # A merge shows in what is fetched afterwards only where the old distinct id is met again.
        ttl = 0 if refresh else IDENTITY_TTL_SECONDS
        is_stale = any(_is_stale(piece.use.slice.fetched_at, now, ttl) for piece in pieces)
        merged, merged_at = self._merged(now, ttl) if is_stale else (None, now)
        seen, renames = slices.resolved(pieces, merged, merged_at)
        return Activity(
            timelines=slices.joined(
                pieces, renames, period=period, asked=names, event_names=tuple(events)
            ),
            seen=seen.assign(is_current=merged is not None or not is_stale),
            notices=self._store.notices,
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
            name="the persons of distinct ids",
            parse=lambda answer: read_people(answer, asked),
            schema=slices.PEOPLE,
        )
        person, distinct = slices.exploded(table)
        return pd.DataFrame({"distinct_id": distinct, "person_id": person}, dtype="str")

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
        table = self._looked_up(
            EMAILS_QUERY,
            {"emails": forms},
            name="the persons with e-mails",
            parse=lambda answer: read_emails(answer, asked),
            schema=FOUND,
        )
        email = np.asarray(asked, dtype=object)[table.column("position").to_numpy()]
        person = table.column("person_id").to_pandas()
        return pd.DataFrame({"email": email, "person_id": person}, dtype="str")

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

    def _pieces(
        self, wanted: Period, names: list[str], rules: Rules, on_progress: Progress
    ) -> list[Piece]:
        """Return what a period is put together from, in order of time."""
        plan, pieces = self._from_store(wanted, names, rules)
        with ExitStack() as held:
            if plan.gaps:  # nobody fetches what somebody else is fetching
                held.enter_context(self._store.alone(self._prefix(names)))
                plan, pieces = self._from_store(wanted, names, replace(rules, now=self._now()))
            self.usage.cache_hits += len({piece.use.slice for piece in pieces})
            pieces += self._fetch(plan, names, rules, on_progress)
        return sorted(pieces, key=lambda piece: piece.use.start)

    def _from_store(
        self, wanted: Period, names: list[str], rules: Rules
    ) -> tuple[Plan, list[Piece]]:
        """Return the plan for a period, and the kept slices it uses, each read and intact."""
        prefix = self._prefix(names)
        stored = {
            Slice(start=at[0], end=at[1], fetched_at=at[2]): key
            for key in self._store.keys(prefix)
            if len(at := _numbers(key, prefix)) == 3
        }
        tables: dict[Slice, pa.Table] = {}
        while True:
            plan = plan_fetch(wanted, list(stored), rules)
            for known in {use.slice for use in plan.uses} - set(tables):
                table = slices.from_bytes(self._store.get(stored[known]), slices.SLICE)
                if table is None:
                    del stored[known]  # expired, evicted or damaged: plan again without it
                else:
                    tables[known] = table
            if all(use.slice in tables for use in plan.uses):
                return plan, [Piece(use, tables[use.slice]) for use in plan.uses]

    def _fetch(
        self, plan: Plan, names: list[str], rules: Rules, on_progress: Progress
    ) -> list[Piece]:
        """Fetch the gaps of a plan, keeping each slice as soon as it is there."""
        pieces: list[Piece] = []
        on_progress(_STEP, len(plan.uses), len(plan.uses) + len(plan.gaps))
        with closing(self._answers(plan.gaps, names)) as answers:
            for fetched, table, n_left in answers:
                key = f"{self._prefix(names)}{fetched.start}/{fetched.end}/{fetched.fetched_at}"
                expire = None if rules.is_settled(fetched) else rules.ttl_seconds
                self._store.put(key, slices.to_bytes(table), expire_seconds=expire)
                use = Use(slice=fetched, start=fetched.start, end=fetched.end)
                pieces.append(Piece(use, table))
                done = len(plan.uses) + len(pieces)
                on_progress(_STEP, done, done + n_left)
        return pieces

    def _answers(
        self, gaps: Sequence[Period], names: list[str]
    ) -> Generator[tuple[Slice, pa.Table, int], None, None]:
        """Yield slices as they arrive and how many are left, those too big in halves.

        Where one fails, those under way are still yielded before the failure is raised.
        """
        failure: PostHogError | None = None
        left = list(reversed(gaps))
        running: dict[Future[tuple[Slice, pa.Table]], Period] = {}
        pool = ThreadPoolExecutor(self._settings.max_in_flight, thread_name_prefix="posthog")
        try:
            while left or running:
                while left and len(running) < self._settings.max_in_flight:
                    gap = left.pop()
                    running[pool.submit(self._ask_slice, gap, names)] = gap
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    gap = running.pop(future)
                    try:
                        fetched, table = future.result()
                    except PostHogError as error:
                        parts = halves(gap) if isinstance(error, QueryTooBig) else None
                        if parts and failure is None:
                            # Depth first: where nothing is small enough, that is soon known.
                            left += reversed(parts)
                        else:
                            failure = failure or error
                            left.clear()
                    else:
                        yield fetched, table, len(running) + len(left)
        finally:
            pool.shutdown()
        if failure is not None:
            raise failure

    def _ask_slice(self, gap: Period, names: list[str]) -> tuple[Slice, pa.Table]:
        """Return one slice; what cannot be halved is asked for in parts by person."""
        fetched = Slice(start=gap.start, end=gap.end, fetched_at=self._now())
        try:
            return fetched, self._ask(gap, names, 0, 1)
        except QueryTooBig:
            if halves(gap):
                raise
        try:
            return fetched, _in_parts(lambda part, n: self._ask(gap, names, part, n), _SECOND_PARTS)
        except QueryTooBig as error:
            at = pd.Timestamp(gap.start, unit="ms", tz="UTC")
            raise QueryTooBig(
                f"The second from {at:%Y-%m-%d %H:%M:%S} UTC holds more tracked events than "
                "PostHog can give at once. Leave the event behind it out of the metrics, or read "
                "a batch export instead (events.path)."
            ) from error

    def _ask(self, gap: Period, names: list[str], shard: int, shards: int) -> pa.Table:
        return self._client.read(
            SLICE_QUERY,
            {
                "origin_ms": gap.start,
                "n_events": len(names),
                "events": names,
                "t_from": gap.start // MS_PER_SECOND,
                "t_to": gap.end // MS_PER_SECOND,
                "shards": shards,
                "shard": shard,
            },
            name="a slice of activity",
            parse=lambda answer: read_slice(answer, (gap.end - gap.start) * len(names)),
        )

    def _merged(self, now: int, ttl_seconds: int) -> tuple[pa.Table | None, int]:
        """Return all persons with several distinct ids and when they were so.

        None where they are too many to ask for: then users are looked up one by one.
        """
        try:
            return self._kept_for_a_day(
                MERGED_QUERY,
                {},
                slices.PEOPLE,
                lambda: _in_parts(self._ask_merged, _MERGED_PARTS),
                ttl_seconds=ttl_seconds,
            )
        except QueryTooBig:
            return None, now

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
        *,
        name: str,
        parse: Callable[[Answer], pa.Table],
        schema: pa.Schema,
    ) -> pa.Table:
        """Return the answer about some users, from the store where it is a day old at most."""
        if not any(values.values()):
            return schema.empty_table()
        return self._kept_for_a_day(
            text, values, schema, lambda: self._client.read(text, values, name=name, parse=parse)
        )[0]

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
        asked = hmac.new(secret, self._question(text, values), hashlib.sha256).hexdigest()
        prefix = f"identity/{asked}/"
        now = self._now()
        for key in reversed(self._store.keys(prefix)):
            at = _numbers(key, prefix)
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

    def _prefix(self, names: list[str]) -> str:
        asked = self._question(SLICE_QUERY, {"events": names})
        return f"slice/{hashlib.sha256(asked).hexdigest()}/"

    def _question(self, text: str, values: Mapping[str, list[str]]) -> bytes:
        settings = self._settings
        return json.dumps([settings.host, settings.project_id, text, dict(values)]).encode()


def _in_parts(ask: Callable[[int, int], pa.Table], numbers: Sequence[int]) -> pa.Table:
    """Return what some number of parts give together, the first number that is not too few."""
    for n_parts in numbers[:-1]:
        try:
            return pa.concat_tables([ask(part, n_parts) for part in range(n_parts)])
        except QueryTooBig:
            continue
    return pa.concat_tables([ask(part, numbers[-1]) for part in range(numbers[-1])])


def _numbers(key: str, prefix: str) -> list[int]:
    """Return the numbers at the end of a key, or none where it holds anything else."""
    parts = key.removeprefix(prefix).split("/")
    return list(map(int, parts)) if all(re.fullmatch("[0-9]{1,15}", p) for p in parts) else []


def _is_stale(at: int, now: int, ttl_seconds: int) -> bool:
    return at < now - ttl_seconds * MS_PER_SECOND


def _askable(texts: Sequence[str]) -> list[str]:
    """Return the distinct texts in order of size that can be asked for."""
    if len(texts) > BATCH:
        raise ValueError(f"{len(texts):,} users were asked for at once; {BATCH:,} is the most.")
    return sorted({text for text in texts if text and "\0" not in text})  # NUL is lost on the way
