"""What HogQL knows of an expression's type before ClickHouse sees it.

HogQL's type system is partial, and its gaps are traps: a function without a signature yields an
unknown type, and `toDateTime(unknown)` is printed as a string parser, which ClickHouse refuses
for a number. So only what PostHog's stored signatures tell is told here.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from .parsing import Node
from .wordlist import words

Kind: TypeAlias = Literal["int", "float", "string", "date", "datetime", "uuid", "array", "unknown"]

DATETIME_COLUMNS: Final = frozenset({"timestamp", "created_at", "person__created_at"})
PROPERTY_COLUMNS: Final = frozenset({"properties", "person__properties"})
_UUID_COLUMNS: Final = frozenset({"uuid", "person_id", "id", "person__id"})
_STRING_COLUMNS: Final = frozenset(
    {"event", "distinct_id", "elements_chain", "$session_id", "$window_id", "person_mode"}
)
BASE_COLUMNS: Final = DATETIME_COLUMNS | _UUID_COLUMNS | _STRING_COLUMNS | {"team_id"}

_ALWAYS: Final[dict[str, Kind]] = {
    "now": "datetime",
    "current_timestamp": "datetime",
    "today": "date",
    "yesterday": "date",
    "current_date": "date",
    "toStartOfMonth": "date",
    "toStartOfWeek": "date",
    "toStartOfDay": "datetime",
    "toStartOfHour": "datetime",
    "toStartOfMinute": "datetime",
    "toStartOfSecond": "datetime",
}
# name -> {kind of the first argument: kind of the result}
_BY_ARGUMENT: Final[dict[str, dict[Kind, Kind]]] = {
    "toDate": {"string": "date", "datetime": "date"},
    "to_date": {"string": "date", "datetime": "date"},
    "toDateTime": {"string": "datetime"},
    "toDateTimeUS": {"string": "datetime"},
    "toDateTime64": {"datetime": "datetime"},
    "toTimeZone": {"datetime": "datetime"},
    "fromUnixTimestamp": {"int": "datetime"},
    "toStartOfInterval": {"datetime": "datetime"},
    "dateTrunc": {"string": "datetime"},
    "addDays": {"date": "date", "datetime": "datetime"},
    "toString": dict.fromkeys(("int", "string", "float", "date", "datetime"), "string"),
    "plus": {"int": "int", "datetime": "datetime"},
    "minus": {"int": "int", "datetime": "datetime"},
}
# Functions whose result may be NULL whatever their arguments are.
_NULLABLE_FUNCTIONS: Final = words(
    "toInt toFloat toUUID toNullableString toDate to_date toDateTime toDateTimeUS parseDateTime "
    "parseDateTimeBestEffort nullif nullIf toNullable lagInFrame leadInFrame transform"
)


def is_property(node: Node) -> bool:
    """Tell whether the node reads a key out of a properties column."""
    if node["node"] == "ArrayAccess":
        array: Node = node["array"]
        return array["node"] == "Field" and bool(array["chain"][-1] == "properties")
    if node["node"] != "Field":
        return False
    chain = node["chain"]
    return any(part == "properties" for part in chain[:-1])


def kind_of(node: Node) -> Kind:
    """Return the type HogQL would resolve for an expression."""
    match node["node"]:
        case "Constant":
            return _kind_of_constant(node["value"])
        case "Alias":
            return kind_of(node["expr"])
        case "Field" | "ArrayAccess":
            return "string" if is_property(node) else _kind_of_column(node)
        case "ArithmeticOperation":
            return _kind_of_arithmetic(node)
        case "Call":
            return _kind_of_call(node)
        case "Array":
            return "array"
    return "unknown"


def _kind_of_constant(value: object) -> Kind:
    match value:
        case bool():
            return "unknown"
        case int():
            return "int"
        case float():
            return "float"
        case str():
            return "string"
        case list():
            return "array"
    return "unknown"


def _kind_of_column(node: Node) -> Kind:
    if node["node"] != "Field":
        return "unknown"
    name = node["chain"][-1]
    if name in DATETIME_COLUMNS:
        return "datetime"
    if name in _UUID_COLUMNS:
        return "uuid"
    return "string" if name in _STRING_COLUMNS else "unknown"


def _kind_of_arithmetic(node: Node) -> Kind:
    kinds = {kind_of(node["left"]), kind_of(node["right"])}
    if "datetime" in kinds:
        return "datetime"
    if kinds <= {"int", "float"}:
        return "float" if "float" in kinds else "int"
    return "unknown"


def _kind_of_call(node: Node) -> Kind:
    name = node["name"]
    if name in _ALWAYS:
        return _ALWAYS[name]
    table = _BY_ARGUMENT.get(name)
    if table is None or not node["args"]:
        return "unknown"
    return table.get(kind_of(node["args"][0]), "unknown")


def may_be_null(node: Node) -> bool:
    """Tell whether a comparison with this expression has to be guarded against NULL.

    HogQL wraps such comparisons (`ifNull(equals(..), 0)`), so that `!=` and `NOT` count a
    missing property as different. Guarding what can never be NULL changes nothing, so doubt
    counts as yes.
    """
    match node["node"]:
        case "Constant":
            return node["value"] is None
        case "Alias":
            return may_be_null(node["expr"])
        case "Field":
            return is_property(node) or node["chain"][-1] not in BASE_COLUMNS
        case "ArithmeticOperation":
            return may_be_null(node["left"]) or may_be_null(node["right"])
        case "Call":
            if node["name"] in _NULLABLE_FUNCTIONS:
                return True
            return any(may_be_null(argument) for argument in node["args"])
        case "Array" | "Tuple" | "CompareOperation" | "And" | "Or" | "Not" | "Lambda":
            return False
    return True
