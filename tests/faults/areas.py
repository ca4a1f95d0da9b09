"""The kinds of trials there are, and how each is run: `AREAS` is the one list of them."""

from __future__ import annotations

import importlib
import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec

from tests.faults.tally import Tally

_PACKAGE = "tests.faults"


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """One kind of trial.

    Attributes:
        name: The module of this folder whose `run` makes the trials.
        what: What is tried, for readers of the table.
        size: How many: seeds of each scenario, or trials.
        quick: The same with --quick.
        is_split: Whether its seeds may be shared out to several processes.
    """

    name: str
    what: str
    size: int
    quick: int
    is_split: bool = False

    @property
    def is_there(self) -> bool:
        """Return whether there is such a module."""
        return find_spec(f"{_PACKAGE}.{self.name}") is not None


AREAS = (
    Area(name="scenarios", what="Faults of network, servers, cache and clock", size=25, quick=1,
         is_split=True),
    Area(name="responses", what="Answers of PostHog, spoilt at random", size=10_000, quick=500),
    Area(name="downloads", what="Downloads of a batch export under faults", size=300, quick=10),
    Area(name="files_fuzz", what="Automation files, spoilt at random", size=10_000, quick=500),
    Area(name="injection", what="Hostile titles and ids in every export", size=10_000, quick=20),
    Area(name="model", what="Random sequences of fetch, fail, kill, resume", size=2_000, quick=60),
    Area(name="kills", what="Processes killed while they fetch", size=100, quick=5),
    Area(name="damage", what="Files of the cache with changed or missing bytes", size=5_000,
         quick=200),
    Area(name="guards", what="Guards switched off, each missed by a test", size=0, quick=4),
)  # fmt: skip


def run_area(area: Area, *, size: int, seed: int, workers: int) -> Tally:
    """Return an area's tally, that of several processes put together where it can be split."""
    started = time.monotonic()
    if not area.is_split or workers < 2 or size < workers:
        tally = _run_here(area.name, size, seed)
    else:
        shares = [size // workers + (i < size % workers) for i in range(workers)]
        firsts = [seed + sum(shares[:i]) for i in range(workers)]
        # begun anew, not forked: threads of one process must not be copied into another
        with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
            names = [area.name] * workers
            tally = together(list(pool.map(_run_here, names, shares, firsts)))
    tally.seconds = time.monotonic() - started
    return tally


def together(tallies: Sequence[Tally]) -> Tally:
    """Return several tallies of one kind as one: counts added, of the slowest the slowest."""
    first, *others = tallies
    for other in others:
        first.runs += other.runs
        first.exact += other.exact
        first.declared += other.declared
        first.broken += other.broken
        for name, value in other.figures.items():
            mine = first.figures.get(name, 0)
            if isinstance(value, str) or isinstance(mine, str):
                continue
            is_largest = name.startswith(("slowest", "scenarios"))
            first.figures[name] = max(mine, value) if is_largest else mine + value
    return first


def _run_here(name: str, size: int, seed: int) -> Tally:
    module = importlib.import_module(f"{_PACKAGE}.{name}")
    tally: Tally = module.run(size=size, seed=seed)
    return tally
