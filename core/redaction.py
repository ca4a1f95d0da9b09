"""Keeps secrets and personal data out of text that is written down: logs and tracebacks."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Callable, Iterable
from urllib.parse import quote, quote_plus

from pydantic import BaseModel, SecretStr
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from core.errors import PushliftError
from core.settings import Settings

HIDDEN = "***"
_SHORTEST = 4
"""Shorter secrets are hidden where their place tells what they are; else half of a log would go."""
_LONGEST_TEXT = 20_000
# Every run is bounded, so that no text takes time that grows with its square.
_PATTERNS = (
    (re.compile(r"(?<=://)[^\s\"'<>]{1,1024}@"), f"{HIDDEN}@"),
    (re.compile(r"\bph[a-z]_[\w-]{4,}"), HIDDEN),
    (re.compile(r"\beyJ[\w-]{4,}\.[\w-]{4,}\.[\w-]*"), HIDDEN),
    (re.compile(r"\b(bearer|basic)\s+[\w.~+/=-]{4,}", re.IGNORECASE), rf"\1 {HIDDEN}"),
    (
        re.compile(
            r"((?:password|passwd|pwd|secret|api[_-]?key|token|authorization|cookie)[\"']?\s{0,3}"
            r"[=:]\s{0,3})(?:'[^'\n]*'|\"[^\"\n]*\"|(?:(?:bearer|basic)\s+)?[^\s,;&)}\]]+)",
            re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"([?&](?:code|state|id_token)=)[^\s&\"']+"), rf"\1{HIDDEN}"),
    # PostgreSQL repeats the statement, the row at fault or the key; SQLAlchemy the parameters.
    (re.compile(r"\bLINE \d+:[^\n]*(?:\n[ \t]*\^)?"), f"LINE {HIDDEN}"),
    (re.compile(r"\b(DETAIL|CONTEXT|QUERY|STATEMENT):[^\n]*"), rf"\1: {HIDDEN}"),
    (re.compile(r"\[(SQL|parameters): (?:[^(]|\((?!Background))*+"), rf"[\1: {HIDDEN}] "),
    (
        re.compile(r"[^\s@＠<>\"'(),;:\[\]={}|\\/]{1,128}(?:[@＠]|%40)[\w.\-\[\]]{1,255}"),
        "<e-mail>",
    ),
)
_CODE_ERRORS = (
    TypeError, AttributeError, NameError, ImportError, MemoryError, RecursionError,
    ZeroDivisionError,
)  # fmt: skip
_TRUSTED_MODULES = (
    "core", "requests", "urllib3", "sqlalchemy", "psycopg2", "ssl", "socket", "http", "streamlit",
    "uvicorn", "authlib", "httpx", "joserfc",
)  # fmt: skip

_lock = threading.Lock()
_known: frozenset[str] = frozenset()
_known_pattern: re.Pattern[str] | None = None


def hide(secrets: Iterable[str]) -> None:
    """Have these hidden from now on, however they are written; those of before stay hidden."""
    global _known, _known_pattern
    new = {text for secret in secrets for text in _spellings(secret)}
    with _lock:
        if new <= _known:
            return
        _known |= new
        longest_first = sorted(_known, key=len, reverse=True)
        _known_pattern = re.compile("|".join(map(re.escape, longest_first)))


def secrets_of(settings: Settings) -> list[str]:
    """Return every secret of the settings, the database's password by itself too."""
    found = list(_secrets_in(settings))
    for text in tuple(found):
        found += _passwords_of(text)
    password = os.environ.get("PGPASSWORD")
    return [*found, password] if password else found


def redacted(text: str) -> str:
    """Return text without secrets, tokens, passwords, e-mails and repeated statements."""
    if _known_pattern is not None:
        text = _known_pattern.sub(HIDDEN, text)
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    if len(text) > _LONGEST_TEXT:  # cut last: half a secret would not be recognised
        text = f"{text[:_LONGEST_TEXT]}… [{len(text):,} characters]"
    return text


def words_of(error: BaseException) -> str:
    """Return what an exception says, if that cannot be a row's content.

    Our own errors hold none. A ValueError or KeyError of a library quotes the value at fault, which
    may be a title or a distinct id: of such, the kind and the place in the code have to do.
    """
    kind = type(error)
    module = kind.__module__.partition(".")[0]
    is_trusted = isinstance(error, (PushliftError, OSError, *_CODE_ERRORS))
    if not is_trusted and module not in _TRUSTED_MODULES:
        return f"({HIDDEN})" if str(error) else ""
    text = redacted(str(error))
    return text if isinstance(error, PushliftError) else _QUOTED.sub(f"'{HIDDEN}'", text)


_QUOTED = re.compile(r"(?<![A-Za-z])'[^\n]*'|\"[^\n]*\"")


def _secrets_in(part: BaseModel) -> Iterable[str]:
    for name in type(part).model_fields:
        value = getattr(part, name)
        if isinstance(value, SecretStr):
            yield value.get_secret_value()
        elif isinstance(value, BaseModel):
            yield from _secrets_in(value)


def _passwords_of(text: str) -> list[str]:
    """Return the passwords a database's address holds."""
    if "://" not in text:
        return []
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        return []
    given = [url.password, *(url.query.get(name) for name in ("password", "sslpassword"))]
    return [str(one) for one in given if one]


def _spellings(secret: str) -> set[str]:
    """Return a secret as it may stand in text: as it is, escaped, or as part of an address."""
    secret = secret.strip()
    ways: tuple[Callable[[str], str], ...] = (
        str,
        quote,
        quote_plus,
        lambda text: quote(text, safe=""),
        lambda text: json.dumps(text)[1:-1],
        lambda text: repr(text)[1:-1],
    )
    return {way(secret) for way in ways} if len(secret) >= _SHORTEST else set()
