"""The files under `.automations/`: what each automation is, and which files are broken."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
)

from core.sources.plain_yaml import DEEPEST, MOST_NODES, PlainDocument, TextFault, read_yaml

BIGGEST_FILE = 200_000
MOST_FILES = 5_000
LONGEST_TEXT = 200
_SUFFIXES = {".json", ".yaml", ".yml"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is wrong with one file.

    Attributes:
        file: Its name below the folder.
        line: Where, counted from 1; None where not known.
        what: What is wrong, and what to do about it.
    """

    file: str
    line: int | None
    what: str

    def __str__(self) -> str:
        place = f"{self.file}, line {self.line}" if self.line else self.file
        return f"{place}: {self.what}."


def _known_zone(name: object) -> str:
    try:
        return ZoneInfo(str(name)).key
    except (KeyError, ValueError, OSError) as error:
        raise ValueError("is not a time zone, such as America/New_York") from error


def _as_text(value: object) -> object:
    """Return whole numbers as the text of a database's key."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _not_a_flag(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("must be 1, 2 or 3")  # noqa: TRY004 - pydantic takes values to be wrong
    return value


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


_Text = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_TEXT)
]
_Key = Annotated[_Text, BeforeValidator(_as_text)]
_Weekday = Literal[
    "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"
]  # fmt: skip
_Hours = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class Schedule(_Part):
    """When an automation sends by the clock."""

    weekday: Annotated[_Weekday | None, BeforeValidator(_lower)] = None
    time: Annotated[str, StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] | None = None
    timezone: Annotated[str, BeforeValidator(_known_zone)] | None = None


class Trigger(_Part):
    """What a user does that sets an automation off, and how many hours later it sends."""

    event: _Text
    delay_hours: tuple[_Hours, _Hours] | None = None

    @field_validator("delay_hours", mode="before")
    @classmethod
    def _as_pair(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("delay_hours")
    @classmethod
    def _ascends(cls, value: tuple[float, float] | None) -> tuple[float, float] | None:
        if value and value[0] > value[1]:
            raise ValueError("must ascend, such as [2, 6]")
        return value


class Automation(_Part):
    """What one file says of one automation."""

    id: _Key
    name: _Key | None = None
    layer: Annotated[Literal[1, 2, 3] | None, BeforeValidator(_not_a_flag)] = None
    content: _Text | None = None
    audience: _Text | None = None
    schedule: Schedule | None = None
    trigger: Trigger | None = None
    status: _Text | None = None

    @property
    def effective_layer(self) -> str:
        """Return "1", "2", "3" or "unclassified": as given, else as the way of sending says."""
        if self.layer:
            return str(self.layer)
        if self.trigger:
            return "3"
        if self.schedule and self.schedule.weekday:
            return "2"
        return "1" if self.audience == "all" else "unclassified"

    @property
    def effective_content(self) -> str | None:
        """Return the content: as given, else the trigger's event, else the layer's own."""
        if self.content:
            return self.content
        if self.trigger:
            return self.trigger.event
        return "hot_inventory" if self.effective_layer == "2" else None


def read_automations(folder: Path) -> tuple[list[Automation], list[Problem]]:
    """Return the automations of a folder by file name, and what is wrong with the other files.

    Of two files with one id the first, by name, counts. A folder that is not there holds none.
    """
    if not folder.is_dir():
        missing = "the folder is not there: sends stay unclassified. Set [automations] dir"
        return [], [Problem(file=folder.name, line=None, what=missing)]
    found: dict[str, Automation] = {}
    problems: list[Problem] = []
    for path, name in _files(folder, problems):
        try:
            automation = _read(path)
        except TextFault as fault:
            problems.append(Problem(file=name, line=fault.line, what=str(fault)))
            continue
        if automation.id in found:
            what = f"has the id {automation.id!r} of another file, which is used instead"
            problems.append(Problem(file=name, line=None, what=what))
        found.setdefault(automation.id, automation)
    return list(found.values()), problems


def with_triggers(events: Sequence[str], automations: Iterable[Automation]) -> list[str]:
    """Return events, then what else sets automations off, sorted: each event once.

    Args:
        events: What the metrics need, in an order that is kept.
        automations: Those whose triggers are to be found again in people's activity.
    """
    triggers = {one.trigger.event for one in automations if one.trigger}
    return [*dict.fromkeys(events), *sorted(triggers.difference(events))]


def _files(folder: Path, problems: list[Problem]) -> Iterator[tuple[Path, str]]:
    """Yield the files to read with their names below the folder, in the order of these."""
    paths = (path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)
    named = sorted((str(path.relative_to(folder)), path) for path in paths if not path.is_dir())
    if len(named) > MOST_FILES:
        what = f"holds {len(named):,} files: only the first {MOST_FILES:,} are read"
        problems.append(Problem(file=folder.name, line=None, what=what))
    for name, path in named[:MOST_FILES]:
        if path.name.startswith("."):
            continue
        if path.is_file():
            yield path, name
        else:  # a pipe would be waited for, a link that leads nowhere passed over in silence
            problems.append(Problem(file=name, line=None, what="is no file that can be read"))


def _read(path: Path) -> Automation:
    try:
        if path.stat().st_size > BIGGEST_FILE:
            raise TextFault(f"is larger than {BIGGEST_FILE:,} bytes")
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise TextFault(f"cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise TextFault("is not UTF-8 text") from None
    document = _json(text) if path.suffix.lower() == ".json" else read_yaml(text)
    if not isinstance(document.value, dict):
        raise TextFault("must hold one automation: keys and values, id among them", 1)
    try:
        return Automation.model_validate(document.value)
    except ValidationError as error:
        raise _in_words(error, document) from None


def _json(text: str) -> PlainDocument:
    """Return what a JSON text holds; of lines, only a syntax error's is known."""
    try:
        value = json.loads(
            text, object_pairs_hook=_once_each, parse_constant=_no_number, parse_int=_whole
        )
    except json.JSONDecodeError as error:
        raise TextFault(f"is not valid JSON: {error.msg}", error.lineno) from None
    except RecursionError:
        raise TextFault("is nested too deep, or holds too much") from None
    _bounded(value)
    return PlainDocument(value=value)


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise TextFault(f"repeats the key {key[:40]!r}")
        found[key] = value
    return found


def _no_number(name: str) -> float:
    raise TextFault(f"holds {name}, which is not JSON")


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) < 16 else float("inf")


def _bounded(value: Any) -> None:  # noqa: ANN401
    """Refuse what is nested deeper, or holds more, than YAML may."""
    level, n_nodes = [value], 0
    for _ in range(DEEPEST):
        n_nodes += len(level)
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level and n_nodes <= MOST_NODES:
            return
    raise TextFault("is nested too deep, or holds too much")


def _in_words(error: ValidationError, document: PlainDocument) -> TextFault:
    """Return the first thing wrong, by its key, never by its value."""
    item = error.errors(include_url=False, include_input=False, include_context=False)[0]
    path = item["loc"]
    key = ".".join(str(part) for part in path)
    text = item["msg"].removeprefix("Value error, ")
    text = {"missing": "is missing", "string_pattern_mismatch": "is not a time, such as 09:00"}.get(
        item["type"], text[:1].lower() + text[1:]
    )
    lines = (document.lines.get(path[:n]) for n in range(len(path), -1, -1))
    return TextFault(f"{key}: {text}", next((line for line in lines if line), None))
