"""Values as ClickHouse text, escaped the way PostHog's escape_sql.py@0354ddf does it."""

from __future__ import annotations

import math
import re
from typing import Any, Final

from .errors import invalid_value, query_error

_ESCAPES: Final = str.maketrans(
    {
        "\b": "\\b",
        "\f": "\\f",
        "\r": "\\r",
        "\n": "\\n",
        "\t": "\\t",
        "\0": "\\0",
        "\a": "\\a",
        "\v": "\\v",
        "\\": "\\\\",
        "'": "\\'",
    }
)
_PLAIN_NAME: Final = re.compile(r"^[A-Za-z_][A-Za-z0-9_$]*$")


def print_value(value: Any) -> str:
    """Return a value of the request as ClickHouse text; lists become arrays.

    Raises:
        Refusal: 400 for an object, which HogQL cannot print.
    """
    match value:
        case None:
            return "NULL"
        case bool():
            return "1" if value else "0"
        case int():
            return str(value)
        case float():
            return _print_float(value)
        case str():
            return "'" + value.translate(_ESCAPES) + "'"
        case list() | tuple():
            return "[" + ", ".join(print_value(item) for item in value) + "]"
    raise invalid_value(f"SQLValueEscaper has no method visit_{type(value).__name__.lower()}")


def _print_float(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Inf" if value > 0 else "-Inf"
    return repr(value)


def print_name(name: str) -> str:
    """Return an identifier, quoted where ClickHouse needs it.

    Raises:
        Refusal: 400 for a name with a per cent sign, which HogQL bans.
    """
    if "%" in name:
        raise query_error(
            f'The HogQL identifier "{name}" is not permitted as it contains the "%" character'
        )
    return name if _PLAIN_NAME.match(name) else "`" + name.replace("`", "``") + "`"
