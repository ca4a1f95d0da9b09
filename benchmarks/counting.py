"""Counting events in windows: ours beside what one would write first, on the same rows.

usage: python -m benchmarks.counting [--users N] [--repeat N]

All of them count every push x metric x (baseline, post) of the demo marketplace; the counts are
compared and have to be equal. Ratios within one run are what to read: the machine varies.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from core.activity.timelines import Timelines
from core.connect import wire
from core.demo import DemoFiles, World, write_demo
from core.loading import Loaded, load
from core.measure.panel import Panel, Rules
from core.measure.windows import EventIndex, WindowLengths, count_windows
from core.pipeline import measure
from core.settings import read_settings
from core.span import span_of

_JOIN = """
SELECT pushes.push, events.event,
       count(*) FILTER (WHERE events.t < pushes.t) AS n_baseline,
       count(*) FILTER (WHERE events.t >= pushes.t) AS n_post
FROM pushes JOIN events ON events.person = pushes.person
 AND events.t >= pushes.start AND events.t < pushes.stop
GROUP BY ALL
"""
Counts = tuple[np.ndarray, np.ndarray]


def main() -> None:
    """Print the table."""
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        loaded = demo_loaded(Path(folder), n_users=options.users)
    panel = measure(loaded, Rules()).panel
    events, pushes = _event_frame(loaded.timelines), _push_frame(panel)
    n = len(pushes)
    print(f"{n:,} pushes x {len(panel.metric_names)} metrics x 2 windows, {len(events):,} events")
    ways: dict[str, Callable[[], Counts]] = {
        "Pushlift, index and count": lambda: _ours(loaded.timelines, panel),
        "DuckDB join": lambda: _duckdb(events, pushes, panel),
        "pandas merge and count": lambda: _pandas(events, pushes, panel),
    }
    seconds, answers = {}, {}
    for name, way in ways.items():
        times = []
        for _ in range(options.repeat if "pandas" not in name else 1):
            started = time.perf_counter()
            answers[name] = way()
            times.append(time.perf_counter() - started)
        seconds[name] = min(times)
    base = next(iter(seconds.values()))
    first = next(iter(answers.values()))
    for name, spent in seconds.items():
        same = all(np.array_equal(a, b) for a, b in zip(first, answers[name], strict=True))
        print(f"{name:28} {spent:8.2f} s {spent / base:7.1f} x   same counts: {same}")


def demo_loaded(folder: Path, *, n_users: int) -> Loaded:
    """Return the demo marketplace of a size, built in a folder and loaded."""
    return loaded_demo(folder, write_demo(folder / "demo", World(n_users=n_users)))


def loaded_demo(folder: Path, files: DemoFiles) -> Loaded:
    """Return a written demo marketplace, loaded with settings kept in a folder."""
    settings = folder / "settings.toml"
    settings.write_text(
        f'[database]\nurl = "{files.database_url}"\n'
        f'[events]\npath = "{files.events}"\npersons = "{files.persons}"\n'
        f'[automations]\ndir = "{files.automations}"\n[cache]\ndir = "{folder / "cache"}"\n'
        f'[analysis]\ntimezone = "{files.timezone}"\n'
    )
    wiring = wire(read_settings(settings), lambda *_: None)
    span = span_of(since=None, until=None, as_of=files.as_of, timezone=files.timezone)
    return load(wiring, span, WindowLengths())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=12_000)
    parser.add_argument("--repeat", type=int, default=3)
    return parser.parse_args()


def _event_frame(timelines: Timelines) -> pd.DataFrame:
    return pd.DataFrame(
        {"person": timelines.persons, "t": timelines.instants, "event": timelines.events}
    )


def _push_frame(panel: Panel) -> pd.DataFrame:
    t, counts = panel.sends.instants, panel.counts
    return pd.DataFrame(
        {
            "push": np.arange(len(t)),
            "person": panel.sends.persons,
            "t": t,
            "start": t - counts.baseline_ms,
            "stop": t + counts.post_ms,
        }
    )


def _ours(timelines: Timelines, panel: Panel) -> Counts:
    counts = count_windows(
        EventIndex(timelines), panel.sends, panel.lengths, metrics=panel.metric_events
    )
    return counts.n_baseline, counts.n_post


def _duckdb(events: pd.DataFrame, pushes: pd.DataFrame, panel: Panel) -> Counts:
    with duckdb.connect() as engine:
        engine.register("events", events)
        engine.register("pushes", pushes)
        return _by_metric(engine.execute(_JOIN).df(), panel)


def _pandas(events: pd.DataFrame, pushes: pd.DataFrame, panel: Panel) -> Counts:
    """Merge campaign by campaign: all at once does not fit into memory."""
    found = []
    for rows in panel.segments:
        joined = pushes.iloc[rows].merge(events, on="person", suffixes=("_push", ""))
        joined = joined[(joined["t"] >= joined["start"]) & (joined["t"] < joined["stop"])]
        before = joined["t"] < joined["t_push"]
        counted = joined.assign(n_baseline=before, n_post=~before)
        found.append(counted.groupby(["push", "event"])[["n_baseline", "n_post"]].sum())
    return _by_metric(pd.concat(found).reset_index(), panel)


def _by_metric(found: pd.DataFrame, panel: Panel) -> Counts:
    n_events = 1 + max(max(events) for events in panel.metric_events)
    tables = []
    for column in ("n_baseline", "n_post"):
        per_event = np.zeros((len(panel.campaigns), n_events), dtype=np.int64)
        per_event[found["push"], found["event"]] = found[column]
        tables.append(
            np.column_stack([per_event[:, list(e)].sum(axis=1) for e in panel.metric_events])
        )
    return tables[0], tables[1]


if __name__ == "__main__":
    main()
