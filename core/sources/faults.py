"""What a database driver reports, as sentences that may be shown.

Drivers repeat the statement, its parameters, the row at fault and sometimes the password in their
messages, so that none of their text is passed on: only what kind of fault it is, and the names of
tables and columns.
"""

from __future__ import annotations

import re

from sqlalchemy.engine import URL, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from core.errors import DatabaseError


class ConnectionLost(DatabaseError):  # noqa: N818 - reads as the state it is
    """The connection broke, or the server is starting up: the whole read may be tried again."""


LOST_STATES = ("08", "57P01", "57P02", "57P03", "40001")
"""SQLSTATEs (or their class) after which the same read may succeed: PostgreSQL, appendix A."""

_RENAME = "If it goes by another name, set {key}; otherwise check what [database] url names."
_REFUSED = "refuses connections. Check host and port in [database] url, and that the server runs."
_CREDENTIALS = "refused the user or the password. Check both in [database] url."
_BY_STATE = {
    "28P01": _CREDENTIALS,
    "28000": _CREDENTIALS,
    "3D000": "has no database of that name. Check the last part of [database] url.",
    "53300": "has no connection left. Try again later, or use its pooled address.",
    "57014": (
        "stopped a statement at its time limit. Raise [database] statement_timeout, ask for a "
        "shorter period, or index push_notifications by delivered_at and by sent_at."
    ),
    "55P03": "holds a lock on what is read. Try again when whoever changes the table is done.",
    "25006": "allows no writing here. Pushlift only reads, so this is a fault of its own.",
    "0A000": "does not support what was asked. It needs PostgreSQL 12 or later.",
}
_BY_TEXT = {
    "password authentication failed|no password supplied": _CREDENTIALS,
    "database .* does not exist": _BY_STATE["3D000"],
    "role .* does not exist|no pg_hba.conf entry": (
        "does not let this user in. Check the user name in [database] url, and which addresses "
        "and users the server admits."
    ),
    "could not translate host name|name or service not known": (
        "cannot be found: its name does not resolve. Check the host in [database] url."
    ),
    "server does not support ssl": (
        "offers no TLS. Where the network can be trusted, add ?sslmode=disable to [database] url."
    ),
    "certificate|root.crt|ssl error|ssl connection": (
        "could not be reached over TLS. Check sslmode and sslrootcert in [database] url; "
        "sslrootcert=system trusts the system's certificates."
    ),
    "too many connections|connection slots": _BY_STATE["53300"],
    "connection refused|no such file or directory": _REFUSED,
    "unsupported startup parameter": (
        "is behind a pooler that refuses a parameter of [database] url. Take what stands there "
        "after the question mark away, but for sslmode and sslrootcert, or use its direct address."
    ),
    "timeout expired": (
        "did not answer in time. Check host, port and firewall, or raise [database] "
        "connect_timeout."
    ),
    "no route to host|network is unreachable": (
        "cannot be reached from here. Check the host in [database] url and the network."
    ),
}
_BY_SQLITE = {
    "SQLITE_CANTOPEN": "cannot be opened. Check the file and its folder's permissions.",
    "SQLITE_NOTADB": "is not a SQLite database. Check the file [database] url names.",
    "SQLITE_CORRUPT": "is damaged. Restore it from a copy.",
    "SQLITE_BUSY": "is locked by another program. Try again when that has finished.",
    "SQLITE_READONLY": _BY_STATE["25006"],
    "SQLITE_INTERRUPT": _BY_STATE["57014"],
}


_LOST_BY_TEXT = (
    r"the database system is (?:starting up|shutting down|in recovery|not (?:yet )?accepting)"
    r"|connection reset|broken pipe|eof detected|closed the connection|has been closed unexpectedly"
    r"|connection not open|connection already closed|could not (?:receive|send) data"
)
"""What libpq itself says of a connection that broke, at which phase it may be."""
_NAMED = (
    (
        r'permission denied for (?:table|view|relation|schema|materialized view) "?([\w.]+)',
        "{where} does not let this user read {name}. Grant SELECT on it, and USAGE on its schema.",
    ),
    (
        r'relation "?([\w.]+)"? does not exist|no such table: ([\w.]+)',
        "{where} has no table {name}. " + _RENAME.format(key="[database.tables]"),
    ),
    (
        r'column "?([\w.]+)"? does not exist|no such column: ([\w.]+)',
        "{where} has no column {name}. " + _RENAME.format(key="[database.columns]"),
    ),
    (
        r"could not decode to utf-?8 column '(\w+)'",
        "{where} holds text in the column {name} that is not UTF-8.",
    ),
)


def place(url: URL) -> str:
    """Return what and where the database is, without user or password."""
    if url.get_backend_name() == "sqlite":
        return f"The SQLite file {url.database}"
    host = url.host or url.query.get("host") or "this machine"
    port = f":{url.port}" if url.port else ""
    return f"The database {url.database or ''} at {host}{port}".replace("  ", " ")


def in_words(error: Exception, engine: Engine) -> DatabaseError:
    """Return the error to raise for a driver's, holding nothing of its text but names.

    Args:
        error: SQLAlchemy's, or the driver's own where rows are fetched past SQLAlchemy.
        engine: Whose connection it was.
    """
    where = place(engine.url)
    if isinstance(error, PoolTimeout):
        return DatabaseError(f"{where} is busy: every connection is in use. Try again shortly.")
    cause = error.orig if isinstance(error, DBAPIError) else error
    state = getattr(cause, "pgcode", None) or ""
    if state.startswith(LOST_STATES):
        return ConnectionLost(f"{where} ended the connection or is starting up. Try again.")
    if not state and _broke(str(cause), engine):
        return ConnectionLost(f"{where} broke the connection or is starting up. Try again.")
    named = _named(str(cause), where)
    if named:
        return DatabaseError(named)
    words = _words(cause, state)
    if words:
        error_type = ConnectionLost if words == _REFUSED else DatabaseError
        return error_type(f"{where} {words}")
    if _is_lost(error, engine):
        return ConnectionLost(f"{where} broke the connection, or fell silent. Try again.")
    code = f", {state}" if state else ""
    kind = type(cause).__name__
    return DatabaseError(f"{where} reported a fault ({kind}{code}). Its log says more.")


def too_slow(engine: Engine) -> DatabaseError:
    """Return the error for a reading that took longer than a whole one may."""
    return DatabaseError(
        f"{place(engine.url)} took longer than a whole reading may. Ask for a shorter period, or "
        "raise [database] read_timeout."
    )


def _words(cause: BaseException | None, state: str) -> str | None:
    """Return the sentence for a fault of a known kind."""
    if state == "57014" and "user request" in str(cause):
        return "stopped a statement at somebody's request. Ask who runs it, or try again."
    return _BY_STATE.get(state) or _sqlite_words(cause) or _matching(str(cause))


def _broke(text: str, engine: Engine) -> bool:
    """Say whether libpq, not the server, reports a connection that broke."""
    if engine.dialect.name != "postgresql":
        return False
    return re.search(_LOST_BY_TEXT, text.partition("\n")[0], re.IGNORECASE) is not None


def _is_lost(error: Exception, engine: Engine) -> bool:
    if isinstance(error, DBAPIError):
        return error.connection_invalidated
    return engine.dialect.is_disconnect(error, None, None)  # type: ignore[arg-type]


def missing_table(name: str, *, role: str, where: str) -> DatabaseError:
    """Return the error for a table that is not there."""
    hint = _RENAME.format(key=f"[database.tables] {role}")
    return DatabaseError(f"{where} has no table {name}. {hint}")


def missing_column(name: str, *, column: str, role: str, table: str, where: str) -> DatabaseError:
    """Return the error for a required column that is not there."""
    hint = _RENAME.format(key=f"[database.columns.{role}] {column}")
    return DatabaseError(f"{where} has no column {name} in the table {table}. {hint}")


def _named(text: str, where: str) -> str | None:
    """Return the sentence for a fault that concerns a table or column, by its name alone."""
    first_line = text.partition("\n")[0]  # the next ones repeat the statement
    for pattern, sentence in _NAMED:
        found = re.search(pattern, first_line, re.IGNORECASE)
        if found:
            return sentence.format(where=where, name=found.group(found.lastindex or 0))
    return None


def _sqlite_words(error: BaseException | None) -> str | None:
    code = getattr(error, "sqlite_errorname", "") or ""
    return next((words for name, words in _BY_SQLITE.items() if code.startswith(name)), None)


def _matching(text: str) -> str | None:
    found = (
        words for pattern, words in _BY_TEXT.items() if re.search(pattern, text, re.IGNORECASE)
    )
    return next(found, None)
