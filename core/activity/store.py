"""Bytes kept in a folder between runs, never trusted: what is damaged is missing, never wrong.

diskcache writes them (keys and small values in SQLite, large values in files beside it). Its own
reading of pickles, of keys that are pickles and of file names it finds in the database would let
whoever can write the folder run code or read and remove files elsewhere (CVE-2025-69872), so
all three are refused. Every value carries a digest over its key and itself.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

import diskcache

from core.activity import shelf, sweep
from core.activity.shelf import DATABASE, PRIVATE_FILE, PRIVATE_FOLDER
from core.activity.store_faults import FAILURES, is_damage, is_locked, reason

T = TypeVar("T")

SIZE_LIMIT = 4 * 1024**3
"""Bytes kept at most; what was read least recently goes first."""
_SCHEMA = b"pushlift-store-1\n"
_DIGEST_BYTES = 32
_LOCK_SECONDS = 10
"""How long to wait for a database that another process has locked."""
_REST_SECONDS = 60.0
"""How long to do without it then, rather than wait for it at every question."""
_REBUILD_LOCK = "rebuild.lock"
_SETTINGS = {*diskcache.DEFAULT_SETTINGS, "count", "size", "hits", "misses"}


class Store:
    """Bytes under text keys, in one folder.

    A store that cannot keep or read anything (no room, no permission, a damaged file) says so in
    `notices` and goes on as if it were empty. Safe to use from several threads and processes.
    """

    def __init__(self, directory: Path, *, size_limit: int = SIZE_LIMIT) -> None:
        """Open the folder, which is made for its owner alone where there is none.

        Args:
            directory: The folder; nothing else should be kept in it.
            size_limit: Bytes kept at most.
        """
        self._directory = Path(directory)
        self._size_limit = size_limit
        self._lock = threading.RLock()
        self._notices: list[str] = []
        self._cache: diskcache.Cache | None = None
        self._is_readable = False
        self._rests_until = 0.0
        self._database: os.stat_result | None = None
        self._open()
        self._sweep()

    @property
    def notices(self) -> tuple[str, ...]:
        """Return what went wrong with the folder so far, in sentences."""
        return tuple(self._notices)

    def get(self, key: str) -> bytes | None:
        """Return the bytes under a key, or None where there are none that can be trusted."""
        frame = self._read(lambda folder, seconds: shelf.find(folder, seconds, key), default=None)
        if frame is None:
            return None
        value = _unframed(key, frame)
        if value is None:
            self._write(lambda cache: cache.delete(key))
        elif self._cache is not None and not self._rests():
            shelf.note_use(self._directory, key)
        return value

    def put(self, key: str, value: bytes, *, expire_seconds: float | None = None) -> None:
        """Keep bytes under a key, for good or for some seconds; on failure nothing is kept."""
        frame = b"".join((_SCHEMA, _digest(key, value), value))
        self._write(lambda cache: _set(cache, key, frame, expire_seconds))

    def keys(self, prefix: str) -> list[str]:
        """Return the keys that begin with a prefix, sorted; some may have expired."""
        found: list[str] = self._read(shelf.keys, default=[])
        return [key for key in found if key.startswith(prefix)]

    @contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """Hold a name that one thread of one process has at a time; a killed one frees it.

        Where there is no folder to agree in, everybody holds it.
        """
        with ExitStack() as held:
            if self._cache is not None:
                digest = hashlib.sha256(name.encode()).hexdigest()
                try:
                    held.enter_context(sweep.locked(self._directory / sweep.lock_name(digest)))
                except OSError as error:
                    self._failed(error)
            yield

    def close(self) -> None:
        """Close the database; afterwards nothing is kept and nothing found."""
        with self._lock:
            if self._cache is not None:
                self._cache.close()
            self._cache = None
            self._is_readable = False

    def _read(self, action: Callable[[Path, float], T], *, default: T) -> T:
        database = self._database
        if not self._is_readable:
            return default
        try:
            return action(self._directory, 0 if self._rests() else _LOCK_SECONDS)
        except FAILURES as error:
            self._failed(error, database)
            return default

    def _write(self, action: Callable[[diskcache.Cache], object]) -> None:
        cache, database = self._cache, self._database
        if cache is None or self._rests():
            return
        try:
            action(cache)
        except FAILURES as error:
            cache.close()  # this thread's connection: a transaction may be left open in it
            self._failed(error, database)

    def _rests(self) -> bool:
        return time.monotonic() < self._rests_until

    def _failed(self, error: Exception, database: os.stat_result | None = None) -> None:
        """Say what is wrong, and begin anew where the database is damaged."""
        if not is_damage(error):
            if is_locked(error):
                self._rests_until = time.monotonic() + _REST_SECONDS
            self._note(
                f"The cache in {self._directory} cannot be used ({reason(error)}): answers are "
                "not kept. Make room or fix its permissions."
            )
            return
        with self._lock:
            if self._database is not database:
                return  # another thread has already rebuilt it
            if self._cache is not None:
                self._cache.close()
            self._open(is_suspected=True)

    def _open(self, *, is_suspected: bool = False) -> None:
        self._cache, self._is_readable = None, False
        try:
            self._directory = _private(self._directory)
            self._rebuild_unless_sound(is_suspected=is_suspected)
            self._is_readable = (self._directory / DATABASE).is_file()
            self._cache = _opened(self._directory, self._size_limit)
            self._database = _stat(self._directory / DATABASE)
            self._is_readable = True
        except FAILURES as error:
            if is_damage(error) and not is_suspected:
                self._open(is_suspected=True)
                return
            self._note(
                f"The cache in {self._directory} cannot be opened ({reason(error)}): answers are "
                "not kept. Fix its permissions or remove it."
            )

    def _rebuild_unless_sound(self, *, is_suspected: bool) -> None:
        """Move a damaged database away, unless another process did so meanwhile."""
        database = self._directory / DATABASE
        is_same = _is_same(self._database, _stat(database)) or self._database is None
        if not (is_suspected and is_same) and _is_sound(self._directory):
            return
        before = _stat(database)
        with sweep.locked(self._directory / _REBUILD_LOCK):
            if _is_same(before, _stat(database)):
                self._set_aside()

    def _set_aside(self) -> None:
        """Move a damaged database away, with nothing left of the values it listed."""
        database = self._directory / DATABASE
        for end in ("-wal", "-shm"):
            Path(f"{database}{end}").unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):  # another process was faster
            database.replace(f"{database}.damaged")
        for name in list(shelf.value_files(self._directory)):
            shelf.remove_value(self._directory, name)
        self._note(
            f"The cache in {self._directory} was damaged: it was moved to {DATABASE}.damaged and "
            "begun anew, so everything is fetched once more."
        )

    def _sweep(self) -> None:
        self._write(lambda _: sweep.sweep(self._directory, size_limit=self._size_limit))

    def _note(self, words: str) -> None:
        with self._lock:
            if words not in self._notices:
                self._notices.append(words)


def _private(directory: Path) -> Path:
    """Make a folder its owner's alone, and return it without links in its path.

    Raises:
        PermissionError: It is another user's.
    """
    directory.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    owner = directory.stat()
    if hasattr(os, "geteuid") and os.geteuid() not in (0, owner.st_uid):
        raise PermissionError(errno.EPERM, "it belongs to another user")
    if stat.S_IMODE(owner.st_mode) != PRIVATE_FOLDER:
        directory.chmod(PRIVATE_FOLDER)
    return directory.resolve()


def _opened(directory: Path, size_limit: int) -> diskcache.Cache:
    database = directory / DATABASE
    database.touch(mode=PRIVATE_FILE)  # SQLite gives the log and its index the same permissions
    for path in (database, Path(f"{database}-wal"), Path(f"{database}-shm")):
        if path.exists() and stat.S_IMODE(path.stat().st_mode) != PRIVATE_FILE:
            path.chmod(PRIVATE_FILE)
    _wait_until_unlocked(database)
    return diskcache.Cache(
        str(directory),
        timeout=_LOCK_SECONDS,
        disk=shelf.BytesDisk,
        eviction_policy="least-recently-used",
        size_limit=size_limit,
        cull_limit=2,  # at every put: few large values go, not ten
        sqlite_journal_mode="wal",
    )


def _wait_until_unlocked(database: Path) -> None:
    """Fail where a database stays locked; diskcache would wait a minute for each statement."""
    opened = sqlite3.connect(database, timeout=_LOCK_SECONDS, isolation_level=None)
    with contextlib.closing(opened) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")


def _set(cache: diskcache.Cache, key: str, frame: bytes, expire_seconds: float | None) -> None:
    try:
        cache.set(key, frame, expire=expire_seconds)
    except FAILURES:
        cache.disk.forget_begun()  # diskcache leaves the file of a row that did not come to be
        raise


def _digest(key: str, value: bytes | memoryview) -> bytes:
    digest = hashlib.sha256(_SCHEMA)
    digest.update(key.encode() + b"\0")
    digest.update(value)
    return digest.digest()


def _unframed(key: str, frame: bytes) -> bytes | None:
    """Return the value of a frame, or None where it is not what was put under the key."""
    head = len(_SCHEMA) + _DIGEST_BYTES
    value = memoryview(frame)[head:]
    if not frame.startswith(_SCHEMA) or frame[len(_SCHEMA) : head] != _digest(key, value):
        return None
    return bytes(value)


def _is_sound(directory: Path) -> bool:
    """Say whether a database is intact, a file, and holds no settings but diskcache's own."""
    database = directory / DATABASE
    ends = ("", "-wal", "-shm")
    if any(Path(f"{database}{end}").is_symlink() for end in ends):
        return False
    if not database.exists():
        return True
    try:
        with shelf.reading(directory, seconds=_LOCK_SECONDS) as connection:
            if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                return False
            tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
            if "Settings" not in tables:
                return not tables
            names = {row[0] for row in connection.execute("SELECT key FROM Settings")}
    except sqlite3.DatabaseError as error:
        if is_damage(error):
            return False
        raise
    return names <= _SETTINGS


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None


def _is_same(one: os.stat_result | None, other: os.stat_result | None) -> bool:
    if one is None or other is None:
        return one is other
    return os.path.samestat(one, other)
