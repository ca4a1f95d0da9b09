"""Cleaning the store's folder: at most once a day, for a bounded time, beside others at work.

What goes: entries that have expired, the least recently used beyond the size limit, value files
without an entry (a killed process leaves them), locks nobody holds, and databases set aside.
Only names that the store itself gives are touched.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from core.activity.shelf import DATABASE, PRIVATE_FILE, remove_value, value_files

if sys.platform != "win32":
    import fcntl

EVERY_SECONDS = 24 * 3600
LASTS_SECONDS = 2.0
"""How long one cleaning may take; the next one goes on."""
ORPHAN_SECONDS = 3600
"""How old a file without an entry is before nobody can still be about to enter it."""
LOCK_SECONDS = 24 * 3600
DAMAGED_SECONDS = 7 * 24 * 3600
MARK = "swept.mark"
_LOCK_FILE = re.compile(r"alone-[0-9a-f]{16}\.lock")
_STEPS_BETWEEN_LOOKS = 20_000
_AT_ONCE = 100
_NO_LINKS = getattr(os, "O_NOFOLLOW", 0)
_EXPIRED = "SELECT rowid, filename FROM Cache WHERE expire_time < ? LIMIT ?"
_BEYOND = """
    SELECT rowid, filename FROM (
        SELECT rowid, filename, sum(size) OVER (ORDER BY access_time DESC, rowid DESC) AS total
        FROM Cache
    ) WHERE total > ? LIMIT ?
"""
_DROP = "DELETE FROM Cache WHERE rowid = ?"
_LISTED = "SELECT filename FROM Cache WHERE filename IS NOT NULL"
_RECOUNT = "UPDATE Settings SET value = (SELECT coalesce(sum(size), 0) FROM Cache) WHERE key = ?"


def lock_name(digest: str) -> str:
    """Return the name of a lock's file, by a digest of what it locks."""
    return f"alone-{digest[:16]}.lock"


@contextmanager
def locked(path: Path, *, waits: bool = True) -> Iterator[bool]:
    """Hold a lock file that one thread of one process has at a time; a killed one frees it.

    Args:
        path: The file, made where there is none; a link is refused.
        waits: Whether to wait for whoever has it.

    Yields:
        Whether it is held.

    Raises:
        OSError: The file cannot be made or opened.
    """
    descriptor = _locked(path, waits=waits)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            os.close(descriptor)


def sweep(directory: Path, *, size_limit: int, seconds: float | None = None) -> bool:
    """Clean a store's folder unless that was done within a day, or is being done.

    Args:
        directory: The folder, without links in its path.
        size_limit: Bytes that may stay.
        seconds: How long it may take; by default LASTS_SECONDS.

    Returns:
        Whether it was cleaned.

    Raises:
        OSError: A file cannot be read or removed.
        sqlite3.Error: The database cannot be read or written.
    """
    if _age(directory / MARK) < EVERY_SECONDS:
        return False
    until = time.monotonic() + (LASTS_SECONDS if seconds is None else seconds)
    with locked(directory / MARK, waits=False) as is_held:
        if is_held:
            os.utime(directory / MARK)  # first, so that a fault does not recur at every opening
            _sweep(directory, size_limit, lambda: time.monotonic() > until)
    return is_held


def _sweep(directory: Path, size_limit: int, is_over: Callable[[], bool]) -> None:
    _remove_locks(directory)
    if _age(directory / f"{DATABASE}.damaged") > DAMAGED_SECONDS:
        (directory / f"{DATABASE}.damaged").unlink(missing_ok=True)
    # Files first: whatever is written from now on is not among them.
    old = [name for name in value_files(directory) if _age(directory / name) > ORPHAN_SECONDS]
    listed = set(old)
    with _cleaning(directory, is_over) as connection:
        for going, value in ((_EXPIRED, time.time()), (_BEYOND, size_limit)):
            while not is_over() and _drop(connection, directory, going, value):
                pass
        connection.execute(_RECOUNT, ("size",))
        listed = {name for (name,) in connection.execute(_LISTED)}
    for name in old:
        if is_over():
            return
        if name not in listed:
            remove_value(directory, name)


@contextmanager
def _cleaning(directory: Path, is_over: Callable[[], bool]) -> Iterator[sqlite3.Connection]:
    """Yield a connection that can write; where time is over, a statement may be cut."""
    address = f"{(directory / DATABASE).as_uri()}?mode=rw"
    opened = sqlite3.connect(address, uri=True, timeout=LASTS_SECONDS, isolation_level=None)
    with contextlib.closing(opened) as connection:
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.set_progress_handler(is_over, _STEPS_BETWEEN_LOOKS)
        try:
            yield connection
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_INTERRUPT:
                raise


def _drop(connection: sqlite3.Connection, directory: Path, select: str, value: float) -> int:
    """Remove some of the entries a statement names, and return how many they were."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        rows = connection.execute(select, (value, _AT_ONCE)).fetchall()
        connection.executemany(_DROP, [(rowid,) for rowid, _ in rows])
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
    for _, name in rows:
        remove_value(directory, name)
    return len(rows)


def _remove_locks(directory: Path) -> None:
    """Remove lock files that nobody has held for a day."""
    for path in directory.glob("alone-*.lock"):
        if _LOCK_FILE.fullmatch(path.name) and _age(path) > LOCK_SECONDS and not path.is_symlink():
            with locked(path, waits=False) as is_held:
                if is_held:
                    path.unlink(missing_ok=True)


def _locked(path: Path, *, waits: bool) -> int | None:
    """Return the descriptor that holds a lock, or None where somebody else has it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | _NO_LINKS, PRIVATE_FILE)
        try:
            if sys.platform != "win32":
                fcntl.flock(descriptor, fcntl.LOCK_EX if waits else fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_still(path, descriptor):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # removed while we waited: others hold its successor


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat(follow_symlinks=False))
    except FileNotFoundError:
        return False


def _age(path: Path) -> float:
    """Return the seconds since a file was written; endless where there is none."""
    try:
        age = time.time() - path.stat(follow_symlinks=False).st_mtime
    except FileNotFoundError:
        return float("inf")
    return age if age > -ORPHAN_SECONDS else float("inf")  # a clock set back does not keep it
