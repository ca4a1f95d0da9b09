"""How one kind of trial went: what every part of `python -m tests.faults` returns."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Tally:
    """Trials of one kind and their outcomes.

    Attributes:
        what: What was tried, in a few words.
        runs: Trials made.
        exact: Trials whose result equals the ledger of true events.
        declared: Trials that named what is missing, or refused with a typed error.
        broken: What the other trials did, a sentence each: lost, doubled, silent, untyped.
        figures: Further counts for the table, in words.
        seconds: Time all of them took.
    """

    what: str
    runs: int = 0
    exact: int = 0
    declared: int = 0
    broken: list[str] = field(default_factory=list)
    figures: dict[str, int | float | str] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def is_good(self) -> bool:
        """Return whether every trial made ended as it must."""
        return self.runs > 0 and not self.broken and self.exact + self.declared == self.runs
