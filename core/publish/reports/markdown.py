"""Markdown that shows text from outside as text: a value can neither mark up nor link anything.

Every value a template puts out goes through `escaped`, unless it was made here (Markup). Values
stand within a line; line ends in them become blanks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from core.publish import formats
from core.publish.theme import flat

_LONGEST = 2_000
_HIDDEN = re.compile(r"[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\x00-\x08\x0b-\x1f\x7f-\x9f]")
_MARKS = re.compile(r"[\\`*_\[\]|~$]")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_LIVE = re.compile(r"[&<>]")
_FIRST = re.compile(r"^(?:[+-](?=\s|$)|#|=(?==*\s*$)|-(?=-+\s*$)|\d+(?=[.)](?:\s|$)))")
_LINKS = re.compile(
    r"(?i)(?:https?|ftp|www|mailto|xmpp)(?=[:.])|@|/(?=/)"
    r"|(?<=\w)\.(?=[a-z]{2})(?!(?:json|csv|parquet|xlsx|html|sqlite|toml)\b)"
)
_BRACKETS = re.compile(
    r"\\\[((?:[−\d.,% ]|no lower bound|no upper bound|no bounds)+)\\\](?![(\[:\\])"
)
_JOINER = "\u2060"
_TICKS = re.compile(r"`+")


@dataclass(frozen=True, slots=True)
class Link:
    """A cell that leads to another file of the same ZIP or folder."""

    text: str
    path: str


Cell = str | Link


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A table of a report, in words.

    Attributes:
        head: What each column is.
        rows: The cells.
        empty: What is said where there are no rows.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    empty: str = "Nothing to show: 0 rows."


def escaped(value: object) -> str:
    """Return a value as Markdown that shows it as it is: no mark, tag, link or list in it.

    An address, even "example.com", is linked by some readers whatever is escaped; a joiner nobody
    sees prevents it. Brackets around numbers stay as they are, since nothing follows them.
    """
    line = flat(str(value), limit=_LONGEST)
    apart = _LINKS.sub(lambda found: f"{found[0]}{_JOINER}", line)
    marked = _MARKS.sub(lambda found: f"\\{found[0]}", apart)
    inert = _LIVE.sub(lambda found: _ENTITIES[found[0]], marked)
    first = _FIRST.sub(_unlisted, inert)
    return _BRACKETS.sub(r"[\1]", first)


def _unlisted(found: re.Match[str]) -> str:
    """Keep a first sign from making a heading, a list or a rule of the line."""
    return f"{found[0]}{_JOINER}" if found[0][0].isdigit() else f"\\{found[0]}"


def grid(table: Grid) -> Markup:
    """Return a table as Markdown, or what is said where it has no rows."""
    if not table.rows:
        return Markup(escaped(table.empty))  # noqa: S704 - escaped for Markdown
    lines = [[escaped(head) for head in table.head], ["---"] * len(table.head)]
    lines += [[_cell(cell) for cell in row] for row in table.rows]
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return Markup(text)  # noqa: S704 - every cell is escaped


def quoted(text: str | None) -> Markup:
    """Return text from outside as a block of its own, shown sign by sign, line ends kept."""
    if text is None:
        return Markup(escaped(formats.MISSING))  # noqa: S704 - a constant
    plain = _HIDDEN.sub("", str(text).replace("\r\n", "\n").replace("\r", "\n"))
    plain = plain.encode("utf-8", "replace").decode()
    longest = max([0, *map(len, _TICKS.findall(plain))])
    fence = "`" * max(3, longest + 1)
    return Markup(f"{fence}text\n{plain}\n{fence}")  # noqa: S704 - nothing in it ends the fence


def _cell(cell: Cell) -> str:
    if isinstance(cell, Link):
        return f"[{escaped(cell.text) or cell.path}]({cell.path})"
    return escaped(cell)


@cache
def environment() -> Environment:
    """Return where Markdown templates live: every value is escaped, an unknown one an error."""
    made = Environment(
        loader=PackageLoader("core.publish.reports"),
        autoescape=True,  # Markup passes; all else is made Markup by `finalize`, as Markdown
        finalize=_final,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.globals.update(grid=grid, quoted=quoted, missing=formats.MISSING)
    return made


def rendered(template: str, context: dict[str, object]) -> bytes:
    """Return a template of the folder filled with values, in UTF-8."""
    text = environment().get_template(template).render(context)
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n").encode() + b"\n"


def _final(value: object) -> Markup:
    if isinstance(value, Markup):
        return value
    return Markup(escaped(value))  # noqa: S704 - escaped for Markdown


def listed(sentences: Sequence[str]) -> list[str]:
    """Return sentences without those that say nothing."""
    return [one for one in sentences if one]


__all__ = ["Cell", "Grid", "Link", "environment", "escaped", "grid", "listed", "quoted", "rendered"]
