"""How fast PostHog is asked: one budget for all threads, and all processes that share a folder.

A request waits for its turn, then starts; a source that fails, or asks to be left alone, is left
alone: whoever asks meanwhile is refused at once, without a request, and told until when.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from core.errors import PostHogBusy
from core.sources.pace_folder import CAN_SHARE, PaceFolder
from core.sources.pace_record import LONGEST_CLOSED, Limits, Record, Stop

_LOOK_SECONDS = 0.02
_TAKEN = -1
_KEPT = "What was fetched so far is kept"


class Gate:
    """Lets requests through no faster and no more at once than the limits say."""

    def __init__(
        self,
        folder: Path | None = None,
        name: str = "pace",
        *,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Open a gate.

        Args:
            folder: What processes that keep one budget share; without it, or where the system
                has no locks between processes, this process keeps to the limits by itself.
            name: Begins the names of the files in it.
            wall: Seconds since 1970, to tell the time until which nothing is asked.
        """
        self._wall = wall
        self._slots = threading.Condition()
        self._turn = threading.Lock()
        self._change = threading.Lock()
        self._in_flight = 0
        self._own = Record()
        self._shared = PaceFolder(folder, name, wall=wall) if folder and CAN_SHARE else None
        self._folder = folder
        self._troubles: list[str] = []

    @property
    def troubles(self) -> tuple[str, ...]:
        """Return what kept processes from sharing one budget, in sentences."""
        return tuple(self._troubles)

    @contextmanager
    def passage(
        self,
        limits: Limits,
        *,
        deadline: float,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> Iterator[Callable[[], None]]:
        """Hold one of the places in flight, from the instant a request may start.

        Yields:
            What to call once the request is on its way; the next turn is counted from then.

        Raises:
            PostHogBusy: The turn would come after the deadline, or nothing is asked for a while.
        """
        self._refuse_if_stopped(clock())
        with ExitStack() as place, ExitStack() as turn:
            place.enter_context(self._slot(limits, deadline - clock()))
            turn.enter_context(self._own_turn(limits, deadline - clock()))
            turn.callback(_close, self._due_turn(limits, deadline, clock, sleep))
            place.callback(_close, self._place(limits, deadline, clock, sleep))
            self._begin(clock())
            turn.callback(self._sent, clock)
            yield turn.close

    def is_failing(self, now: float) -> bool:
        """Return whether so many questions failed that each gets a single try."""
        return any(record.is_failing(now) for record in self._records(now))

    def failed(self, now: float, why: str) -> None:
        """Note a question that failed with all its tries."""
        words = f"The last questions to PostHog failed, at last because of {why}"
        self._note(lambda record: record.fail(now, words), now)

    def answered(self, now: float) -> None:
        """Note a question that was answered."""
        if any(record.failures for record in self._records(now)):
            self._note(Record.answer, now)

    def close(self, now: float, seconds: float, why: str) -> PostHogBusy:
        """Let nobody through for some seconds, an hour at most, and return what to raise."""
        until = now + min(seconds, LONGEST_CLOSED)
        self._note(lambda record: record.close(until, why), now)
        return self._busy(Stop(until=until, why=why), now)

    def _refuse_if_stopped(self, now: float) -> None:
        stops = [stop for record in self._records(now) if (stop := record.stop(now))]
        if stops:
            raise self._busy(max(stops, key=lambda stop: stop.until), now)

    def _busy(self, stop: Stop, now: float) -> PostHogBusy:
        left = stop.until - now
        at = datetime.fromtimestamp(self._wall() + left, UTC)
        return PostHogBusy(
            f"{stop.why}. PostHog is asked again in {in_words(left)}, at {at:%H:%M:%S} UTC. "
            f"{_KEPT}: run it again then."
        )

    @contextmanager
    def _slot(self, limits: Limits, patience: float) -> Iterator[None]:
        """Hold one of this process's places in flight."""
        with self._slots:
            wait = _possible(patience)
            if not self._slots.wait_for(lambda: self._in_flight < limits.in_flight, wait):
                raise _stuck(limits)
            self._in_flight += 1
        try:
            yield
        finally:
            with self._slots:
                self._in_flight -= 1
                self._slots.notify()

    @contextmanager
    def _own_turn(self, limits: Limits, patience: float) -> Iterator[None]:
        """Hold the turn of this process, while waiting too, so that turns come in order."""
        if not self._turn.acquire(timeout=_possible(patience)):
            raise _stuck(limits)
        try:
            yield
        finally:
            self._turn.release()

    def _due_turn(
        self,
        limits: Limits,
        deadline: float,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> int | None:
        """Wait until a request is due, and return the lock on the turn of all processes."""
        while True:
            now = clock()
            self._refuse_if_stopped(now)
            wait = self._wait(limits, now)
            if wait > 0:
                if now + wait > deadline:
                    raise PostHogBusy(
                        "The hourly or minutely limit of requests to PostHog is used up; it takes "
                        f"{in_words(wait)} until the next one. {_KEPT}: run it again then."
                    )
                sleep(wait)
            if self._shared is None:
                return None
            if (held := self._lock("turn")) != _TAKEN:
                if self._wait(limits, clock()) <= 0:
                    return held
                _close(held)
            if clock() > deadline:
                raise _stuck(limits)
            # By chance, so that who had the last turn is not always the first to see it free.
            sleep(random.uniform(0.5, 1.5) * _LOOK_SECONDS)  # noqa: S311 - no secret

    def _wait(self, limits: Limits, now: float) -> float:
        return max(record.due(limits, now) for record in self._records(now)) - now

    def _place(
        self,
        limits: Limits,
        deadline: float,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> int | None:
        """Return the lock on one of all processes' places in flight."""
        while self._shared is not None:
            for number in range(limits.in_flight):
                held = self._lock(f"place{number}")
                if held != _TAKEN:
                    return held
            if clock() > deadline:
                raise _stuck(limits)
            sleep(_LOOK_SECONDS)
        return None

    def _lock(self, which: str) -> int | None:
        """Return a lock's descriptor, None where none can be had, or _TAKEN."""
        if self._shared is None:
            return None
        try:
            held = self._shared.lock(which)
        except OSError as error:
            self._trouble(error)
            return None
        return _TAKEN if held is None else held

    def _begin(self, now: float) -> None:
        """Note the start of a request, unless somebody found meanwhile that it must not be."""
        refused: list[Stop] = []

        def start(record: Record) -> None:
            stop = record.stop(now)
            if stop:
                refused.append(stop)
            else:
                record.begin(now)

        self._note(start, now)
        if refused:
            raise self._busy(max(refused, key=lambda stop: stop.until), now)

    def _sent(self, clock: Callable[[], float]) -> None:
        now = clock()
        self._note(lambda record: record.sent(now), now)

    def _records(self, now: float) -> list[Record]:
        """Return this process's own record as it is, and the one of all."""
        with self._change:
            own = self._own.copy()
        if self._shared is None:
            return [own]
        try:
            return [own, self._shared.read(now)]
        except OSError as error:
            self._trouble(error)
            return [own]

    def _note(self, change: Callable[[Record], object], now: float) -> None:
        with self._change:
            change(self._own)
        if self._shared is None:
            return
        try:
            self._shared.change(change, now)
        except OSError as error:
            self._trouble(error)

    def _trouble(self, error: OSError) -> None:
        words = (
            f"The limits of requests to PostHog are kept by this process alone: {self._folder} "
            f"cannot be used ({os.strerror(error.errno) if error.errno else 'no locks'}). Start no "
            "second analysis beside it."
        )
        if words not in self._troubles:
            self._troubles.append(words)


_GATES: dict[tuple[str, int, Path | None], Gate] = {}
_GATES_LOCK = threading.Lock()


def gate_for(host: str, project_id: int, folder: Path | None = None) -> Gate:
    """Return the one gate of this process for a project, shared through a folder if given."""
    asked = json.dumps([host, project_id]).encode()
    name = hashlib.sha256(asked).hexdigest()[:16]
    with _GATES_LOCK:
        return _GATES.setdefault((host, project_id, folder), Gate(folder, name))


def in_words(seconds: float) -> str:
    """Return a stretch of time in whole seconds, or minutes where it is long."""
    return f"{seconds:.0f} seconds" if seconds < 120 else f"{seconds / 60:.0f} minutes"


def _stuck(limits: Limits) -> PostHogBusy:
    return PostHogBusy(
        f"{limits.in_flight} requests to PostHog were under way, here or in another process, "
        "until the time was up. Try again."
    )


def _possible(seconds: float) -> float:
    return min(max(seconds, 0.0), threading.TIMEOUT_MAX)


def _close(held: int | None) -> None:
    if held is not None:
        os.close(held)


__all__ = ["Gate", "Limits", "gate_for", "in_words"]
