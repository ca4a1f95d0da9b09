"""A few kills, and several processes at once; `python -m tests.faults` kills a hundred."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults import kills


def test_a_killed_run_goes_on_with_the_same_result() -> None:
    tally = kills.run(size=6, seed=20261123)
    assert tally.broken == []
    assert tally.is_good
    assert tally.figures["kills"] == 6


@pytest.fixture(scope="module")
def tried() -> Iterator[kills.Trials]:
    with kills.trials() as tried:
        yield tried


def test_processes_and_threads_ask_for_each_slice_once(tried: kills.Trials) -> None:
    digests, asked = tried.together(processes=2, threads=4)
    assert digests == {tried.true}
    assert asked == tried.n_slices > 20
