"""Some hundred damaged cache folders; `python -m tests.faults` reads thousands."""

from __future__ import annotations

from tests.faults import damage


def test_store_over_a_damaged_folder_is_right_or_misses() -> None:
    tally = damage.run(size=250, seed=20261123)
    assert tally.broken == []
    assert tally.is_good
    assert tally.exact > 20
    assert tally.declared > 80
    assert tally.figures["rebuilt"]
