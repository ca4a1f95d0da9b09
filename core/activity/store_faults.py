"""What an error of the store's folder means: the database is broken, or only circumstances are."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator

import diskcache

FAILURES = (
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
_LOCKED = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what it came from: a rollback may fail after the fault itself."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _codes(error: BaseException) -> set[int]:
    """Return SQLite's codes in an error and what it came from."""
    codes = (getattr(cause, "sqlite_errorcode", None) for cause in _causes(error))
    return {code & 0xFF for code in codes if code is not None}


def is_locked(error: BaseException) -> bool:
    """Say whether somebody else has the database locked."""
    return bool(_codes(error) & _LOCKED)


def is_damage(error: BaseException) -> bool:
    """Say whether an error means that the database itself is broken."""
    if _codes(error) & _CIRCUMSTANCES:
        return False
    if isinstance(error, sqlite3.Error):
        # Without a code it is raised by Python's module: misuse, or text that is not text.
        return bool(_codes(error)) or isinstance(error, sqlite3.OperationalError)
    return not isinstance(error, (OSError, diskcache.Timeout))


def reason(error: BaseException) -> str:
    """Return in a few words what is the matter."""
    if is_locked(error):
        return "it is locked"
    cause = next((one for one in _causes(error) if getattr(one, "sqlite_errorcode", 0)), error)
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno)
    return str(cause) or type(cause).__name__
