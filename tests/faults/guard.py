"""One guard against wrong data or a leak, and the ways to switch it off."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Disabled = Callable[[Any], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """One check, limit or escape whose removal would allow wrong data or a leak.

    Attributes:
        name: What it guards against, in a few words.
        target: "module:attribute" or "module:Class.attribute".
        disabled: Takes the attribute and returns what does not guard any more.
        tests: Test ids of which at least one must then fail.
    """

    name: str
    target: str
    disabled: Disabled
    tests: Sequence[str]


def instead(value: object) -> Disabled:
    """Return what replaces anything by a value."""
    return lambda _: value


def returning(value: object) -> Disabled:
    """Return what replaces a function by one that always returns a value."""
    return lambda _: lambda *_args, **_more: value


def unchanged(_: object) -> Callable[..., Any]:
    """Return a function that returns its first argument as it is."""
    return lambda first, *_args, **_more: first


def without(text: str, replacement: str = "") -> Disabled:
    """Return what replaces a part of a text; the part must be there."""

    def disabled(original: str) -> str:
        if text not in original:
            raise LookupError(f"{text!r} is not in the text to be changed")
        return original.replace(text, replacement)

    return disabled


def blind_to(*complaints: str) -> Disabled:
    """Return what makes `_require(is_right, what)` overlook some complaints."""

    def disabled(original: Callable[[bool, str], None]) -> Callable[[bool, str], None]:
        def require(is_right: bool, what: str) -> None:  # noqa: FBT001 - as the original
            original(is_right or any(one in what for one in complaints), what)

        return require

    return disabled


def endless(_: object) -> object:
    @contextlib.contextmanager
    def shutting(*_args: object, **_more: object) -> Any:
        yield

    return shutting
