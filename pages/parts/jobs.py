"""Long work in the background: run once whoever asks, watched from any session, kept when done.

Nothing here knows Streamlit: threads may not call it, and tests need no server.
"""

from __future__ import annotations

import itertools
import logging
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from core.activity.source import Progress
from core.errors import PushliftError

T = TypeVar("T")
Work = Callable[[Progress], T]
Clock = Callable[[], float]

_LOG = logging.getLogger(__name__)
_WAITING, _BEGINNING = "Waiting for other work to finish", "Opening the sources"
_LEAST_SHARE = 0.05  # before that, what is left is a guess


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How far a piece of work has come.

    Attributes:
        step: What it does, in words.
        done: How much of the step is done.
        total: How much there is; 0 where it is not known.
        seconds: Since the work began.
        seconds_left: Until the step is done, None where it cannot be told yet.
    """

    step: str
    done: int
    total: int
    seconds: float
    seconds_left: float | None

    @property
    def share(self) -> float:
        """Return how much of the step is done, 0 to 1."""
        return min(self.done / self.total, 1.0) if self.total > 0 else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A try that failed.

    Attributes:
        sentence: What failed and what to do, fit to be shown.
        seconds_ago: How long ago.
        seconds_to_wait: Until another try is made.
    """

    sentence: str
    seconds_ago: float
    seconds_to_wait: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class View(Generic[T]):
    """What can be shown of one piece of work now.

    Attributes:
        result: The newest result, also while a newer one is being made; None before the first.
        number: Which result it is, never used twice in a process.
        seconds_old: Age of the result.
        standing: How far the running try has come, None where none runs.
        failure: How the last try failed, None where it did not.
    """

    result: T | None
    number: int
    seconds_old: float
    standing: Standing | None
    failure: Failure | None


@dataclass(slots=True, kw_only=True, eq=False)
class _Slot(Generic[T]):
    """One key's newest result and running try; only touched while the lock is held."""

    result: T | None = None
    number: int = 0
    finished_at: float = 0.0
    failed_at: float | None = None
    sentence: str = ""
    is_running: bool = False
    started_at: float = 0.0
    step: str = _WAITING
    step_at: float = 0.0
    done: int = 0
    total: int = 0
    finished: threading.Event = field(default_factory=threading.Event)


class Jobs(Generic[T]):
    """Runs work by key in background threads and keeps the newest results.

    One try at a time per key, whoever asks. A failure stands for `retry_after` seconds, so that
    a source that is down is not asked by every visitor. Results beyond `keep` are forgotten, the
    least recently asked for first.
    """

    def __init__(
        self,
        *,
        workers: int = 2,
        keep: int = 3,
        retry_after: float = 15.0,
        clock: Clock = time.monotonic,
    ) -> None:
        """Hold no work yet.

        Args:
            workers: How many pieces of work run at a time.
            keep: How many results are kept.
            retry_after: Seconds a failure stands.
            clock: Seconds that only grow.
        """
        self._keep = keep
        self._retry_after = retry_after
        self._clock = clock
        self._places = threading.BoundedSemaphore(workers)
        self._lock = threading.Lock()
        self._slots: OrderedDict[Hashable, _Slot[T]] = OrderedDict()
        self._numbers = itertools.count(1)

    def view(self, key: Hashable, work: Work[T], *, max_age: float | None = None) -> View[T]:
        """Return what there is of a key, and start the work where it is needed.

        Args:
            key: What the work is about.
            work: Makes the result; told how to report progress, called in another thread.
            max_age: Seconds after which a result is made again while the old one is shown.
        """
        with self._lock:
            slot = self._slot(key)
            is_old = max_age is not None and self._clock() - slot.finished_at > max_age
            if (slot.result is None or is_old) and self._may_start(slot):
                self._start(slot, work)
            return self._view(slot)

    def again(self, key: Hashable, work: Work[T]) -> View[T]:
        """Start the work anew even if its result is young, unless it runs or has just failed."""
        with self._lock:
            slot = self._slot(key)
            if self._may_start(slot):
                self._start(slot, work)
            return self._view(slot)

    def look(self, key: Hashable) -> View[T]:
        """Return what there is of a key without starting anything."""
        with self._lock:
            return self._view(self._slots.get(key) or _Slot[T]())

    def wait(self, key: Hashable, *, timeout: float) -> bool:
        """Wait until the running try of a key is over; say whether it is."""
        with self._lock:
            finished = self._slot(key).finished
        return finished.wait(timeout)

    def _slot(self, key: Hashable) -> _Slot[T]:
        slot = self._slots.setdefault(key, _Slot[T]())
        self._slots.move_to_end(key)
        return slot

    def _may_start(self, slot: _Slot[T]) -> bool:
        if slot.is_running:
            return False
        return slot.failed_at is None or self._clock() - slot.failed_at >= self._retry_after

    def _start(self, slot: _Slot[T], work: Work[T]) -> None:
        now = self._clock()
        slot.is_running, slot.started_at, slot.step_at = True, now, now
        slot.step, slot.done, slot.total = _WAITING, 0, 0
        slot.finished.clear()
        # A daemon, unlike an executor's thread, does not keep a stopped server waiting for it.
        threading.Thread(target=self._run, args=(slot, work), daemon=True).start()

    def _run(self, slot: _Slot[T], work: Work[T]) -> None:
        def report(step: str, done: int, total: int) -> None:
            with self._lock:
                if step != slot.step:
                    slot.step, slot.step_at = step, self._clock()
                slot.done, slot.total = done, total

        try:
            with self._places:
                report(_BEGINNING, 0, 0)
                result = work(report)
        except PushliftError as error:
            self._fail(slot, str(error))
        except Exception:  # noqa: BLE001 - the thread's boundary; its cause goes to the log
            incident = secrets.token_hex(4)
            _LOG.exception("Incident %s", incident)
            self._fail(slot, f"Something went wrong inside Pushlift (incident {incident}, see log)")
        else:
            with self._lock:
                slot.result, slot.number = result, next(self._numbers)
                slot.finished_at, slot.failed_at = self._clock(), None
                slot.is_running = False
                self._forget()
            slot.finished.set()

    def _fail(self, slot: _Slot[T], sentence: str) -> None:
        with self._lock:
            slot.failed_at, slot.sentence, slot.is_running = self._clock(), sentence, False
        slot.finished.set()

    def _forget(self) -> None:
        idle = [key for key, slot in self._slots.items() if not slot.is_running]
        for key in idle[: max(0, len(idle) - self._keep)]:
            del self._slots[key]

    def _view(self, slot: _Slot[T]) -> View[T]:
        now = self._clock()
        return View(
            result=slot.result,
            number=slot.number,
            seconds_old=now - slot.finished_at if slot.result is not None else 0.0,
            standing=_standing(slot, now) if slot.is_running else None,
            failure=self._failure(slot, now),
        )

    def _failure(self, slot: _Slot[T], now: float) -> Failure | None:
        if slot.failed_at is None or slot.is_running:
            return None
        ago = now - slot.failed_at
        return Failure(
            sentence=slot.sentence,
            seconds_ago=ago,
            seconds_to_wait=max(0.0, self._retry_after - ago),
        )


def _standing(slot: _Slot[T], now: float) -> Standing:
    share = min(slot.done / slot.total, 1.0) if slot.total > 0 else 0.0
    spent = now - slot.step_at
    is_telling = share >= _LEAST_SHARE and spent >= 1
    return Standing(
        step=slot.step,
        done=slot.done,
        total=slot.total,
        seconds=now - slot.started_at,
        seconds_left=spent / share - spent if is_telling else None,
    )
