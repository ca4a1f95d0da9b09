"""What processes of one machine tell each other through a folder: locks, and the record of pace.

A lock is flock's, which ends with its process, however that ends. The record is one small file,
replaced whole; damaged or missing, it counts as empty. It names no key, host or project.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from errno import ETIMEDOUT
from pathlib import Path

from core.sources.pace_record import Record, from_text, to_text

if sys.platform != "win32":
    import fcntl

CAN_SHARE = sys.platform != "win32"
_LOCK_SECONDS = 5.0
_LOOK_SECONDS = 0.002
_SLACK_SECONDS = 5.0
"""How much later another thread may have written since this one looked at the clock."""
_MOST_BYTES = 1 << 20
# A link in a folder that others can write must not lead to another file.
_NO_LINKS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_BOOT = Path("/proc/sys/kernel/random/boot_id")


class PaceFolder:
    """The part of a folder that belongs to one project."""

    def __init__(self, folder: Path, name: str, *, wall: Callable[[], float] = time.time) -> None:
        """Prepare; nothing is read or written yet.

        Args:
            folder: Made where it is missing.
            name: Begins every file's name.
            wall: Seconds since 1970.
        """
        self._folder = folder
        self._name = name
        self._wall = wall

    def lock(self, which: str) -> int | None:
        """Return a descriptor that holds a lock until it is closed, or None where it is taken.

        Raises:
            OSError: The folder cannot be written, or cannot lock.
        """
        if sys.platform == "win32":
            raise OSError("no locks between processes")
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._path(which)
        held = os.open(path, os.O_RDWR | os.O_CREAT | _NO_LINKS, 0o600)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(held), path.stat()):
                return held
        except (BlockingIOError, FileNotFoundError):
            pass  # taken; or removed meanwhile, so that others lock another file of this name
        except OSError:
            os.close(held)
            raise
        os.close(held)
        return None

    def read(self, now: float) -> Record:
        """Return the record on the caller's clock.

        Raises:
            OSError: The folder cannot be read or written.
        """
        record, passed = self._kept(now)
        if (
            passed < -_SLACK_SECONDS
        ):  # written at a later date: only what is written anew grows older
            self.change(_leave, now)
        return record

    def change(self, change: Callable[[Record], object], now: float) -> None:
        """Change the record, alone among all processes.

        Raises:
            OSError: The folder cannot be written, or somebody else keeps its lock.
        """
        with self._alone():
            record, passed = self._kept(now)
            change(record)
            is_overtaken = -_SLACK_SECONDS <= passed < 0
            self._write(record, now - passed if is_overtaken else now)

    def _kept(self, now: float) -> tuple[Record, float]:
        """Return the record and the seconds since it was written, below zero if later than now."""
        try:
            with self._path("record").open(encoding="utf-8", errors="replace") as file:
                head, _, text = file.read(_MOST_BYTES).partition("\n")
            passed = self._passed(head, now)
            elapsed = passed if passed >= -_SLACK_SECONDS else 0.0
            return from_text(text, now, elapsed), passed
        except (FileNotFoundError, TypeError, ValueError, RecursionError):
            return Record(), 0.0

    def _write(self, record: Record, now: float) -> None:
        fresh = self._path("new")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _NO_LINKS
        with os.fdopen(os.open(fresh, flags, 0o600), "w", encoding="utf-8") as file:
            head = json.dumps([_boot(), float(now), float(self._wall())])
            file.write(f"{head}\n{to_text(record, now)}")
        fresh.replace(self._path("record"))

    def _passed(self, head: str, now: float) -> float:
        """Return the seconds since a head was written, by the clock that is not set anew."""
        boot, *times = json.loads(head)
        if len(times) != 2 or not all(isinstance(at, float) and math.isfinite(at) for at in times):
            raise ValueError("no times")
        clock, wall = times
        passed: float = now - clock if boot == _boot() != "" else self._wall() - wall
        return passed

    @contextmanager
    def _alone(self) -> Iterator[None]:
        until = time.monotonic() + _LOCK_SECONDS
        while (held := self.lock("lock")) is None:
            if time.monotonic() > until:
                raise TimeoutError(ETIMEDOUT, os.strerror(ETIMEDOUT))
            time.sleep(_LOOK_SECONDS)
        try:
            yield
        finally:
            os.close(held)

    def _path(self, which: str) -> Path:
        return self._folder / f"{self._name}.{which}"


def _leave(record: Record) -> None:
    """Change nothing."""


def _boot() -> str:
    """Return what tells one start of the machine from another, empty where nothing does."""
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
