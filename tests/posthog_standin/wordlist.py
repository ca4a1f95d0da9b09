"""Sets of names, written as running text so that hundreds of them stay readable."""

from __future__ import annotations


def words(text: str) -> frozenset[str]:
    """Return the words of a text as a set."""
    return frozenset(text.split())
