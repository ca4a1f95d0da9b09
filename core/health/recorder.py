"""Times a run: how long each step took, and how much memory it needed."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from core.activity.source import Progress, silent
from core.health.records import Step, What, plain

if sys.platform != "win32":
    import resource


class Recorder:
    """Times a run and its steps, named as their progress names them; call it as a Progress."""

    def __init__(
        self,
        what: What,
        *,
        then: Progress = silent,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
        peak: Callable[[], float | None] | None = None,
    ) -> None:
        """Begin to count.

        Args:
            what: Who runs it.
            then: Told the same progress.
            now: The instant it is, with a zone.
            clock: Seconds that only ever grow.
            peak: Most memory the process has held so far, MB; None where it cannot be told.
        """
        self.what: What = what
        self.started_at = now()
        self._then = then
        self._clock = clock
        self._peak = peak or peak_mb
        self._lock = threading.Lock()
        self._began = clock()
        self._step, self._step_began = "", self._began
        self._steps: dict[str, tuple[float, float | None]] = {}

    def __call__(self, step: str, done: int, total: int) -> None:
        """Note that a step goes on, and tell whoever else wants to know."""
        with self._lock:
            if step != self._step:
                self._end_step()
                self._step = step
        self._then(step, done, total)

    @property
    def seconds(self) -> float:
        """Return the seconds since it began."""
        return round(self._clock() - self._began, 3)

    @property
    def peak(self) -> float | None:
        """Return the most memory the process has held so far, MB."""
        return self._peak()

    def steps(self) -> tuple[Step, ...]:
        """Return the steps so far, the one under way included."""
        with self._lock:
            self._end_step()
            return tuple(
                Step(name=plain(name), seconds=round(seconds, 3), peak_mb=peak)
                for name, (seconds, peak) in self._steps.items()
            )

    def _end_step(self) -> None:
        now = self._clock()
        if self._step:
            before = self._steps.get(self._step, (0.0, None))[0]
            self._steps[self._step] = (before + now - self._step_began, self._peak())
        self._step_began = now


def peak_mb() -> float | None:
    """Return the most memory this process has held, MB; None where the system does not tell."""
    if sys.platform == "win32":
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    per_mb = 1e6 if sys.platform == "darwin" else 1e6 / 1024  # bytes there, KiB elsewhere
    return round(peak / per_mb, 1)
