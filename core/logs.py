"""The log: a line of JSON a record on standard error, without secrets or personal data.

Redaction happens where records are made (and once more where they are written), so that other
libraries' handlers get nothing else either. What helps operations is logged by `note`.
"""

from __future__ import annotations

import json
import logging
import math
import secrets as random
import sys
import threading
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, TextIO

from core import redaction
from core.settings import Settings

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_LOG = logging.getLogger(__name__)
_make_record = logging.getLogRecordFactory()


def configure(settings: Settings | None = None, *, secrets: Iterable[str] = ()) -> None:
    """Write logs of this process as JSON lines on standard error, redacted. May be called again.

    Args:
        settings: Their level; their secrets are hidden from now on. None: not known yet.
        secrets: Further secrets to hide, such as those of the sign-in.
    """
    known = redaction.secrets_of(settings) if settings is not None else []
    redaction.hide([*known, *secrets])
    logging.setLogRecordFactory(_record)
    logging.captureWarnings(capture=True)
    sys.excepthook, threading.excepthook = _on_crash, _on_thread_crash
    root = logging.getLogger()
    if settings is not None or root.level == logging.NOTSET:
        root.setLevel((settings.log.level if settings else "warning").upper())
    if not any(isinstance(one.formatter, JsonLines) for one in root.handlers):
        root.addHandler(_ToStandardError())
        root.handlers[-1].setFormatter(JsonLines())
    _take_over()


def note(logger: logging.Logger, message: str, **fields: float | str | None) -> None:
    """Log at level info what helps operations: a run's counts, a request's status and seconds.

    Args:
        logger: Of the module that says it.
        message: The same words every time; what varies goes into the fields.
        fields: Counts, durations and names; no titles, ids of people or e-mails.
    """
    logger.info(message, extra={"fields": fields}, stacklevel=2)


def traced(error: BaseException) -> str:
    """Return an exception with its causes and places in the code, but no row's content."""
    parts, seen = [], set[int]()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        parts.append(_one(current))
        is_hidden = current.__suppress_context__ or current.__cause__ is not None
        current = current.__cause__ if is_hidden else current.__context__
    return "\ncaused by\n".join(parts)


class JsonLines(logging.Formatter):
    """Writes a record as one line of strict JSON: time, level, logger, message, fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; nothing in it can begin another."""
        fields = _fields(record)
        line: dict[str, object] = {
            "time": _instant(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redaction.redacted(record.getMessage()),
        }
        if fields:
            line["fields"] = fields
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = traced(record.exc_info[1])
        return json.dumps(line, allow_nan=False)


class _ToStandardError(logging.StreamHandler[TextIO]):
    """Writes to what standard error is at that moment, not what it was at the beginning."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        self.stream = _standard_error()
        super().emit(record)


def _standard_error() -> TextIO:
    return sys.stderr


def _record(*args: Any, **kwargs: Any) -> logging.LogRecord:  # noqa: ANN401 - as logging calls it
    """Make a record that holds nothing that must not be written, whichever handler writes it."""
    record = _make_record(*args, **kwargs)
    if isinstance(record.args, tuple):
        record.args = tuple(map(_plain_argument, record.args))
    elif isinstance(record.args, Mapping):
        record.args = {name: _plain_argument(value) for name, value in record.args.items()}
    if isinstance(record.msg, BaseException):
        record.msg = str(_plain_argument(record.msg))
    message = _message(record)
    clean = redaction.redacted(message)
    if clean != message or not isinstance(record.msg, str):
        record.msg, record.args = clean, ()
    if record.exc_info and record.exc_info[1] is not None:
        record.exc_text = traced(record.exc_info[1])
    return record


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):  # the caller's format does not fit
        record.args = ()
        return str(record.msg)


def _plain_argument(value: object) -> object:
    """Return an argument of a message as numbers and clean text."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {redaction.words_of(value)}"
    return redaction.redacted(str(value))


def _fields(record: logging.LogRecord) -> dict[str, object]:
    """Return what a record carries besides its message."""
    given = {name: value for name, value in vars(record).items() if name not in _STANDARD}
    inner = given.pop("fields", {})
    every = {**given, **inner} if isinstance(inner, Mapping) else given
    return {str(name): _value(str(name), value) for name, value in every.items()}


def _value(name: str, value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, Mapping):
        return {str(key): _value(str(key), item) for key, item in value.items()}
    # its name may be what tells that it is a secret
    clean = redaction.redacted(f"{name}={_plain_argument(value)}")
    return clean.removeprefix(f"{name}=")


def _one(error: BaseException) -> str:
    """Return one exception: where it was raised, its kind, and what it says if that is safe."""
    kind = type(error)
    name = (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )
    lines = [*_places(error.__traceback__), f"{name}: {redaction.words_of(error)}".rstrip(": ")]
    if isinstance(error, BaseExceptionGroup):
        lines += [traced(inner) for inner in error.exceptions]
    return "\n".join(lines)


def _places(trace: TracebackType | None) -> list[str]:
    """Return file, line and function of each frame; neither its source line nor its values."""
    places = []
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{code.co_filename}:{trace.tb_lineno} in {code.co_qualname}")
        trace = trace.tb_next
    return places


def _take_over() -> None:
    """Have loggers with handlers of their own, such as Streamlit's, write JSON lines too."""
    for logger in list(logging.root.manager.loggerDict.values()):
        for handler in logger.handlers if isinstance(logger, logging.Logger) else ():
            if type(handler) is logging.StreamHandler and handler.stream in _standard_streams():
                handler.setFormatter(JsonLines())


def _standard_streams() -> tuple[object, ...]:
    return sys.stderr, sys.__stderr__, sys.stdout, sys.__stdout__


def _on_crash(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    incident = random.token_hex(4)
    _LOG.critical("Incident %s: nothing caught it", incident, exc_info=(kind, error, trace))


def _on_thread_crash(crash: threading.ExceptHookArgs) -> None:
    if crash.exc_value is not None and not issubclass(crash.exc_type, SystemExit):
        _on_crash(crash.exc_type, crash.exc_value, crash.exc_traceback)


def _instant(seconds: float) -> str:
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
