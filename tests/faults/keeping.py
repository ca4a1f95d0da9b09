"""Tallies kept between runs of the command, so that an hour of trials can be broken off."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from tests.faults.areas import Area, run_area, together
from tests.faults.tally import Tally

BLOCK = 5
"""Seeds of an area that can be split which are kept together."""


def tally_of(area: Area, *, size: int, seed: int, workers: int, folder: Path | None) -> Tally:
    """Return an area's tally, what is kept of it read and what is not made.

    Args:
        area: Which kind of trial.
        size: How many trials, or seeds of each.
        seed: The first seed.
        workers: Processes that share the seeds.
        folder: Where tallies are kept; None keeps none.
    """

    def made(seed: int, size: int) -> Tally:
        return run_area(area, size=size, seed=seed, workers=workers)

    if folder is None:
        return made(seed, size)
    if not area.is_split:
        return _kept(folder / f"{area.name}-{seed}-{size}.json", lambda: made(seed, size))
    tallies = []
    for first in range(seed, seed + size, BLOCK):
        n = min(BLOCK, seed + size - first)
        path = folder / f"{area.name}-{first}-{n}.json"
        tallies.append(_kept(path, lambda first=first, n=n: made(first, n)))  # type: ignore[misc]
    seconds = sum(tally.seconds for tally in tallies)
    whole = together(tallies)
    whole.seconds = seconds
    return whole


def _kept(path: Path, make: Callable[[], Tally]) -> Tally:
    if path.exists():
        return Tally(**json.loads(path.read_text()))
    tally = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(tally)))
    return tally
