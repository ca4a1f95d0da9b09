"""Bytes kept in a folder between runs, never trusted: what is damaged is missing, never wrong.

diskcache keeps them (keys and small values in SQLite, large values in files beside it). Its own
reading of pickles, of keys that are pickles and of file names it finds in the database would let
whoever can write the folder run code or read and remove files elsewhere (CVE-2025-69872), so
all three are refused here. Every value carries a digest over its key and itself.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar

import diskcache
from diskcache.core import MODE_BINARY, MODE_RAW

if sys.platform != "win32":
    import fcntl

T = TypeVar("T")

SIZE_LIMIT = 4 * 1024**3
"""Bytes kept at most; what was read least recently goes first."""
_SCHEMA = b"pushlift-store-1\n"
_DIGEST_BYTES = 32
_LOCK_SECONDS = 10
_DATABASE = "cache.db"
_VALUE_FILE = re.compile(r"[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{28}\.val")
_SETTINGS = {*diskcache.DEFAULT_SETTINGS, "count", "size", "hits", "misses"}
_FAILURES = (
    OSError,
    sqlite3.Error,
    diskcache.Timeout,
    # What diskcache runs into where its settings table or a column was altered:
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)
_CIRCUMSTANCES = {
    sqlite3.SQLITE_AUTH,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_READONLY,
}
"""SQLite's codes for a full disk, a lock and the like, which say nothing about the file."""


class _RefusedError(OSError):
    """An entry that is not plain bytes in a file of its own; diskcache reports it as missing."""


class _BytesDisk(diskcache.Disk):  # type: ignore[misc]  # diskcache has no types
    """Writes and reads text keys and bytes values, nothing else."""

    def put(self, key: str) -> tuple[str, bool]:
        return key, True

    def get(self, key: object, raw: object) -> str | None:
        return key if raw and isinstance(key, str) else None

    def store(
        self,
        value: bytes,
        read: object,  # noqa: ARG002 - diskcache passes it
        key: object = diskcache.UNKNOWN,
    ) -> tuple[int, int, str | None, sqlite3.Binary | None]:
        if len(value) < self.min_file_size:
            return 0, MODE_RAW, None, sqlite3.Binary(value)
        name, path = self.filename(key, value)
        try:
            self._write(path, iter((value,)), "xb")
        except OSError:
            self.remove(name)  # half a file would fill a full disk further
            raise
        return len(value), MODE_BINARY, name, None

    def fetch(
        self,
        mode: object,
        filename: object,
        value: object,
        read: object,  # noqa: ARG002
    ) -> bytes:
        if mode == MODE_RAW and isinstance(value, bytes):
            return value
        if mode == MODE_BINARY and _is_value_file(filename):
            return Path(self._directory, str(filename)).read_bytes()
        raise _RefusedError("not an entry of this store")

    def remove(self, file_path: object) -> None:
        if _is_value_file(file_path):
            super().remove(file_path)


class Store:
    """Bytes under text keys, in one folder.

    A store that cannot keep or read anything (no room, no permission, a damaged file) says so in
    `notices` and goes on as if it were empty. Safe to use from several threads and processes.
    """

    def __init__(self, directory: Path, *, size_limit: int = SIZE_LIMIT) -> None:
        """Open the folder, which is made for its owner alone where there is none."""
        self._directory = Path(directory)
        self._size_limit = size_limit
        self._lock = threading.RLock()
        self._notices: list[str] = []
        self._cache: diskcache.Cache | None = None
        self._open()

    @property
    def notices(self) -> tuple[str, ...]:
        """Return what went wrong with the folder so far, in sentences."""
        return tuple(self._notices)

    def get(self, key: str) -> bytes | None:
        """Return the bytes under a key, or None where there are none that can be trusted."""
        frame = self._try(lambda cache: cache.get(key), None)
        if frame is None:
            return None
        value = _unframed(key, frame)
        if value is None:
            self._try(lambda cache: cache.delete(key), None)
        return value

    def put(self, key: str, value: bytes, *, expire_seconds: float | None = None) -> None:
        """Keep bytes under a key, for good or for some seconds; on failure nothing is kept."""
        frame = b"".join((_SCHEMA, _digest(key, value), value))
        self._try(lambda cache: cache.set(key, frame, expire=expire_seconds), None)

    def keys(self, prefix: str) -> list[str]:
        """Return the keys that begin with a prefix, sorted; some may have expired."""
        return self._try(lambda cache: _keys(cache, prefix), [])

    @contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """Hold a name that one thread of one process has at a time; a killed one frees it.

        Where there is no folder to agree in, everybody holds it.
        """
        held = self._held(name)
        try:
            yield
        finally:
            if held is not None:
                held.close()

    def close(self) -> None:
        """Close the database; afterwards nothing is kept and nothing found."""
        with self._lock:
            if self._cache is not None:
                self._cache.close()
            self._cache = None

    def _try(self, action: Callable[[diskcache.Cache], T], default: T) -> T:
        cache = self._cache
        if cache is None:
            return default
        try:
            return action(cache)
        except _FAILURES as error:
            self._failed(cache, error)
            return default

    def _held(self, name: str) -> BinaryIO | None:
        if self._cache is None or sys.platform == "win32":
            return None
        file = None
        try:
            path = self._directory / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.lock"
            file = path.open("ab")
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            self._failed(self._cache, error)
            if file is not None:
                file.close()
            return None
        return file

    def _failed(self, cache: diskcache.Cache, error: Exception) -> None:
        if not _is_damage(error):
            self._note(
                f"The cache in {self._directory} cannot be used ({_reason(error)}): answers are "
                "not kept. Make room or fix its permissions."
            )
            return
        with self._lock:
            if id(self._cache) != id(cache):
                return  # another thread has already rebuilt it
            cache.close()
            self._open(damaged=True)

    def _open(self, *, damaged: bool = False) -> None:
        self._cache = None
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._directory.chmod(0o700)
            if damaged or not _is_sound(self._directory / _DATABASE):
                self._set_aside()
            self._cache = _opened(self._directory, self._size_limit)
        except _FAILURES as error:
            if _is_damage(error) and not damaged:
                self._open(damaged=True)
                return
            self._note(
                f"The cache in {self._directory} cannot be opened ({_reason(error)}): answers are "
                "not kept. Fix its permissions or remove it."
            )

    def _set_aside(self) -> None:
        """Move a damaged database away, with nothing left of the values it listed."""
        database = self._directory / _DATABASE
        for end in ("-wal", "-shm"):
            Path(f"{database}{end}").unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):  # another process was faster
            database.replace(f"{database}.damaged")
        for path in self._directory.glob("??/??/*.val"):
            if _is_value_file(path.relative_to(self._directory).as_posix()):
                path.unlink(missing_ok=True)
        self._note(
            f"The cache in {self._directory} was damaged: it was moved to {_DATABASE}.damaged and "
            "begun anew, so everything is fetched once more."
        )

    def _note(self, words: str) -> None:
        with self._lock:
            if words not in self._notices:
                self._notices.append(words)


def _opened(directory: Path, size_limit: int) -> diskcache.Cache:
    return diskcache.Cache(
        str(directory.resolve()),
        timeout=_LOCK_SECONDS,
        disk=_BytesDisk,
        eviction_policy="least-recently-used",
        size_limit=size_limit,
        cull_limit=2,  # at every put: few large values go, not ten
        sqlite_journal_mode="wal",
    )


def _keys(cache: diskcache.Cache, prefix: str) -> list[str]:
    return [key for key in cache.iterkeys() if key is not None and key.startswith(prefix)]


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


def _is_value_file(name: object) -> bool:
    return isinstance(name, str) and _VALUE_FILE.fullmatch(name) is not None


def _is_sound(database: Path) -> bool:
    """Say whether a database is intact and holds no settings but diskcache's own."""
    if not database.exists():
        return True
    try:
        with contextlib.closing(sqlite3.connect(database, timeout=_LOCK_SECONDS)) as connection:
            if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                return False
            tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
            if "Settings" not in tables:
                return not tables
            names = {row[0] for row in connection.execute("SELECT key FROM Settings")}
    except sqlite3.DatabaseError as error:
        if _is_damage(error):
            return False
        raise
    return names <= _SETTINGS


def _is_damage(error: Exception) -> bool:
    """Say whether an error means that the database itself is broken."""
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", None)
        if code is None:  # raised by Python's module: misuse, or text that is not text
            return isinstance(error, sqlite3.OperationalError)
        return code & 0xFF not in _CIRCUMSTANCES
    return not isinstance(error, (OSError, diskcache.Timeout))


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno)
    if isinstance(error, diskcache.Timeout):
        return "it is locked"
    return str(error) or type(error).__name__
