"""The table of all trials: sums, what is broken, and the exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults import __main__ as command
from tests.faults import areas
from tests.faults.areas import AREAS, together
from tests.faults.tally import Tally


def tally(**given: object) -> Tally:
    return Tally(**{"what": "x", "runs": 3, "exact": 2, "declared": 1, **given})


def test_together_adds_counts_and_takes_the_slowest() -> None:
    first = tally(figures={"recovered": 1, "slowest run, s": 2.0, "kind": "a"})
    second = tally(runs=4, broken=["b"], figures={"recovered": 2, "slowest run, s": 1.5})
    both = together([first, second])
    assert (both.runs, both.exact, both.declared, both.broken) == (7, 4, 2, ["b"])
    assert both.figures == {"recovered": 3, "slowest run, s": 2.0, "kind": "a"}
    assert not both.is_good


@pytest.mark.parametrize(("broken", "code"), [([], 0), (["lost: 1 event\nmore"], 1)])
def test_main_writes_the_table_and_says_whether_all_is_well(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    broken: list[str],
    code: int,
) -> None:
    asked: list[int] = []

    def tally_of(area: areas.Area, *, size: int, **_: object) -> Tally:
        asked.append(size)
        return tally(runs=3 + len(broken), broken=list(broken), figures={"scenarios": 9})

    monkeypatch.setattr(command, "tally_of", tally_of)
    file = tmp_path / "table.md"
    arguments = ["--only", "scenarios", "--quick", "--write", str(file)]
    assert command.main(arguments) == code
    page = file.read_text()
    assert page == capsys.readouterr().out
    assert asked == [next(area.quick for area in AREAS if area.name == "scenarios")]
    assert "| Faults of network, servers, cache and clock |" in page
    assert "scenarios: 9" in page
    assert str(tmp_path) not in page
    assert ("lost: 1 event" in page) is bool(broken)


def test_areas_name_modules_once() -> None:
    names = [area.name for area in AREAS]
    assert len(set(names)) == len(names)
    assert {"scenarios", "guards"} <= {area.name for area in AREAS if area.is_there}
