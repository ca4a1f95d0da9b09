"""Slices of activity from PostHog: taken from the store where they stand, else asked for and kept.

A slice that PostHog cannot give is a hole, with the reason: the others are had all the same.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, closing
from dataclasses import replace

import pandas as pd
import pyarrow as pa

from core.activity import slices
from core.activity.plan import MS_PER_SECOND, Plan, Rules, Slice, Use, halves, plan_fetch
from core.activity.slices import Piece
from core.activity.source import Hole, Period, Progress, Usage
from core.activity.store import Store
from core.activity.timelines import MS_PER_HOUR
from core.errors import PostHogDenied, PostHogError, QueryTooBig
from core.sections import PostHog
from core.sources.posthog_client import PostHogClient
from core.sources.posthog_queries import SLICE_QUERY, read_slice

_STEP = "Fetching activity from PostHog"
_SECOND_PARTS = (4, 16, 64)
"""Parts by person into which one second is divided when it is too big, tried in this order."""
_Arrived = tuple[Slice, pa.Table]


class SliceReader:
    """Reads one project's slices, from the store or PostHog."""

    def __init__(
        self,
        settings: PostHog,
        client: PostHogClient,
        store: Store,
        usage: Usage,
        now: Callable[[], int],
    ) -> None:
        """Prepare to read; nothing is asked yet.

        Args:
            settings: Host and project, and how many may be asked for at once.
            client: Who asks.
            store: Where slices are kept.
            usage: Its cache hits are counted up.
            now: Milliseconds since 1970 UTC.
        """
        self._settings = settings
        self._client = client
        self._store = store
        self._usage = usage
        self._now = now

    def read(
        self, wanted: Period, names: list[str], rules: Rules, on_progress: Progress
    ) -> tuple[list[Piece], list[Hole]]:
        """Return what a period is put together from, in order of time, and what is missing.

        Args:
            wanted: The period, as `whole_days` gives it.
            names: The tracked events, sorted.
            rules: When a kept slice is believed, and how long one may be.
            on_progress: Told the slices that are there, and all that are needed.

        Raises:
            PostHogDenied: PostHog does not let this key ask; slices that came before are kept.
            PostHogError: Nothing of the period could be had.
        """
        plan, pieces = self._from_store(wanted, names, rules)
        holes: list[Hole] = []
        with ExitStack() as held:
            if plan.gaps:  # nobody fetches what somebody else is fetching
                held.enter_context(self._store.alone(self._prefix(names)))
                plan, pieces = self._from_store(wanted, names, replace(rules, now=self._now()))
            self._usage.cache_hits += len({piece.use.slice for piece in pieces})
            pieces += self._fetch(plan, names, rules, on_progress, holes)
        holes += self._not_yet(rules.now)
        return sorted(pieces, key=lambda piece: piece.use.start), _merged_holes(holes)

    def _from_store(
        self, wanted: Period, names: list[str], rules: Rules
    ) -> tuple[Plan, list[Piece]]:
        """Return the plan for a period, and the kept slices it uses, each read and intact."""
        prefix = self._prefix(names)
        stored = {
            Slice(start=at[0], end=at[1], fetched_at=at[2]): key
            for key in self._store.keys(prefix)
            if len(at := numbers_of(key, prefix)) == 3
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
        self,
        plan: Plan,
        names: list[str],
        rules: Rules,
        on_progress: Progress,
        holes: list[Hole],
    ) -> list[Piece]:
        """Fetch the gaps of a plan, keeping each slice as soon as it is there."""
        pieces: list[Piece] = []
        on_progress(_STEP, len(plan.uses), len(plan.uses) + len(plan.gaps))
        queue = _Queue(self, plan.gaps, names, holes)
        with closing(queue.answers()) as answers:
            for (asked, table), n_left in answers:
                # By PostHog's clock: a slice of what has not happened yet must not settle.
                fetched = replace(asked, fetched_at=asked.fetched_at - self._client.ms_ahead)
                key = f"{self._prefix(names)}{fetched.start}/{fetched.end}/{fetched.fetched_at}"
                expire = None if rules.is_settled(fetched) else rules.ttl_seconds
                self._store.put(key, slices.to_bytes(table), expire_seconds=expire)
                use = Use(slice=fetched, start=fetched.start, end=fetched.end)
                pieces.append(Piece(use, table))
                done = len(plan.uses) + len(pieces)
                on_progress(_STEP, done, done + n_left)
        if queue.failure is not None and not pieces and not plan.uses:
            raise queue.failure
        return pieces

    def _not_yet(self, now: int) -> list[Hole]:
        """Return the time that has come here but not where events are recorded."""
        ahead = self._client.ms_ahead
        why = (
            f"The clock of this machine is {ahead / MS_PER_HOUR:,.1f} hours ahead of "
            "PostHog's, so these hours are still to come. Set the clock, then run again."
        )
        return [Hole(start=now - ahead, end=now, why=why)] if ahead else []

    @property
    def places(self) -> int:
        """Return how many slices may be asked for at once."""
        return self._settings.max_in_flight

    def ask_slice(self, gap: Period, names: list[str]) -> _Arrived:
        """Return one slice; what cannot be halved is asked for in parts by person."""
        fetched = Slice(start=gap.start, end=gap.end, fetched_at=self._now())
        try:
            return fetched, self._ask(gap, names, 0, 1)
        except QueryTooBig:
            if halves(gap):
                raise
        try:
            return fetched, in_parts(lambda part, n: self._ask(gap, names, part, n), _SECOND_PARTS)
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

    def _prefix(self, names: list[str]) -> str:
        asked = question(self._settings, SLICE_QUERY, {"events": names})
        return f"slice/{hashlib.sha256(asked).hexdigest()}/"


class _Queue:
    """Gaps waiting to be asked for, a few at once; what cannot be had becomes a hole.

    Attributes:
        failure: The first one that nothing helped against, None where there was none.
    """

    def __init__(
        self, reader: SliceReader, gaps: Sequence[Period], names: list[str], holes: list[Hole]
    ) -> None:
        self._reader = reader
        self._names = names
        self._holes = holes
        self._left = list(reversed(gaps))
        self._running: dict[Future[_Arrived], Period] = {}
        self._denial: PostHogDenied | None = None
        self.failure: PostHogError | None = None

    def answers(self) -> Generator[tuple[_Arrived, int], None, None]:
        """Yield slices as they arrive and how many are left, those too big in halves.

        Where PostHog denies one, those under way are still yielded before that is raised.
        """
        pool = ThreadPoolExecutor(self._reader.places, thread_name_prefix="posthog")
        try:
            while self._left or self._running:
                while self._left and len(self._running) < self._reader.places:
                    gap = self._left.pop()
                    self._running[pool.submit(self._reader.ask_slice, gap, self._names)] = gap
                for future in wait(self._running, return_when=FIRST_COMPLETED).done:
                    gap = self._running.pop(future)
                    try:
                        arrived = future.result()
                    except PostHogError as error:
                        self._failed(gap, error)
                    else:
                        yield arrived, len(self._running) + len(self._left)
        finally:
            pool.shutdown()
        if self._denial is not None:
            raise self._denial

    def _failed(self, gap: Period, error: PostHogError) -> None:
        """Ask for the halves of what is too big; note a hole where nothing helps."""
        if isinstance(error, PostHogDenied):
            self._denial = self._denial or error
            self._left.clear()
            return
        is_too_big = isinstance(error, QueryTooBig)
        if is_too_big and (parts := halves(gap)):
            # Depth first: where nothing is small enough, that is soon known.
            self._left += reversed(parts)
            return
        self.failure = self.failure or error
        lost = [gap]
        if is_too_big:  # not even a second fits: the rest would cost as many questions again
            lost += self._left
            self._left.clear()
        self._holes += [Hole(start=one.start, end=one.end, why=str(error)) for one in lost]


def in_parts(ask: Callable[[int, int], pa.Table], numbers: Sequence[int]) -> pa.Table:
    """Return what some number of parts give together, the first number that is not too few.

    Args:
        ask: Returns one part, told which and of how many.
        numbers: How many parts to try, ascending.

    Raises:
        QueryTooBig: The greatest number was too few.
    """
    for n_parts in numbers[:-1]:
        try:
            return pa.concat_tables([ask(part, n_parts) for part in range(n_parts)])
        except QueryTooBig:
            continue
    return pa.concat_tables([ask(part, numbers[-1]) for part in range(numbers[-1])])


def in_halves(ask: Callable[[list[str]], pa.Table], wanted: list[str]) -> pa.Table:
    """Return what is told of each of some, asked for by halves where it is too much at once.

    Raises:
        QueryTooBig: One by itself is too much.
    """
    try:
        return ask(wanted)
    except QueryTooBig:
        middle = len(wanted) // 2
        if not middle:
            raise
    return pa.concat_tables([in_halves(ask, wanted[:middle]), in_halves(ask, wanted[middle:])])


def numbers_of(key: str, prefix: str) -> list[int]:
    """Return the numbers at the end of a key, or none where it holds anything else."""
    parts = key.removeprefix(prefix).split("/")
    return list(map(int, parts)) if all(re.fullmatch("[0-9]{1,15}", p) for p in parts) else []


def question(settings: PostHog, text: str, values: Mapping[str, list[str]]) -> bytes:
    """Return what tells a question to a project from every other one."""
    return json.dumps([settings.host, settings.project_id, text, dict(values)]).encode()


def _merged_holes(holes: Sequence[Hole]) -> list[Hole]:
    """Return holes in order of time, neighbours of one reason as one."""
    found: list[Hole] = []
    for hole in sorted(holes, key=lambda one: one.start):
        if found and found[-1].end == hole.start and found[-1].why == hole.why:
            hole = replace(found.pop(), end=hole.end)
        found.append(hole)
    return found
