"""HogQL's syntax tree as ClickHouse SQL over this stand-in's views.

The views carry the meaning (team, time zone, who a person is now); what is done here is what
PostHog's printer does on top: which functions, columns and tables exist, property access,
constants out of the text, NULL-safe comparisons, time zones and row limits.
Source: posthog/hogql/printer/base.py@0044ace, clickhouse.py@002b82d, property_types.py@0019844.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from .errors import query_error
from .expressions import Dialect, ExpressionPrinter, Scope
from .literals import print_name, print_value
from .parsing import Node, walk_select

_EVENT_COLUMNS: Final = (
    "uuid",
    "event",
    "properties",
    "timestamp",
    "distinct_id",
    "elements_chain",
    "created_at",
    "$session_id",
    "$window_id",
)
_STARS: Final[Mapping[str, tuple[str, ...]]] = {
    "events": _EVENT_COLUMNS,
    "persons": ("id", "created_at", "properties", "is_identified"),
    "person_distinct_ids": ("distinct_id", "person_id"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed:
    """A query ready to run.

    Attributes:
        template: the SQL with `%(hogql_val_0)s` where constants stand, as PostHog reports it.
        values: those constants.
        columns: the names of the result's columns; None where only ClickHouse knows them.
        page: rows of a page where the query has no LIMIT (one more is asked for), else None.
    """

    template: str
    values: Mapping[str, Any]
    columns: tuple[str, ...] | None
    page: int | None

    @property
    def sql(self) -> str:
        """The SQL with the constants in it."""
        return self.template % {name: print_value(value) for name, value in self.values.items()}


class Printer(ExpressionPrinter):
    """Prints one query; not to be used twice."""

    def __init__(self, dialect: Dialect, text: str) -> None:
        super().__init__(dialect)
        self._text = text

    # --- entry -------------------------------------------------------------------------------

    def print_query(self, tree: Node) -> Printed:
        """Return the whole query as SQL.

        Raises:
            Refusal: 400 for what HogQL refuses.
        """
        is_paged = tree["node"] == "SelectQuery" and tree.get("limit") is None
        template = self._set_query(tree, "branch") if _is_set(tree) else self._select(tree, "top")
        return Printed(
            template=template,
            values=self.values,
            columns=None if _is_set(tree) else self._column_names(tree),
            page=self.dialect.default_rows if is_paged else None,
        )

    # --- selects -----------------------------------------------------------------------------

    def _print_select_query(self, node: Node) -> str:
        return f"({self._select(node, 'inner')})"

    def _print_select_set_query(self, node: Node) -> str:
        return f"({self._set_query(node, 'inner')})"

    def _set_query(self, node: Node, place: str) -> str:
        parts = [self._branch(node["initial_select_query"], place)]
        for other in node["subsequent_select_queries"]:
            parts += [other["set_operator"], self._branch(other["select_query"], place)]
        if node.get("limit") is not None:
            parts.append(f"LIMIT {self._limit(node['limit'])}")
        return " ".join(parts)

    def _branch(self, node: Node, place: str) -> str:
        if _is_set(node):
            return f"({self._set_query(node, place)})"
        return f"({self._select(node, place)})"

    def _select(self, node: Node, place: str) -> str:
        outer = self.scopes[-1] if self.scopes else Scope()
        scope = Scope(ctes=set(outer.ctes), lambdas=list(outer.lambdas))
        self.scopes.append(scope)
        outside = self.call_depth, self.aggregate, self.wants_text
        self.call_depth, self.aggregate, self.wants_text = 0, None, False
        try:
            return " ".join(clause for clause in self._clauses(node, place) if clause)
        finally:
            self.call_depth, self.aggregate, self.wants_text = outside
            self.scopes.pop()

    def _clauses(self, node: Node, place: str) -> list[str]:
        for option in ("limit_percent", "interpolate"):
            if node.get(option):
                raise query_error(f"The stand-in does not cover {option}")
        ctes = self._ctes(node.get("ctes") or [])
        source = self._from(node)
        distinct = "DISTINCT " if node.get("distinct") else ""
        return [
            ctes,
            f"SELECT {distinct}{', '.join(self._columns(node['select']))}",
            source,
            self._array_join(node),
            self._where(node),
            self._group_by(node),
            self._clause("HAVING", node.get("having")),
            self._windows(node),
            self._clause("QUALIFY", node.get("qualify")),
            self.list_of("ORDER BY", node.get("order_by")),
            self._limit_by(node.get("limit_by")),
            self._limit_clause(node, place),
        ]

    def _ctes(self, ctes: list[Node]) -> str:
        printed = []
        for cte in ctes:
            if cte.get("recursive"):
                raise query_error("The stand-in does not cover recursive CTEs")
            name, expression = print_name(cte["name"]), self.visit(cte["expr"])
            if cte["cte_type"] == "column":
                printed.append(f"{expression} AS {name}")
            else:
                printed.append(f"{name} AS {expression}")
                self.scopes[-1].ctes.add(cte["name"])
        return f"WITH {', '.join(printed)}" if printed else ""

    def _columns(self, select: list[Node]) -> list[str]:
        taken = {item["alias"] for item in select if item["node"] == "Alias"}
        return [self._column(item, taken) for item in select]

    def _column(self, item: Node, taken: set[str]) -> str:
        if item["node"] == "Field" and item["chain"][-1] == "*":
            return self._star(item["chain"])
        printed = self.visit(item)
        # HogQL names a selected field after the last part of its chain.
        if item["node"] == "Field" and len(item["chain"]) > 1 and item["chain"][-1] not in taken:
            return f"{printed} AS {print_name(str(item['chain'][-1]))}"
        return printed

    def _star(self, chain: list[Any]) -> str:
        tables = self.scopes[-1].tables
        wanted = chain[:-1] or list(tables)[:1]
        known = _STARS.get(tables.get(str(wanted[0]), "")) if wanted else None
        if known is None or (len(chain) == 1 and len(tables) > 1):
            return ".".join([*(print_name(str(part)) for part in chain[:-1]), "*"])
        prefix = print_name(str(wanted[0]))
        return ", ".join(f"{prefix}.{print_name(name)} AS {print_name(name)}" for name in known)

    def _column_names(self, node: Node) -> tuple[str, ...] | None:
        names: list[str] = []
        for item in node["select"]:
            if item["node"] == "Field" and item["chain"][-1] == "*":
                return None
            names.append(self._column_name(item))
        return tuple(names)

    def _column_name(self, item: Node) -> str:
        if item["node"] == "Alias":
            return str(item["alias"])
        if item["node"] == "Field":
            return str(item["chain"][-1])
        start, end = item.get("start"), item.get("end")
        return (
            self._text[start["offset"] : end["offset"]].strip() if start and end else item["node"]
        )

    def _where(self, node: Node) -> str:
        self.scopes[-1].in_where = True
        parts = [self.visit(node[key]) for key in ("prewhere", "where") if node.get(key)]
        self.scopes[-1].in_where = False
        if not parts:
            return ""
        return f"WHERE {parts[0]}" if len(parts) == 1 else f"WHERE and({', '.join(parts)})"

    def _group_by(self, node: Node) -> str:
        mode = node.get("group_by_mode")
        if mode == "all":
            return "GROUP BY ALL"
        if mode:
            raise query_error(f"The stand-in does not cover GROUP BY {mode}")
        return self.list_of("GROUP BY", node.get("group_by"))

    def _windows(self, node: Node) -> str:
        windows = node.get("window_exprs") or {}
        printed = [f"{print_name(name)} AS ({self.visit(w)})" for name, w in windows.items()]
        return f"WINDOW {', '.join(printed)}" if printed else ""

    def _clause(self, keyword: str, node: Node | None) -> str:
        return f"{keyword} {self.visit(node)}" if node else ""

    def _limit_by(self, node: Node | None) -> str:
        if not node:
            return ""
        keys = ", ".join(self.visit(item) for item in node["exprs"])
        return f"LIMIT {self.visit(node['n'])} BY {keys}"

    def _limit_clause(self, node: Node, place: str) -> str:
        limit = node.get("limit")
        ties = " WITH TIES" if node.get("limit_with_ties") else ""
        if place == "inner":
            return f"LIMIT {self.visit(limit)}{ties}" if limit else ""
        if limit is not None:
            return f"LIMIT {self._limit(limit)}{ties}"
        # One row more than the page tells whether there are others; branches of a UNION get
        # the default each and are not paged.
        return f"LIMIT {self.dialect.default_rows + (1 if place == 'top' else 0)}"

    def _limit(self, limit: Node) -> str:
        if limit["node"] == "Constant" and isinstance(limit["value"], int):
            return str(min(limit["value"], self.dialect.max_rows))
        return f"min2({self.dialect.max_rows}, {self.visit(limit)})"

    # --- FROM --------------------------------------------------------------------------------

    def _from(self, node: Node) -> str:
        join = node.get("select_from")
        if not join:
            return ""
        self._declare(join)
        self.scopes[-1].needs_person = _names_a_person(node)
        parts = ["FROM"]
        while join:
            parts.append(self._join(join))
            join = join.get("next_join")
        return " ".join(parts)

    def _declare(self, join: Node | None) -> None:
        while join:
            table = join["table"]
            name = table["chain"][-1] if table["node"] == "Field" else ""
            is_cte = name in self.scopes[-1].ctes
            self.scopes[-1].tables[join.get("alias") or str(name)] = "" if is_cte else str(name)
            join = join.get("next_join")

    def _join(self, join: Node) -> str:
        if join.get("table_final"):
            raise query_error(
                "The FINAL keyword is not supported in HogQL as it causes slow queries"
            )
        if join.get("sample"):
            raise query_error("The stand-in does not cover SAMPLE")
        parts = [join.get("join_type") or "", self._table(join)]
        if constraint := join.get("constraint"):
            self.scopes[-1].in_join = True
            parts.append(f"{constraint['constraint_type']} {self.visit(constraint['expr'])}")
            self.scopes[-1].in_join = False
        return " ".join(part for part in parts if part)

    def _table(self, join: Node) -> str:
        table, alias = join["table"], join.get("alias")
        if table["node"] != "Field":
            inner = self.visit(table)
            return f"{inner} AS {print_name(alias)}" if alias else inner
        name = ".".join(str(part) for part in table["chain"])
        if name in self.scopes[-1].ctes:
            printed = print_name(name)
        elif name == "numbers":
            printed = f"numbers({', '.join(self.visit(item) for item in join['table_args'])})"
        else:
            printed = self._view(name)
        return f"{printed} AS {print_name(alias or name)}"

    def _view(self, name: str) -> str:
        if name not in _STARS:
            raise query_error(f'Unknown table "{name}".')
        if name == "events" and self.scopes[-1].needs_person:
            return self.dialect.views["events+person"]
        return self.dialect.views[name]

    def _array_join(self, node: Node) -> str:
        if not node.get("array_join_op"):
            return ""
        return self.list_of(node["array_join_op"], node["array_join_list"])


def _is_set(node: Node) -> bool:
    return bool(node["node"] == "SelectSetQuery")


def _names_a_person(select: Node) -> bool:
    # As in PostHog, the overrides are joined only where the query asks who somebody is.
    chains = (node["chain"] for node in walk_select(select) if node["node"] == "Field")
    return any(part in {"person_id", "person"} for chain in chains for part in chain)
