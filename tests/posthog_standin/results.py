"""ClickHouse's JSON rows as PostHog's: instants as ISO 8601, floats as floats."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias
from zoneinfo import ZoneInfo

from .engine import Rows

Convert: TypeAlias = Callable[[Any], Any]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_WRAPPED: Final = re.compile(r"^(Nullable|LowCardinality|Array|Tuple|Map)\((.*)\)$", re.DOTALL)
_INSTANT: Final = re.compile(r"^DateTime(?:64)?(?:\((?:\d+,? ?)?(?:'([^']+)')?\))?$")


def rows_of(rows: Rows) -> list[list[Any]]:
    """Return the rows as PostHog's JSON has them."""
    parsed: list[list[Any]] = json.loads(rows.data)
    converters = [_converter(name) for name in rows.types]
    if not any(converters):
        return parsed
    return [
        [
            value if convert is None else convert(value)
            for convert, value in zip(converters, row, strict=True)
        ]
        for row in parsed
    ]


def is_verbatim(types: Sequence[str]) -> bool:
    """Tell whether ClickHouse's own text already is PostHog's, so that it need not be parsed."""
    return not any(_converter(name) for name in types)


def _converter(name: str) -> Convert | None:
    if match := _INSTANT.match(name):
        return _instant_in(match.group(1) or "UTC")
    if name.startswith("Float"):
        return _or_null(float)
    if match := _WRAPPED.match(name):
        return _wrapped(match.group(1), _split_arguments(match.group(2)))
    return None


def _wrapped(outer: str, inner: list[str]) -> Convert | None:
    converters = [_converter(_without_name(part)) for part in inner]
    if not any(converters):
        return None
    if outer in {"Nullable", "LowCardinality"}:
        return converters[0]
    if outer == "Array":
        return lambda items: [_apply(converters[0], item) for item in items]
    if outer == "Map":
        return lambda items: {key: _apply(converters[1], value) for key, value in items.items()}
    return lambda items: [
        _apply(convert, item) for convert, item in zip(converters, items, strict=True)
    ]


def _apply(convert: Convert | None, value: Any) -> Any:
    return value if convert is None else convert(value)


def _or_null(convert: Convert) -> Convert:
    return lambda value: None if value is None else convert(value)


def _instant_in(zone_name: str) -> Convert:
    zone = ZoneInfo(zone_name)

    def convert(value: str | None) -> str | None:
        if value is None:
            return None
        seconds, _, fraction = value.partition(".")
        micros = int(fraction.ljust(6, "0")[:6]) if fraction else 0
        instant = _EPOCH + timedelta(seconds=int(seconds), microseconds=micros)
        text = instant.astimezone(zone).isoformat()
        # DRF writes Z for UTC alone; other zones keep their offset.
        return text.removesuffix("+00:00") + "Z" if zone_name == "UTC" else text

    return convert


def _split_arguments(text: str) -> list[str]:
    parts, depth, start = [], 0, 0
    for place, letter in enumerate(text):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            parts.append(text[start:place].strip())
            start = place + 1
    return [*parts, text[start:].strip()]


def _without_name(part: str) -> str:
    # Elements of a named tuple read "name Type".
    name, _, rest = part.partition(" ")
    return rest if rest and "(" not in name and "'" not in name else part
