"""What a check of a connection, a table or a permission found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at.

    Attributes:
        what: What was looked at, in a few words.
        ok: True where it is right, False where nothing can be computed with it, None for advice.
        words: What was found, and what to do about it where something is to be done.
    """

    what: str
    ok: bool | None
    words: str
