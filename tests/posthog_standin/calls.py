"""Function calls: who may be called, with what, and what ClickHouse is told instead."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import Any, Final

from .errors import query_error
from .hogql_functions import (
    AGGREGATES,
    COMPARISONS,
    TIMEZONE_AWARE,
    WITHOUT_PARAMETERS,
    Function,
    closest_name,
    find_function,
)
from .kinds import kind_of
from .parsing import Node

# These parse text themselves, so HogQL hands them an untyped property.
_TEXT_READERS: Final = frozenset({"toFloatOrZero", "toIntOrZero", "toFloatOrDefault"})
_NEEDS_PRECISION: Final = frozenset(
    {
        "parseDateTime64BestEffortOrNull",
        "parseDateTime64BestEffortUSOrNull",
        "parseDateTime64BestEffort",
        "toDateTime64",
    }
)
_WITH_FRACTION: Final = re.compile(r"^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}\.\d{1,6}$")
_TO_THE_SECOND: Final = re.compile(r"^\d{4}-\d{2}-\d{2}( \d{2}:\d{2}:\d{2})?$")
_TRIMS: Final = {"trim": "BOTH", "trimLeft": "LEADING", "trimRight": "TRAILING"}


class CallPrinter(ABC):
    """The part of the printer that knows functions."""

    def __init__(self, *, timezone: str) -> None:
        self.timezone = timezone
        self.call_depth = 0
        self.wants_text = False
        self.aggregate: str | None = None

    @abstractmethod
    def visit(self, node: Node) -> str:
        """Return one node as SQL."""

    @abstractmethod
    def constant(self, value: Any) -> str:
        """Return a constant as SQL."""

    @abstractmethod
    def compare(self, op: str, left: Node, right: Node) -> str:
        """Return a comparison as SQL."""

    def check_function(self, name: str) -> Function:
        """Return the function of that name.

        Raises:
            Refusal: 400, naming the nearest permitted function.
        """
        function = find_function(name)
        if function is not None:
            return function
        hint = closest_name(name)
        ending = f". Perhaps you meant '{hint}(...)'?" if hint else ""
        raise query_error(f"Unsupported function call '{name}(...)'{ending}")

    def _print_call(self, node: Node) -> str:
        name = node["name"]
        if name == "_caseWithExpression":
            return self._case(node["args"])
        if name in COMPARISONS:
            return self._comparison(node)
        function = self.check_function(name)
        _check_counts(node, function)
        if node.get("order_by"):
            raise query_error("The stand-in does not cover ORDER BY inside a function")
        arguments = self._arguments(node, function)
        printed = self._call(node, function, arguments)
        if filter_expression := node.get("filter_expr"):
            return f"{printed} FILTER (WHERE {self.visit(filter_expression)})"
        return printed

    def _case(self, arguments: list[Node]) -> str:
        subject, *pairs, otherwise = (self.visit(item) for item in arguments)
        keys, results = ", ".join(pairs[::2]), ", ".join(pairs[1::2])
        return f"transform({subject}, [{keys}], [{results}], {otherwise})"

    def _comparison(self, node: Node) -> str:
        if len(node["args"]) != 2:
            raise query_error(f"Comparison '{node['name']}' requires exactly two arguments")
        self.call_depth += 1
        printed = self.compare(COMPARISONS[node["name"]], *node["args"])
        self.call_depth -= 1
        return printed

    def _arguments(self, node: Node, function: Function) -> list[str]:
        outer = self.aggregate, self.wants_text
        if function.is_aggregate:
            if self.aggregate:
                raise query_error(
                    f"Aggregation '{node['name']}' cannot be nested inside another aggregation "
                    f"'{self.aggregate}'."
                )
            self.aggregate = node["name"]
        self.wants_text = node["name"] in _TEXT_READERS
        self.call_depth += 1
        try:
            return [self.visit(item) for item in node["args"]]
        finally:
            self.call_depth -= 1
            self.aggregate, self.wants_text = outer

    def _call(self, node: Node, function: Function, arguments: list[str]) -> str:
        name, clickhouse = node["name"], function.clickhouse
        if name in TIMEZONE_AWARE:
            clickhouse, arguments = self._in_zone(node, function, arguments)
        elif name in {"toDate", "to_date"}:
            is_time = kind_of(node["args"][0]) in {"date", "datetime"}
            clickhouse = "toDate" if is_time else clickhouse
        elif name == "concat":
            arguments = [f"ifNull(toString({item}), '')" for item in arguments]
        elif name == "toStartOfWeek" and len(arguments) == 1:
            arguments = [*arguments, "0"]
        elif clickhouse in _TRIMS and len(arguments) == 2:
            return f"trim({_TRIMS[clickhouse]} {arguments[1]} FROM {arguments[0]})"
        arguments = [*arguments, *(f"'{target}'" for target in function.suffix)]
        params = node.get("params")
        head = f"({', '.join(self.visit(item) for item in params)})" if params else ""
        distinct = "DISTINCT " if node.get("distinct") else ""
        return f"{clickhouse}{head}({distinct}{', '.join(arguments)})"

    def _in_zone(
        self, node: Node, function: Function, arguments: list[str]
    ) -> tuple[str, list[str]]:
        """Give a function of time the project's zone and, where it must have one, a precision."""
        given, clickhouse = node["args"], function.clickhouse
        if node["name"] == "toDateTime" and kind_of(given[0]) in {"date", "datetime", "int"}:
            clickhouse = "toDateTime"
        has_zone = len(given) == function.max_args
        if not has_zone or not given:
            arguments = [*arguments, self.constant(self.timezone)]
        if clickhouse == "parseDateTime64BestEffortOrNull" and len(given) == 1:
            clickhouse = _for_constant(given[0])
        own = len(given) - (1 if has_zone and given else 0)
        if (clickhouse == "now64" and own == 0) or (clickhouse in _NEEDS_PRECISION and own == 1):
            arguments = [*arguments[:-1], "6", arguments[-1]]
        return clickhouse, arguments


def _for_constant(node: Node) -> str:
    """Return the strictest parser that reads a constant string; PostHog picks it for speed."""
    if node["node"] != "Constant" or not isinstance(node["value"], str):
        return "parseDateTime64BestEffortOrNull"
    if _WITH_FRACTION.match(node["value"]):
        return "toDateTime64"
    if _TO_THE_SECOND.match(node["value"]):
        return "toDateTime"
    return "parseDateTime64BestEffort"


def _check_counts(node: Node, function: Function) -> None:
    term = "aggregation" if function.is_aggregate else "function"
    _check_count(node, term, "argument", (len(node["args"]), function.min_args, function.max_args))
    params = node.get("params")
    if function.min_params:
        if params is None:
            raise query_error(
                f"{term.capitalize()} '{node['name']}' requires parameters in addition to arguments"
            )
        found = (len(params), function.min_params, function.max_params)
        _check_count(node, term, "parameter", found)
    elif params and (node["name"] in WITHOUT_PARAMETERS or node["name"] not in AGGREGATES):
        _check_count(node, term, "parameter", (len(params), 0, 0))


def _check_count(node: Node, term: str, what: str, found: tuple[int, int, int | None]) -> None:
    count, fewest, most = found
    if fewest <= count and (most is None or count <= most):
        return
    if fewest == most:
        wanted, number = str(fewest), fewest
    elif count < fewest:
        wanted, number = f"at least {fewest}", fewest
    else:
        wanted, number = f"at most {most}", most or 0
    plural = "" if number == 1 else "s"
    raise query_error(
        f"{term.capitalize()} '{node['name']}' expects {wanted} {what}{plural}, found {count}"
    )
