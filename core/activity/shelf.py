"""How values lie in the store's folder, written and read without trust in what is found there.

Keys and small values are in SQLite, large values in files beside it, as diskcache keeps them. A
file is read, written or removed only where no link leads out of the folder. Reading needs no
transaction, no room and no permission to write, so that what was kept on a full disk or a
read-only folder is still found.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import diskcache
from diskcache.core import MODE_BINARY, MODE_RAW

DATABASE = "cache.db"
PRIVATE_FOLDER, PRIVATE_FILE = 0o700, 0o600
_VALUE_FILE = re.compile(r"[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{28}\.val")
_TRIES = 10
_NO_LINKS = getattr(os, "O_NOFOLLOW", 0)
_NO_ROOM_TO_READ = {
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
}
"""SQLite's codes where not even the index of its log can be made beside the database."""
_FIND = """
    SELECT mode, filename, value FROM Cache
    WHERE key = ? AND raw = 1 AND (expire_time IS NULL OR expire_time > ?)
"""
_USED = "UPDATE Cache SET access_time = ? WHERE key = ? AND raw = 1"
_KEYS = "SELECT key FROM Cache WHERE raw = 1 ORDER BY key"


class RefusedError(OSError):
    """An entry that is not plain bytes in a file of its own; it counts as missing."""


class BytesDisk(diskcache.Disk):  # type: ignore[misc]  # diskcache has no types
    """Writes and reads text keys and bytes values, nothing else."""

    def __init__(self, directory: str, **settings: object) -> None:
        super().__init__(directory, **settings)
        self._begun = threading.local()

    def put(self, key: str) -> tuple[str, bool]:
        """Return a key as it is kept, and that it is no pickle."""
        return key, True

    def get(self, key: object, raw: object) -> str | None:
        """Return a key that is text, or None."""
        return key if raw and isinstance(key, str) else None

    def store(
        self,
        value: bytes,
        read: object,  # noqa: ARG002 - diskcache passes it
        key: object = diskcache.UNKNOWN,
    ) -> tuple[int, int, str | None, sqlite3.Binary | None]:
        """Return what a row holds of a value, a large one written to a file of its own."""
        self._begun.name = None
        if len(value) < self.min_file_size:
            return 0, MODE_RAW, None, sqlite3.Binary(value)
        name, _ = self.filename(key, value)
        self._begun.name = name
        write_new(within(Path(self._directory), name), value)
        return len(value), MODE_BINARY, name, None

    def fetch(
        self,
        mode: object,
        filename: object,
        value: object,
        read: object = False,  # noqa: ARG002, FBT002
    ) -> bytes:
        """Return the bytes of a row."""
        return fetched(Path(self._directory), mode, filename, value)

    def remove(self, file_path: object) -> None:
        """Remove a value file, and nothing else."""
        remove_value(Path(self._directory), file_path)

    def forget_begun(self) -> None:
        """Remove the file this thread wrote last, whose row did not come to be."""
        self.remove(self._begun.name)


def within(directory: Path, name: object) -> Path:
    """Return the path of a value file of a folder.

    Raises:
        RefusedError: It is no name of a value file, or a link stands in its way.
    """
    if not isinstance(name, str) or _VALUE_FILE.fullmatch(name) is None:
        raise RefusedError("not a value file of this store")
    path = directory / name
    if os.path.realpath(path) != str(path):
        raise RefusedError("a link leads out of the store")
    return path


def write_new(path: Path, content: bytes) -> None:
    """Write a file that is not there yet, for its owner alone; on failure none is left."""
    descriptor = _new_file(path)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
            file.write(content)
    except OSError:
        path.unlink(missing_ok=True)  # half a file would fill a full disk further
        raise


def _new_file(path: Path) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINKS | getattr(os, "O_BINARY", 0)
    for left in reversed(range(_TRIES)):
        try:
            for folder in (path.parents[1], path.parent):
                folder.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
            return os.open(path, flags, PRIVATE_FILE)
        except FileNotFoundError:  # another process removes folders that are empty
            if not left:
                raise
    raise AssertionError("unreachable: the last try returns or raises")  # pragma: no cover


def remove_value(directory: Path, name: object) -> None:
    """Remove a value file, and its folders where they are empty then; what is not one stays."""
    try:
        path = within(directory, name)
    except RefusedError:
        return
    with contextlib.suppress(OSError):  # another process was faster, or still writes beside it
        path.unlink(missing_ok=True)
        path.parent.rmdir()
        path.parents[1].rmdir()


def fetched(directory: Path, mode: object, filename: object, value: object) -> bytes:
    """Return the bytes of a row, whatever it claims to be.

    Raises:
        OSError: It holds none, or its file is not there.
    """
    if mode == MODE_RAW and isinstance(value, bytes):
        return value
    if mode == MODE_BINARY:
        return within(directory, filename).read_bytes()
    raise RefusedError("not an entry of this store")


def value_files(directory: Path) -> Iterator[str]:
    """Yield the names of all value files, listed in the database or not."""
    for path in directory.glob("??/??/*.val"):
        name = path.relative_to(directory).as_posix()
        with contextlib.suppress(RefusedError):
            within(directory, name)
            yield name


def find(directory: Path, seconds: float, key: str) -> bytes | None:
    """Return what stands under a key and has not expired, or None.

    Args:
        directory: The store's folder, without links in its path.
        seconds: How long to wait where the database is locked.
        key: The key.

    Raises:
        sqlite3.Error: The database cannot be read.
    """
    before: object = None
    with reading(directory, seconds=seconds) as connection:
        while (row := connection.execute(_FIND, (key, time.time())).fetchone()) is not None:
            try:
                return fetched(directory, *row)
            except OSError:
                if row == before:
                    return None  # its file is gone, or it was never an entry of this store
                before = row  # perhaps replaced a moment ago, and its old file removed
    return None


def keys(directory: Path, seconds: float) -> list[str]:
    """Return every key, sorted; some may have expired.

    Raises:
        sqlite3.Error: The database cannot be read.
    """
    with reading(directory, seconds=seconds) as connection:
        return [key for (key,) in connection.execute(_KEYS) if isinstance(key, str)]


def note_use(directory: Path, key: str) -> None:
    """Note that a key was read now, unless the database is locked or cannot be written."""
    # Only the order in which entries go depends on it: not worth waiting for, nor failing.
    with contextlib.suppress(sqlite3.Error), contextlib.closing(_connected(directory)) as writer:
        writer.execute("PRAGMA synchronous = NORMAL")
        writer.execute(_USED, (time.time(), key))


@contextmanager
def reading(directory: Path, *, seconds: float) -> Iterator[sqlite3.Connection]:
    """Yield a connection to the database that cannot write.

    Raises:
        sqlite3.Error: It cannot be opened, or what the block runs into.
    """
    connection = _connected(directory, "mode=ro", seconds=seconds)
    try:
        if not _answers(connection) and not _has_log(directory):
            connection.close()
            connection = _connected(directory, "immutable=1")
        yield connection
    finally:
        connection.close()


def _connected(directory: Path, how: str = "mode=rw", *, seconds: float = 0) -> sqlite3.Connection:
    address = f"{(directory / DATABASE).as_uri()}?{how}"
    return sqlite3.connect(address, uri=True, timeout=seconds, isolation_level=None)


def _answers(connection: sqlite3.Connection) -> bool:
    """Say whether a database can be read while others write it, as far as room allows that."""
    try:
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _NO_ROOM_TO_READ:
            return False
        raise
    return True


def _has_log(directory: Path) -> bool:
    """Say whether committed pages are still outside the database."""
    log = directory / f"{DATABASE}-wal"
    return log.exists() and log.stat().st_size > 0
