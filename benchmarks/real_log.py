"""What is called significant where no push was ever sent, by every method.

usage: python -m benchmarks.real_log PATH [--campaigns N] [--recipients N] [--seed N]

PATH is a gzipped CSV of `sender,unix_time` rows (SNAP CollegeMsg: 59,835 messages by 1,350
students over 193 days of 2004; Panzarasa, Opsahl and Carley 2009). It becomes an export and a push
database with placebo campaigns to random members; `python -m core analyze` then runs on them as
it would on any company's data. Every campaign called significant is a false positive.
"""

from __future__ import annotations

import argparse
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

DAY = 86_400
WARM_UP_DAYS, LAST_DAYS = 30, 3
DESIGNS = ("random", "active")
SCHEMA = """
CREATE TABLE users (id TEXT, email TEXT, posthog_distinct_id TEXT, created_at TEXT);
CREATE TABLE push_notifications (
    id INTEGER, user_id TEXT, automation_id TEXT, campaign_id TEXT, title TEXT, body TEXT,
    status TEXT, sent_at TEXT, delivered_at TEXT, trigger_at TEXT);
"""


def main() -> None:
    """Run both designs and print the table."""
    options = _options()
    log = pd.read_csv(options.path, names=["sender", "time"], header=0)
    print(f"{len(log):,} messages by {log['sender'].nunique():,} people, no push among them")
    print(
        f"{'recipients':12} {'method':13} {'campaigns':>9} {'p < 0.05':>16} {'q < 0.05':>9} "
        f"{'median lift':>12} {'seconds':>8} {'peak MB':>8}"
    )
    for design in DESIGNS:
        lifts, seconds = _measured(log, options, design)
        for method in ("headline", *lifts["method"].unique()):
            print(_line(design, method, lifts, seconds), flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--campaigns", type=int, default=400)
    parser.add_argument("--recipients", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def _measured(
    log: pd.DataFrame, options: argparse.Namespace, design: str
) -> tuple[pd.DataFrame, float]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _write_events(log, root / "events.parquet")
        _write_pushes(log, root / "pushes.sqlite", options, active=design == "active")
        settings = _write_settings(root)
        started = time.perf_counter()
        _analyze(log, settings, root)
        return pd.read_csv(root / "out" / "lifts.csv"), time.perf_counter() - started


def _write_events(log: pd.DataFrame, path: Path) -> None:
    sender = "s" + log["sender"].astype(str)
    instants = pa.array(log["time"].to_numpy() * 1_000_000, pa.timestamp("us", "UTC"))
    ids = [str(uuid.UUID(int=i)) for i in range(len(log))]
    text = {"event": "Message sent", "properties": "{}", "person_properties": "{}"}
    table = pa.table(
        {
            "uuid": ids,
            "distinct_id": sender.tolist(),
            "person_id": sender.tolist(),
            **{name: [value] * len(log) for name, value in text.items()},
            "timestamp": instants,
            "created_at": instants,
            "_inserted_at": instants,
        }
    )
    pq.write_table(table, path, compression="zstd")


def _write_pushes(
    log: pd.DataFrame, path: Path, options: argparse.Namespace, *, active: bool
) -> None:
    """Write campaigns at random instants to random members, or rather to recently active ones."""
    rng = np.random.default_rng(options.seed)
    first = log.groupby("sender")["time"].min()
    start, end = log["time"].min() + WARM_UP_DAYS * DAY, log["time"].max() - LAST_DAYS * DAY
    rows = []
    for number, sent in enumerate(np.sort(rng.integers(start, end, options.campaigns))):
        members = first.index[first < sent]
        recent = log.loc[log["time"].between(sent - 3 * DAY, sent - 1), "sender"].unique()
        weight = np.where(members.isin(recent), 5.0 if active else 1.0, 1.0)
        chosen = rng.choice(
            members, min(options.recipients, len(members)), replace=False, p=weight / weight.sum()
        )
        rows += [(f"s{member}", f"placebo-{number:03}", _iso(sent)) for member in chosen]
    with sqlite3.connect(path) as database:
        database.executescript(SCHEMA)
        database.executemany(
            "INSERT INTO users VALUES (?, NULL, ?, ?)",
            [(f"s{sender}", f"s{sender}", _iso(joined)) for sender, joined in first.items()],
        )
        database.executemany(
            "INSERT INTO push_notifications VALUES "
            "(?, ?, 'placebo', ?, 'Hello', NULL, 'delivered', ?, ?, NULL)",
            [(i, user, key, at, at) for i, (user, key, at) in enumerate(rows)],
        )
    database.close()


def _write_settings(root: Path) -> Path:
    path = root / "settings.toml"
    path.write_text(
        f'[database]\nurl = "sqlite:///{root / "pushes.sqlite"}"\n'
        f'[events]\npath = "{root / "events.parquet"}"\n'
        f'[automations]\ndir = "{root / "none"}"\n[cache]\ndir = "{root / "cache"}"\n'
        '[metrics]\nmessages = ["Message sent"]\n'
    )
    return path


def _analyze(log: pd.DataFrame, settings: Path, root: Path) -> None:
    day = datetime.fromtimestamp(int(log["time"].min()), UTC).date()
    command = [
        sys.executable, "-m", "core", "analyze", "--settings", str(settings),
        "--since", day.isoformat(), "--as-of", _iso(log["time"].max()), "--out", str(root / "out"),
    ]  # fmt: skip
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)


def _line(design: str, method: str, lifts: pd.DataFrame, seconds: float) -> str:
    rows = lifts["headline"] if method == "headline" else lifts["method"] == method
    tested = lifts[rows & lifts["pvalue"].notna()]
    if tested.empty:
        reasons = ", ".join(lifts.loc[rows, "status"].unique())
        return f"{design:12} {method:13} {0:9,} no number: {reasons}"
    share = (tested["pvalue"] < 0.05).mean()
    error = np.sqrt(share * (1 - share) / len(tested))
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return (
        f"{design:12} {method:13} {len(tested):9,} {share:7.1%} ± {error:5.1%} "
        f"{(tested['qvalue'] < 0.05).mean():9.1%} {tested['rel_effect_size'].median():+12.1%} "
        f"{seconds:8.1f} {peak:8.0f}"
    )


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


if __name__ == "__main__":
    main()
