"""Weeks of events and persons from PostHog to a folder, each as good as the last run left it.

PostHog's intervals are about when it received a row, not when the event happened: an event that
came late is in the week it came in. A week that ended longer than the settling time before it was
ordered never changes again; a younger one is ordered anew by the next run.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from core.activity.source import Progress
from core.errors import PostHogBusy
from core.sources.file_download_api import ExportGone, FileDownloadApi, Model, Order, RunState
from core.sources.file_download_folder import WEEK, DownloadFolder, Run
from core.sources.file_download_parquet import WeekRefusedError, write_week
from core.sources.room import out_of_room

AT_ONCE: Final = 3
"""Exports under way at PostHog."""
ATTEMPTS: Final = 3
"""Times a week is ordered before it counts as failed."""
FRESH: Final = timedelta(hours=1)
"""How long an unsettled week stands before it is ordered anew."""
RUN_SECONDS: Final = 3600.0
"""Seconds an export is waited for; the next run of the command goes on waiting."""
SHORTEST_POLL, LONGEST_POLL = 2.0, 5.0
"""Seconds between two looks, growing while nothing happens."""
_GROWTH: Final = 1.3
_STEP: Final = "Weeks of events and persons"


@dataclass(frozen=True, slots=True, kw_only=True)
class Downloaded:
    """What a run has done.

    Attributes:
        n_weeks: Weeks asked for, of both models.
        n_fetched: Weeks fetched now; the others were there.
        n_rows: Rows fetched now.
        reach: Until when events are there; None where there are none.
        failed: What could not be had, a sentence each.
        notices: What else the reader should know.
    """

    n_weeks: int
    n_fetched: int
    n_rows: int
    reach: datetime | None
    failed: tuple[str, ...]
    notices: tuple[str, ...]


def weeks_between(
    model: Model, start: datetime, end: datetime, include: tuple[str, ...] = ()
) -> list[Order]:
    """Return orders for a stretch of time, from UTC Monday to UTC Monday, the last until its end.

    The weeks of every run are the same, so that a later one finds what an earlier one fetched.
    """
    first = start.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    monday = first - timedelta(days=first.weekday())
    orders = []
    while monday < end:
        stop = min(monday + WEEK, end)
        orders.append(Order(model=model, start=monday, end=stop, include=include))
        monday += WEEK
    return orders


def is_settled(run: Run, settle: timedelta) -> bool:
    """Say whether an export is of a whole week that had settled when it was ordered."""
    return run.end - run.start == WEEK and run.end <= run.ordered_at - settle


def answers(run: Run, order: Order, *, now: datetime, settle: timedelta) -> bool:
    """Say whether an export, done or under way, is as good as ordering a week now."""
    if run.include != order.include:
        return False
    if is_settled(run, settle):
        return True
    return now - run.ordered_at < FRESH and run.end > order.end - FRESH


def lacks_files(state: RunState) -> bool:
    """Say whether an export that is done names no files, without saying that it has no rows."""
    return state.n_files == 0 and state.n_rows != 0


@dataclass(slots=True, kw_only=True)
class _Tally:
    done: int = 0
    fetched: int = 0
    rows: int = 0
    failed: list[str] = field(default_factory=list)


class Download:
    """Brings a folder up to date with a list of orders; one thread, several exports under way."""

    def __init__(
        self,
        api: FileDownloadApi,
        folder: DownloadFolder,
        *,
        settle: timedelta,
        on_progress: Progress,
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Prepare; nothing is asked yet.

        Args:
            api: Whom to ask.
            folder: Where the weeks go, already read.
            settle: How long after its end a week still changes.
            on_progress: Told how many weeks are there.
            now: The instant it is.
            clock: Seconds that only ever grow.
            sleep: Waits some seconds.
        """
        self._api = api
        self._folder = folder
        self._settle = settle
        self._on_progress = on_progress
        self._now = now
        self._clock = clock
        self._sleep = sleep
        self._waiting: deque[Order] = deque()
        self._active: list[Run] = []
        self._tries: Counter[tuple[Model, datetime]] = Counter()
        self._since: dict[str, float] = {}
        self._occupied_since: float | None = None
        self._tally = _Tally()

    def run(self, orders: Sequence[Order]) -> Downloaded:
        """Fetch what is not there, a week at a time, and say what came of it.

        Raises:
            PostHogDenied: PostHog refuses; asking again does not help.
            PostHogBusy: Limits, faults or an export outlasted every patience.
            ExportError: There is no room.
        """
        self._sort(orders)
        poll = SHORTEST_POLL
        self._on_progress(_STEP, self._tally.done, len(orders))
        while self._waiting or self._active:
            self._order_more()
            self._sleep(poll)
            before = (self._tally.done, len(self._active))
            for run in tuple(self._active):
                self._look(run)
                self._on_progress(_STEP, self._tally.done, len(orders))
            moved = before != (self._tally.done, len(self._active))
            poll = SHORTEST_POLL if moved else min(poll * _GROWTH, LONGEST_POLL)
        weeks = [self._folder.week_at(order) for order in orders if order.model == "events"]
        return Downloaded(
            n_weeks=len(orders),
            n_fetched=self._tally.fetched,
            n_rows=self._tally.rows,
            reach=max((week.end for week in weeks if week is not None), default=None),
            failed=tuple(self._tally.failed),
            notices=tuple(self._folder.notices),
        )

    def _sort(self, orders: Sequence[Order]) -> None:
        """Tell weeks that are there from those under way and those to order."""
        now = self._now()
        for order in orders:
            week, run = self._folder.week_at(order), self._folder.run_at(order)
            if week is not None and answers(week, order, now=now, settle=self._settle):
                self._tally.done += 1
            elif run is not None and answers(run, order, now=now, settle=self._settle):
                self._watch(run)
            else:
                end = order.end if week is None else max(order.end, week.end)  # never hold less
                self._waiting.append(
                    Order(model=order.model, start=order.start, end=end, include=order.include)
                )

    def _order_more(self) -> None:
        while self._waiting and len(self._active) < AT_ONCE:
            order, ordered_at = self._waiting[0], self._now()
            run_id = self._api.order(order)
            if run_id is None:
                self._wait_for_a_place()
                return
            self._waiting.popleft()
            self._occupied_since = None
            self._tries[order.model, order.start] += 1
            run = Run(
                model=order.model,
                start=order.start,
                end=order.end,
                include=order.include,
                run_id=run_id,
                ordered_at=ordered_at,
            )
            self._folder.note(run)
            self._watch(run)

    def _watch(self, run: Run) -> None:
        self._active.append(run)
        self._since[run.run_id] = self._clock()

    def _wait_for_a_place(self) -> None:
        """Go on while own exports are under way; others' are waited for as long as for one."""
        now = self._clock()
        if self._active or self._occupied_since is None:
            self._occupied_since = now
        if now - self._occupied_since > RUN_SECONDS:
            raise PostHogBusy(
                "PostHog has had as many exports of this project under way as it allows for "
                f"{RUN_SECONDS / 60:.0f} minutes, and none is of this download. Run it again later."
            )

    def _look(self, run: Run) -> None:
        """See how far an export is and do what follows from it."""
        state = self._api.state(run.run_id, what=run.order.words)
        if state is None:
            self._again(run, "PostHog no longer knows it")
        elif state.progress == "working":
            self._check_patience(run)
        elif state.progress == "done":
            self._collect(run, state)
        elif state.progress == "again":
            self._again(run, f"it failed ({_said(state)})")
        else:
            self._give_up(run, f"PostHog ended it with {_said(state)}")

    def _check_patience(self, run: Run) -> None:
        if self._clock() - self._since[run.run_id] > RUN_SECONDS:
            raise PostHogBusy(
                f"PostHog's export of the {run.order.words} is not done after "
                f"{RUN_SECONDS / 60:.0f} minutes. It goes on there: run the command again later "
                "and it is picked up."
            )

    def _collect(self, run: Run, state: RunState) -> None:
        if lacks_files(state):
            self._again(run, "it is done, but names no files")
            return
        scratch = self._folder.scratch(run)
        parts = [scratch / f"part-{number}" for number in range(state.n_files)]
        aside = scratch / "week"
        try:
            for number, part in enumerate(parts):
                self._api.fetch(run.run_id, number, part, what=run.order.words)
            with out_of_room(scratch, what=f"the {run.order.words}"):
                n_rows = write_week(parts, aside, run.order, state.n_rows)
        except (ExportGone, WeekRefusedError) as error:
            self._again(run, str(error).rstrip("."))
            return
        settled, now = is_settled(run, self._settle), self._now()
        self._folder.keep(run, aside, n_rows=n_rows, settled=settled, fetched_at=now)
        self._folder.tidy()
        self._active.remove(run)
        self._tally.done += 1
        self._tally.fetched += 1
        self._tally.rows += n_rows

    def _again(self, run: Run, why: str) -> None:
        """Order a week once more, or count it as failed."""
        if self._tries[run.model, run.start] >= ATTEMPTS:
            self._give_up(run, f"it was ordered {ATTEMPTS} times; the last time, {why}")
            return
        self._folder.forget(run)
        self._active.remove(run)
        self._waiting.append(run.order)

    def _give_up(self, run: Run, why: str) -> None:
        self._folder.forget(run)
        self._active.remove(run)
        self._tally.failed.append(
            f"The {run.order.words} could not be had: {why}. Run the command again."
        )


def _said(state: RunState) -> str:
    return f"{state.status}: {state.error}" if state.error else state.status
