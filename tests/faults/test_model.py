"""A few of the model's sequences; `python -m tests.faults` runs thousands."""

from __future__ import annotations

from tests.faults import model


def test_source_over_a_store_agrees_with_the_ledger() -> None:
    tally = model.run(size=40, seed=20261123)
    assert tally.broken == []
    assert tally.is_good
    assert tally.runs >= 40
    for what in ("exact", "partial", "refused", "kills", "harmed"):
        assert tally.figures[what], what
