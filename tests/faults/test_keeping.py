"""What is kept is read again, and only what is missing is made."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults import keeping
from tests.faults.areas import Area
from tests.faults.tally import Tally

WHOLE = Area(name="whole", what="x", size=9, quick=1)
SPLIT = Area(name="split", what="x", size=9, quick=1, is_split=True)


def test_tally_of_makes_each_block_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made: list[tuple[str, int, int]] = []

    def run_area(area: Area, *, size: int, seed: int, workers: int) -> Tally:
        made.append((area.name, seed, size))
        return Tally(what=area.what, runs=size, exact=size, figures={"slowest": seed}, seconds=1.0)

    monkeypatch.setattr(keeping, "run_area", run_area)
    for _ in range(2):
        split = keeping.tally_of(SPLIT, size=12, seed=0, workers=2, folder=tmp_path)
        whole = keeping.tally_of(WHOLE, size=12, seed=3, workers=2, folder=tmp_path)
        assert (split.runs, split.exact, split.seconds, split.figures) == (
            12,
            12,
            3.0,
            {"slowest": 10},
        )
        assert whole.runs == 12
    assert made == [("split", 0, 5), ("split", 5, 5), ("split", 10, 2), ("whole", 3, 12)]
    keeping.tally_of(WHOLE, size=12, seed=3, workers=2, folder=None)
    assert made[-1] == ("whole", 3, 12)
