"""YAML as JSON means it: mappings, lists and plain scalars, bounded, nothing executed.

Only `true`, `false`, `null` and decimal numbers are other than text, so that `no`, `09:00`, `012`
and `2026-09-01` stay what is written. Anchors, tags and repeated keys are refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from core.errors import DataError

DEEPEST = 20
MOST_NODES = 10_000
_LONGEST_REASON = 100
KeyPath = tuple[str | int, ...]
_WORDS: dict[str, bool | None] = {
    "true": True, "True": True, "false": False, "False": False, "null": None, "~": None, "": None,
}  # fmt: skip
_WHOLE = re.compile(r"[-+]?(?:0|[1-9]\d{0,14})")
_DECIMAL = re.compile(r"[-+]?(?:0|[1-9]\d{0,14})\.\d{1,15}")


class TextFault(DataError):  # noqa: N818 - reads as what it is
    """A text is not what is expected of it: its message says why, `line` where if known."""

    def __init__(self, what: str, line: int | None = None) -> None:
        super().__init__(what)
        self.line = line


@dataclass(slots=True)
class PlainDocument:
    """What a text holds.

    Attributes:
        value: Its mappings, lists and scalars.
        lines: The line, counted from 1, at which the value at each path begins.
    """

    value: Any = None
    lines: dict[KeyPath, int] = field(default_factory=dict)


def read_yaml(text: str) -> PlainDocument:
    """Return the one document of a YAML text.

    Raises:
        TextFault: It is not YAML, or not as plain or as small as it must be.
    """
    try:
        loader = _PlainLoader(text)
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        said = (error.problem or error.context or "")[:_LONGEST_REASON]
        raise TextFault(f"is not valid YAML: {said}", line) from None
    except (yaml.YAMLError, ValueError, OverflowError):  # of an escape that is no character
        raise TextFault("holds characters that YAML does not allow") from None
    document = PlainDocument()
    if node is not None:
        document.value = _value(node, (), document.lines)
    return document


def _value(node: yaml.Node, path: KeyPath, lines: dict[KeyPath, int]) -> Any:  # noqa: ANN401
    """Return what a node holds, noting the lines of what is below it."""
    lines[path] = node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*path, i), lines) for i, item in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = _key(key_node)
            if key in found:
                raise TextFault(f"repeats the key {key[:40]!r}", key_node.start_mark.line + 1)
            found[key] = _value(value_node, (*path, key), lines)
        return found
    return _scalar(node) if isinstance(node, yaml.ScalarNode) else None


def _key(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise TextFault("has a key that is no text", node.start_mark.line + 1)
    return _text(node)


def _text(node: yaml.ScalarNode) -> str:
    """Return a scalar's text, pairs of escapes made the one character they stand for."""
    try:
        return str(node.value).encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise TextFault("holds half a character", node.start_mark.line + 1) from None


def _scalar(node: yaml.ScalarNode) -> str | int | float | bool | None:
    text = _text(node)
    if node.style is not None:  # quoted, or a block
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _DECIMAL.fullmatch(text) else text


class _PlainLoader(yaml.SafeLoader):
    """Composes nodes without anchors and tags, and not too many of them."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._n_nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:  # noqa: ANN401
        """Compose a node, once it is as plain as it must be."""
        told = self.peek_event()  # type: ignore[no-untyped-call]
        line = told.start_mark.line + 1
        if isinstance(told, yaml.AliasEvent) or getattr(told, "anchor", None):
            raise TextFault("uses an anchor or alias (& or *): write it out", line)
        if getattr(told, "tag", None):
            raise TextFault("uses a tag (!): remove it", line)
        self._depth += 1
        self._n_nodes += 1
        if self._depth > DEEPEST or self._n_nodes > MOST_NODES:
            raise TextFault("is nested too deep, or holds too much", line)
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node
