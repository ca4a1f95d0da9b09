"""How often each method cries wolf, and how often its interval holds the truth.

usage: python -m benchmarks.calibration [--quick] [--only REGEX] [--scale F] [--workers N]
                                       [--csv FILE]

The shipped estimators run on worlds whose truth is known (`benchmarks.worlds`). A line is one
campaign (or layer mean, or rank) by one method: how often there is no number ("missing"), and
where there is one how often p < 0.05 and how often the 95 % interval of the percent lift holds
the true one, each with its Monte Carlo error. Where nothing has an effect the first should be
5 %; where something has, it is the power. A star marks what is outside 3 to 7 % or 93 to 97 % by
more than two Monte Carlo errors. "error" is the mean rate after over what it should be, less 1.
"""

from __future__ import annotations

import argparse
import os
import re
import time
import zlib
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import worlds
from benchmarks.histories import World
from benchmarks.judging import (
    HEADER,
    Draw,
    Summary,
    by_campaign,
    lines_of,
    pooled,
    summarised,
    with_self_checks,
)

N_QUICK = 40
_CHUNK = 20
Judge = Callable[[World, np.random.Generator], Iterable[Draw]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One world and how often it is drawn.

    Attributes:
        make: The world.
        n: Draws.
        is_null: Whether the tested campaigns truly do nothing.
        judge: What is asked of it.
    """

    make: Callable[[np.random.Generator], World]
    n: int
    is_null: bool
    judge: Judge = lambda world, _: by_campaign(world)


@cache
def cases() -> dict[str, Case]:
    """Return every world by name."""
    return {**_single(), **_overlapping(), **_few(), **_layers()}


def _at(
    name: str, make: Callable[..., World], n: int, /, *effects: float, **given: object
) -> dict[str, Case]:
    return {
        f"{name}, {effect:+.0%}" if effect else name: Case(
            make=partial(make, effect=effect, **given), n=n, is_null=not effect
        )
        for effect in effects
    }


def _single() -> dict[str, Case]:
    both = (0.0, 0.2)
    found = {
        **_at("1 independent n 100", worlds.independent, 600, *both, n=100),
        **_at("1 independent n 1000", worlds.independent, 400, *both, n=1000),
    }
    for rule in ("recorded", "known", "data"):
        found |= _at(f"2 triggered, rule {rule}", worlds.triggered, 600, *both, rule=rule)
    found |= _at("2 triggered, all pushed", worlds.triggered, 500, *both, chosen="all")
    found |= _at("2 triggered, held 15 %", worlds.triggered, 600, *both, holdout=0.15)
    found |= _at(
        "2 triggered, all pushed or held 15 %", worlds.triggered, 500, *both, chosen="all",
        holdout=0.15,
    )  # fmt: skip
    for hot in ("observed", "latent"):
        for name, given, effects in (
            ("Tuesday", {}, (0.0,)),
            ("Tuesday + trend", {"trend": 0.1}, (0.0,)),
            ("Tuesday + shocks", {"shock": 0.1}, (0.0,)),
            ("all three", {"trend": 0.1, "shock": 0.1}, both),
        ):
            found |= _at(f"3 {name}, hot {hot}", worlds.tuesday, 500, *effects, hot=hot, **given)
    return found


def _overlapping() -> dict[str, Case]:
    found: dict[str, Case] = {}
    for receipt in ("random", "propensity", "heavy", "follow-up"):
        found |= _at(f"4 overlap, {receipt}", worlds.overlapping, 500, 0.0, receipt=receipt)
    found |= _at("4 overlap, heavy", worlds.overlapping, 400, 0.2, receipt="heavy")
    for effect in (0.0, 0.2):
        found[f"5 everything, {effect:+.0%}"] = Case(
            make=partial(worlds.everything, effect=effect), n=60, is_null=not effect,
            judge=lambda world, _: with_self_checks(world),
        )  # fmt: skip
    return found


def _few() -> dict[str, Case]:
    found: dict[str, Case] = {}
    for n in (20, 50, 150):
        for mean in (1.0, 0.1):
            found |= _at(f"6 small n {n}, {mean}/day", worlds.small, 600, 0.0, n=n, mean=mean)
    for observed in (6.0, 12.0, 24.0, 36.0):
        found |= _at(
            f"7 open {observed:.0f} h", worlds.still_open, 400, 0.0, 0.2, observed=observed
        )
    return found | _at("7 triggered, open", worlds.triggered, 500, 0.0, 0.2, open_at=36.0)


def _layers() -> dict[str, Case]:
    return {
        f"{name}, mean {mean:+.0%} sd {spread:.0%}": Case(
            make=partial(worlds.layer, mean=mean, spread=spread), n=n, is_null=False,
            judge=partial(pooled, mean=mean, spread=spread),
        )
        for name, mean, spread, n in (("8 layer", 0.1, 0.0, 300), ("8, 9 layer", 0.1, 0.15, 500))
    }  # fmt: skip


def run(name: str, *, first: int = 0, n: int = _CHUNK) -> list[Draw]:
    """Return draws of one case; draw i is the same whatever else is drawn."""
    case, salt = cases()[name], zlib.crc32(name.encode())
    draws: list[Draw] = []
    for i in range(first, first + n):
        rng = np.random.default_rng([salt, i])
        draws += case.judge(case.make(rng), rng)
    return draws


def measured(name: str, n: int) -> list[Summary]:
    """Return what so many draws of one case add up to, in this process."""
    return summarised(name, run(name, n=n), is_null=cases()[name].is_null)


def main() -> None:
    """Print the table."""
    options = _options()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")  # read by the workers when they load numpy
    started = time.perf_counter()
    wanted = {name: case for name, case in cases().items() if re.search(options.only, name)}
    print(HEADER, flush=True)
    with ProcessPoolExecutor(options.workers, mp_context=get_context("spawn")) as pool:
        jobs = {}
        for name, case in wanted.items():
            n = min(case.n, N_QUICK) if options.quick else max(round(case.n * options.scale), 1)
            jobs[name] = [
                pool.submit(run, name, first=i, n=min(_CHUNK, n - i)) for i in range(0, n, _CHUNK)
            ]
        everything: list[Summary] = []
        for name, parts in jobs.items():
            draws = [draw for part in parts for draw in part.result()]
            found = summarised(name, draws, is_null=wanted[name].is_null)
            print(*lines_of(found), sep="\n", flush=True)
            everything += found
    if options.csv:
        _table(everything).to_csv(options.csv, index=False, lineterminator="\n")
    print(f"{time.perf_counter() - started:.0f} s")


def _table(everything: list[Summary]) -> pd.DataFrame:
    """Return what single campaigns gave, a row a world and method."""
    rows = []
    for one in everything:
        if one.subject in {"mean", "next", "shrunk"} or np.isnan(one.rejected):
            continue
        effect = re.search(r"([+-][0-9]+)%", one.case)
        alarms = one.rejected if one.is_null else np.nan
        rows.append(
            {
                "world": f"{one.case} ({one.subject})" if one.subject != "a" else one.case,
                "method": one.method,
                "effect": int(effect[1]) / 100 if effect and not one.is_null else 0.0,
                "replications": one.n,
                "false_positive_rate": alarms,
                "false_positive_se": one.monte_carlo(alarms) if one.is_null else np.nan,
                "coverage": one.covered,
                "coverage_se": one.monte_carlo(one.covered),
                "not_identified": 1 - one.n_known / one.n,
            }
        )
    return pd.DataFrame(rows).round(4)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"{N_QUICK} draws a world")
    parser.add_argument("--only", default="", metavar="REGEX", help="worlds whose name it finds")
    parser.add_argument("--scale", type=float, default=0.8, help="share of the full draws")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--csv", type=Path, help="also written there, as the method page reads it")
    return parser.parse_args()


if __name__ == "__main__":
    main()
