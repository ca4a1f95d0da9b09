"""Expressions: operators, comparisons, fields and properties, as ClickHouse SQL.

Source: posthog/hogql/printer/base.py@0044ace, clickhouse.py@002b82d, property_types.py@0019844.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from .calls import CallPrinter
from .errors import query_error
from .hogql_functions import AGGREGATES
from .kinds import is_property, kind_of, may_be_null
from .literals import print_name, print_value
from .parsing import Node

_RESERVED: Final = frozenset({"true", "false", "null", "team_id"})
_COMPARE: Final = {
    "==": "equals",
    "!=": "notEquals",
    "<": "less",
    ">": "greater",
    "<=": "lessOrEquals",
    ">=": "greaterOrEquals",
    "like": "like",
    "ilike": "ilike",
    "not like": "notLike",
    "not ilike": "notILike",
    "in": "in",
    "not in": "notIn",
    "global in": "globalIn",
    "global not in": "globalNotIn",
}
_MATCHES: Final = {
    "=~": "match({left}, {right})",
    "!~": "not(match({left}, {right}))",
    "=~*": "match({left}, concat('(?i)', {right}))",
    "!~*": "not(match({left}, concat('(?i)', {right})))",
}
_RANGES: Final = frozenset({"<", ">", "<=", ">="})
_ARITHMETIC: Final = {"+": "plus", "-": "minus", "*": "multiply", "/": "divide", "%": "modulo"}
_PERSON_COLUMNS: Final = frozenset({"id", "created_at", "properties"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """The project's side of a query: its zone, its views, its limits, its property types."""

    timezone: str = "UTC"
    views: Mapping[str, str] = field(
        default_factory=lambda: {
            "events": "events",
            "events+person": "events",
            "persons": "persons",
            "person_distinct_ids": "person_distinct_ids",
        }
    )
    max_rows: int = 50_000
    default_rows: int = 100
    property_types: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Scope:
    """What the names of one SELECT mean."""

    tables: dict[str, str] = field(default_factory=dict)
    ctes: set[str] = field(default_factory=set)
    lambdas: list[str] = field(default_factory=list)
    in_where: bool = False
    in_join: bool = False
    needs_person: bool = False


class ExpressionPrinter(CallPrinter):
    """The part of the printer below the clauses of a SELECT."""

    def __init__(self, dialect: Dialect) -> None:
        super().__init__(timezone=dialect.timezone)
        self.dialect = dialect
        self.values: dict[str, Any] = {}
        self.scopes: list[Scope] = []

    def visit(self, node: Node) -> str:
        """Return one node as SQL."""
        kind = node["node"]
        method: Callable[[Node], str] | None = getattr(self, f"_print_{_snake(kind)}", None)
        if method is None:
            raise query_error(
                f"The stand-in does not cover {kind}; simplify the query or extend it"
            )
        return method(node)

    def constant(self, value: Any) -> str:
        """Return a constant: numbers in the text, the rest behind a placeholder."""
        if value is None or isinstance(value, (bool, int, float)):
            return print_value(value)
        print_value(value)
        name = f"hogql_val_{len(self.values)}"
        self.values[name] = value
        return f"%({name})s"

    def list_of(self, keyword: str, nodes: list[Node] | None) -> str:
        """Return a clause that lists expressions, or nothing."""
        return f"{keyword} {', '.join(self.visit(item) for item in nodes)}" if nodes else ""

    def _print_alias(self, node: Node) -> str:
        alias = node["alias"]
        if alias.lower() in _RESERVED:
            raise query_error(
                f'"{alias}" cannot be an alias or identifier, as it\'s a reserved keyword'
            )
        return f"{self.visit(node['expr'])} AS {print_name(alias)}"

    def _print_constant(self, node: Node) -> str:
        value = node["value"]
        # The parser writes what JSON has no number for as text: infinities and 64-bit integers.
        if node.get("value_type") == "number":
            value = int(value) if value.lstrip("-").isdigit() else float(value)
        return self.constant(value)

    def _print_and(self, node: Node) -> str:
        return f"and({', '.join(self.visit(item) for item in node['exprs'])})"

    def _print_or(self, node: Node) -> str:
        return f"or({', '.join(self.visit(item) for item in node['exprs'])})"

    def _print_not(self, node: Node) -> str:
        return f"not({self.visit(node['expr'])})"

    def _print_tuple(self, node: Node) -> str:
        return f"tuple({', '.join(self.visit(item) for item in node['exprs'])})"

    def _print_array(self, node: Node) -> str:
        return f"[{', '.join(self.visit(item) for item in node['exprs'])}]"

    def _print_tuple_access(self, node: Node) -> str:
        if int(node["index"]) == 0:
            raise query_error("SQL indexes start from one, not from zero. E.g: array.1")
        return f"tupleElement({self.visit(node['tuple'])}, {int(node['index'])})"

    def _print_array_access(self, node: Node) -> str:
        key = node["property"]
        if is_property(node) and key["node"] == "Constant" and isinstance(key["value"], str):
            return self._print_field(
                {"node": "Field", "chain": [*node["array"]["chain"], key["value"]]}
            )
        return f"{self.visit(node['array'])}[{self.visit(key)}]"

    def _print_arithmetic_operation(self, node: Node) -> str:
        name = _ARITHMETIC[node["op"]]
        return f"{name}({self.visit(node['left'])}, {self.visit(node['right'])})"

    def _print_order_expr(self, node: Node) -> str:
        return f"{self.visit(node['expr'])} {node['order']}"

    def _print_lambda(self, node: Node) -> str:
        names = self.scopes[-1].lambdas
        names.extend(node["args"])
        body = self.visit(node["expr"])
        del names[-len(node["args"]) :]
        arguments = ", ".join(print_name(name) for name in node["args"])
        return f"({arguments}) -> {body}"

    def _print_between_expr(self, node: Node) -> str:
        parts = [node["expr"], node["low"], node["high"]]
        expression, low, high = (self.visit(part) for part in parts)
        negation = " NOT" if node.get("negated") else ""
        printed = f"{expression}{negation} BETWEEN {low} AND {high}"
        return f"ifNull({printed}, 0)" if any(map(may_be_null, parts)) else f"({printed})"

    def _print_window_function(self, node: Node) -> str:
        name = node["name"]
        if name not in AGGREGATES:
            self.check_function(name)
        arguments = [self.visit(item) for item in (*(node["exprs"] or []), *(node["args"] or []))]
        over = node.get("over_identifier")
        window = f"({self.visit(node['over_expr'])})" if node.get("over_expr") else "()"
        return f"{name}({', '.join(arguments)}) OVER {print_name(over) if over else window}"

    def _print_window_expr(self, node: Node) -> str:
        parts = [
            self.list_of("PARTITION BY", node.get("partition_by")),
            self.list_of("ORDER BY", node.get("order_by")),
        ]
        if method := node.get("frame_method"):
            start, end = node["frame_start"], node.get("frame_end")
            bounds = f"BETWEEN {_frame(start)} AND {_frame(end)}" if end else _frame(start)
            parts.append(f"{method} {bounds}")
        return " ".join(part for part in parts if part)

    # --- comparisons -------------------------------------------------------------------------

    def _print_compare_operation(self, node: Node) -> str:
        op, left, right = node["op"], node["left"], node["right"]
        if op in _RANGES and self.call_depth == 0 and self.scopes[-1].in_where:
            left, right = self._in_project_zone(left, right), self._in_project_zone(right, left)
        return self.compare(op, left, right)

    def compare(self, op: str, left: Node, right: Node) -> str:
        """Return a comparison that treats NULL as HogQL does: as a value like any other."""
        printed_left, printed_right = self.visit(left), self.visit(right)
        if op in _MATCHES:
            printed = _MATCHES[op].format(left=printed_left, right=printed_right)
        elif op in _COMPARE:
            printed = f"{_COMPARE[op]}({printed_left}, {printed_right})"
        else:
            raise query_error(f"The stand-in does not cover the operator {op.upper()}")
        if "in" in op.split() or self.scopes[-1].in_join or not _needs_guard(left, right):
            return printed
        return _guarded(op, printed, (left, printed_left), (right, printed_right))

    def _in_project_zone(self, node: Node, other: Node) -> Node:
        # HogQL moves the column's zone to the constant, so a bare string is project-local time.
        if node["node"] != "Constant" or kind_of(other) != "datetime" or other["node"] != "Field":
            return node
        zone = {"node": "Constant", "value": self.timezone}
        digits = {"node": "Constant", "value": 6}
        return {"node": "Call", "name": "toDateTime64", "args": [node, digits, zone]}

    # --- fields ------------------------------------------------------------------------------

    def _print_field(self, node: Node) -> str:
        chain = list(node["chain"])
        scope = self.scopes[-1]
        if len(chain) == 1 and chain[0] in scope.lambdas:
            return print_name(chain[0])
        prefix = [chain.pop(0)] if len(chain) > 1 and chain[0] in scope.tables else []
        if chain[0] == "person" and "events" in scope.tables.values():
            chain = self._person_chain(chain)
        if chain[0] in {"properties", "person__properties"} and len(chain) > 1:
            return self._property(prefix + chain[:1], chain[1:])
        return ".".join(print_name(str(part)) for part in prefix + chain)

    def _person_chain(self, chain: list[Any]) -> list[Any]:
        if len(chain) == 1:
            raise query_error("Can't select a table when a column is expected: person")
        if chain[1] not in _PERSON_COLUMNS:
            raise query_error(f"Field not found: {chain[1]}")
        return [f"person__{chain[1]}", *chain[2:]]

    def _property(self, column: list[Any], path: list[Any]) -> str:
        if 0 in path:
            raise query_error("SQL indexes start from one, not from zero. E.g: array.1")
        source = ".".join(print_name(str(part)) for part in column)
        keys = ", ".join(self.constant(part) for part in path)
        raw = f"JSONExtractRaw({source}, {keys})"
        quotes = self.constant('^"|"$')
        text = f"replaceRegexpAll(nullIf(nullIf({raw}, ''), 'null'), {quotes}, '')"
        if len(path) > 1 or self.wants_text:
            return text
        return self._typed(text, self.dialect.property_types.get(str(path[0]), "String"))

    def _typed(self, text: str, property_type: str) -> str:
        match property_type:
            case "Numeric":
                return f"accurateCastOrNull({text}, 'Float64')"
            case "Boolean":
                return f"toBool(transform(toString({text}), ['true', 'false'], [1, 0], NULL))"
            case "DateTime":
                return f"parseDateTime64BestEffortOrNull({text}, 6, {self.constant(self.timezone)})"
        return text


def _snake(kind: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind).lower()


def _frame(node: Node) -> str:
    if node["frame_type"] == "CURRENT ROW":
        return "CURRENT ROW"
    value = node.get("frame_value")
    return f"{'UNBOUNDED' if value is None else int(value)} {node['frame_type']}"


def _needs_guard(left: Node, right: Node) -> bool:
    if any(kind_of(side) == "datetime" and side["node"] == "Field" for side in (left, right)):
        return False
    return may_be_null(left) or may_be_null(right)


def _guarded(op: str, printed: str, left: tuple[Node, str], right: tuple[Node, str]) -> str:
    # A range is false when a side is NULL; equality holds when both are; inequality when one is.
    if op in _RANGES:
        return f"ifNull({printed}, 0)"
    is_negative = op.startswith(("!", "not"))
    for (node, _), (_, other) in ((right, left), (left, right)):
        if node["node"] == "Constant":
            if node["value"] is None:
                return f"isNotNull({other})" if is_negative else f"isNull({other})"
            return f"ifNull({printed}, {1 if is_negative else 0})"
    if is_negative:
        return f"ifNull({printed}, isNotNull({left[1]}) or isNotNull({right[1]}))"
    return f"ifNull({printed}, isNull({left[1]}) and isNull({right[1]}))"
