"""HogQL text to a syntax tree, by PostHog's own parser, with the rules a user's query must obey.

The tree stays what the parser hands out: nested dicts, each with its kind under "node".
"""

from __future__ import annotations

import functools
import json
import sys
import types
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from .errors import query_error, server_error, syntax_error

Node: TypeAlias = dict[str, Any]

OFFSET_REFUSED: Final = (
    "OFFSET is not supported on queries made with a personal API key. For pagination, use keyset "
    "pagination on the `timestamp` column, e.g. `WHERE timestamp > :last_seen_timestamp ORDER BY "
    "timestamp LIMIT N`. For bulk data extraction, use batch exports: "
    "https://posthog.com/docs/cdp/batch-exports"
)


def _load_parser() -> types.ModuleType:
    # hogql_parser looks its exception classes up in PostHog's own package, which is not
    # published; empty modules of that name satisfy it, because it reports errors in its JSON.
    for name in ("posthog", "posthog.hogql", "posthog.hogql.errors"):
        sys.modules.setdefault(name, types.ModuleType(name))
    import hogql_parser

    return hogql_parser


_PARSER: Final = _load_parser()


@functools.lru_cache(maxsize=256)
def parse_select(text: str) -> Node:
    """Return the syntax tree of a SELECT, not to be changed.

    Kept by text, because the parser takes a quarter of a second for a long query.

    Raises:
        Refusal: 400 for what is no HogQL; 500 for what PostHog's parser knows but does not
            support (SETTINGS, DATE literals), which it raises as an internal error.
    """
    tree: Node = json.loads(_PARSER.parse_select_json(text))
    if not tree.get("error"):
        return tree
    if tree["type"] == "SyntaxError":
        raise syntax_error(tree["message"])
    raise server_error("A server error occurred.")


def children(node: Any) -> Iterator[Any]:
    """Yield what stands directly below a node or a list."""
    if isinstance(node, dict):
        yield from node.values()
    elif isinstance(node, list):
        yield from node


def walk(node: Any) -> Iterator[Node]:
    """Yield every node of the tree, itself included."""
    if isinstance(node, dict) and "node" in node:
        yield node
    for child in children(node):
        if isinstance(child, (dict, list)):
            yield from walk(child)


def walk_select(select: Node) -> Iterator[Node]:
    """Yield the nodes of one SELECT without those of the SELECTs inside it."""
    for child in children(select):
        if isinstance(child, (dict, list)):
            yield from _walk_level(child)


def _walk_level(node: Any) -> Iterator[Node]:
    if isinstance(node, dict) and node.get("node") in {"SelectQuery", "SelectSetQuery"}:
        return
    if isinstance(node, dict) and "node" in node:
        yield node
    for child in children(node):
        if isinstance(child, (dict, list)):
            yield from _walk_level(child)


def fill_placeholders(tree: Any, values: Mapping[str, Any] | None) -> Any:
    """Return the tree with each `{name}` replaced by the constant of that name.

    Raises:
        Refusal: 400 for a name that `values` does not have.
    """
    if isinstance(tree, list):
        return [fill_placeholders(child, values) for child in tree]
    if not isinstance(tree, dict):
        return tree
    if tree.get("node") == "Placeholder":
        return _constant(tree, values)
    return {key: fill_placeholders(child, values) for key, child in tree.items()}


def _constant(placeholder: Node, values: Mapping[str, Any] | None) -> Node:
    expression = placeholder["expr"]
    if expression.get("node") != "Field":
        raise query_error("Placeholder expressions are not yet supported")
    name = ".".join(str(part) for part in expression["chain"])
    if not values:
        raise query_error(f"Unresolved placeholder: {{{name}}}")
    if name not in values:
        known = ", ".join(values)
        raise query_error(
            f"Placeholder {{{name}}} is not available in this context. "
            f"You can use the following: {known}"
        )
    place: Node = {key: placeholder[key] for key in ("start", "end") if key in placeholder}
    return {"node": "Constant", "value": values[name], **place}


def refuse_offset(tree: Node) -> None:
    """Refuse OFFSET anywhere, as PostHog does for queries made with a personal key.

    Raises:
        Refusal: 400 `hogql_query_error`.
    """
    for node in walk(tree):
        limit_by = node.get("limit_by") or {}
        if node.get("offset") is not None or limit_by.get("offset_value") is not None:
            raise query_error(OFFSET_REFUSED)
