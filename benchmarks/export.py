"""How long 100,000 users take into Excel and CSV, and how much memory above the start.

usage: python -m benchmarks.export [--users N] [--repeat N]

Each file is written in a process of its own, from window counts that are there already: what the
start took (libraries, counts) is measured first and taken off. The design allows 5 s and 300 MB.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from core.publish import formats
from core.publish.tables import declared_csv
from core.publish.users import USERS, users_table
from core.publish.workbook import Sheet, write_workbook

METRIC = "confirmed_trades"
PUSHES_EACH = 5
AS_OF = datetime(2026, 10, 31, tzinfo=UTC)


def main() -> None:
    """Measure and print each file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    print(f"{options.users:,} users; load of the machine {os.getloadavg()[0]:.1f}", flush=True)
    for name, write in {"pushlift.xlsx": _excel, "users.csv": _csv}.items():
        for _ in range(options.repeat):
            seconds, busy, extra, size = _alone(partial(_measured, write, options.users))
            print(
                f"{name:16} {seconds:6.2f} s ({busy:.2f} s of a processor) "
                f"{extra / 1e6:6.0f} MB above the start   {formats.size(size)}",
                flush=True,
            )


def _alone(work: Callable[[], tuple[float, float, int, int]]) -> tuple[float, float, int, int]:
    """Return what work returns in a fresh process: the peak of memory is a process's own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work)


def _measured(
    write: Callable[[Path, pd.DataFrame], None], n_users: int
) -> tuple[float, float, int, int]:
    counts = _counts(n_users)
    before = _peak()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        started, idle = time.perf_counter(), time.process_time()
        write(path, counts)
        seconds, busy = time.perf_counter() - started, time.process_time() - idle
        return seconds, busy, _peak() - before, path.stat().st_size


def _peak() -> int:
    """Return the most memory this process has held, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _excel(path: Path, counts: pd.DataFrame) -> None:
    sheet = Sheet(name="Users", table=USERS, frame=users_table(counts, METRIC))
    write_workbook(path, [sheet], metric=METRIC, made_at=AS_OF, about={})


def _csv(path: Path, counts: pd.DataFrame) -> None:
    path.write_bytes(declared_csv(USERS, users_table(counts, METRIC)))


def _counts(n_users: int) -> pd.DataFrame:
    """Return window counts of one metric, some pushes a person, as a run leaves them."""
    rng = np.random.default_rng(7)
    n = n_users * PUSHES_EACH
    ids = pd.Index([f"018f{at:08x}-7c1a-7000-8000-{at:012x}" for at in range(n_users)])
    pushes = np.arange(n)
    at = np.datetime64("2026-09-01", "ms") + rng.integers(0, 60 * 86_400_000, n)
    return pd.DataFrame(
        {
            "campaign_id": pd.Categorical.from_codes(
                pushes // n_users, categories=pd.Index([f"c{one}" for one in range(PUSHES_EACH)])
            ),
            "person_id": pd.Categorical.from_codes(pushes % n_users, categories=ids),
            "metric": pd.Categorical.from_codes(np.zeros(n, dtype=int), categories=[METRIC]),
            "delivered_at": pd.Series(at).dt.tz_localize("UTC"),
            "n_baseline": rng.poisson(2, n),
            "baseline_days": rng.uniform(1, 30, n),
            "n_post": rng.poisson(1, n),
            "post_hours": np.full(n, 48.0),
        }
    )


if __name__ == "__main__":
    main()
