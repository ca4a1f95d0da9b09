"""Progress of long work on a terminal: a bar, or lines where nobody watches."""

from __future__ import annotations

import time
from typing import TextIO

_WIDTH = 24


class Reporter:
    """Writes steps and counts to a stream; call it as a core.activity.source.Progress."""

    def __init__(self, stream: TextIO) -> None:
        """Write to a stream, usually standard error."""
        self._stream = stream
        self._step = ""
        self._tenth = -1
        self._started = 0.0

    def __call__(self, step: str, done: int, total: int) -> None:
        """Show that `done` of `total` are done in `step`."""
        if step != self._step:
            self.close()
            self._step, self._tenth, self._started = step, -1, time.monotonic()
        share = min(done / total, 1.0) if total else 1.0
        if self._stream.isatty():
            self._bar(share, done, total)
        elif int(share * 10) > self._tenth:
            self._tenth = int(share * 10)
            self._stream.write(f"{step}: {done:,} of {total:,}\n")
            self._stream.flush()

    def close(self) -> None:
        """End the line of the bar."""
        if self._step and self._stream.isatty():
            self._stream.write("\n")
            self._stream.flush()
        self._step = ""

    def _bar(self, share: float, done: int, total: int) -> None:
        filled = round(share * _WIDTH)
        bar = "█" * filled + "░" * (_WIDTH - filled)
        spent = time.monotonic() - self._started
        left = f"  {spent / share - spent:.0f} s left" if 0.05 < share < 1 and spent > 1 else ""
        self._stream.write(f"\r\x1b[K{self._step}  {bar}  {done:,}/{total:,}{left}")
        self._stream.flush()
