"""How often patterns are found: where they were planted, and where there are none.

usage: python -m benchmarks.patterns FILE [--seeds N] [--first N] [--users N] [--days N]
                                    [--layers 123] [--null]

Each seed is a demo marketplace that is written, loaded, measured and asked for patterns; what was
found is kept in FILE (CSV), and seeds that stand there already are not done again. The table says
how often each planted pattern was found: in null worlds that should be at most 5 %, in others it
is the power. Times a pattern could be looked at are given beside it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from core.connect import wire
from core.demo import World, write_demo
from core.loading import Loaded, load
from core.measure.panel import Rules
from core.patterns import Found, patterns_of
from core.pipeline import estimates_of, measure
from core.settings import read_settings
from core.span import span_of

PLANTED = {
    "drops over features": ("content", "1", "drop", ("feature",)),
    "on plan over off plan": ("cadence", "2", "on plan", ("off plan",)),
    "two to six hours": ("hours_since_trigger", "3", "2 to 6 h", ("all others", "later")),
}
CORRELATED = ("confirmed_trades", "offers_created")
TOGETHER = "trades with offers"
RULES = Rules()


def main() -> None:
    """Add seeds to the file and print how often each pattern was found."""
    options = _options()
    kept = pd.read_csv(options.file) if options.file.exists() else pd.DataFrame({"seed": []})
    for seed in range(options.first, options.first + options.seeds):
        if (kept["seed"] == seed).any():
            continue
        started = time.perf_counter()
        world = World(
            n_users=options.users, n_days=options.days, seed=seed,
            effect_scale=0.0 if options.null else 1.0, layers=tuple(map(int, options.layers)),
        )  # fmt: skip
        row = pd.DataFrame([{"seed": seed, **outcome(found_in(world))}])
        kept = pd.concat([kept, row], ignore_index=True)
        kept.to_csv(options.file, index=False)
        print(f"seed {seed}: {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    print(table(kept).to_string(index=False))


def found_in(world: World) -> Found:
    """Return the patterns found in a world, all its days looked at."""
    with tempfile.TemporaryDirectory() as folder:
        loaded = loaded_world(Path(folder), world)
        estimates = estimates_of(loaded, RULES.lengths, RULES.outliers)
        return patterns_of(loaded, estimates, measure(loaded, RULES, estimates=estimates))


def loaded_world(folder: Path, world: World) -> Loaded:
    """Return a world written into a folder and loaded from its first campaign day on."""
    files = write_demo(folder / "demo", world)
    settings = folder / "settings.toml"
    settings.write_text(
        f'[database]\nurl = "{files.database_url}"\n'
        f'[events]\npath = "{files.events}"\npersons = "{files.persons}"\n'
        f'[automations]\ndir = "{files.automations}"\n[cache]\ndir = "{folder / "cache"}"\n'
        f'[analysis]\ntimezone = "{files.timezone}"\n'
    )
    wiring = wire(read_settings(settings), lambda *_: None)
    span = span_of(since=world.start, until=None, as_of=files.as_of, timezone=files.timezone)
    return load(wiring, span, RULES.lengths)


def outcome(found: Found) -> dict[str, float | bool]:
    """Return of each planted pattern whether it was found, and its smallest p-value."""
    patterns, told = found.patterns, {}
    primary = patterns["metric"] == CORRELATED[0]
    for name, (pattern, layer, group, others) in PLANTED.items():
        rows = patterns[
            primary & (patterns["pattern"] == pattern) & (patterns["layer"] == layer)
            & (patterns["group"] == group) & patterns["other"].isin(others)
        ]  # fmt: skip
        told |= {f"{name}: found": bool(rows["is_found"].any()), f"{name}: p": rows["pvalue"].min()}
        here = f"{name}, in these sends"
        told |= {f"{here}: found": bool(rows["is_found_in_sends"].any())}
        told |= {f"{here}: p": rows["in_sends_pvalue"].min()}
        told[f"{here}: difference"] = rows["difference"].iloc[0] if len(rows) else np.nan
        told[f"{name}: difference"] = rows["difference"].iloc[0] if len(rows) else np.nan
    pairs = found.correlations
    both = pairs[
        (pairs["layer"] == "all") & (pairs["metric"] == CORRELATED[0])
        & (pairs["other_metric"] == CORRELATED[1])
    ]  # fmt: skip
    told |= {f"{TOGETHER}: found": bool(both["is_found"].any())}
    told |= {f"{TOGETHER}: p": both["pvalue"].min()}
    told |= {f"{TOGETHER}: difference": both["correlation"].min()}
    told["any planted: found"] = any(told[f"{name}: found"] for name in (*PLANTED, TOGETHER))
    for tail in ("", "_in_sends"):
        found_so = patterns[f"is_found{tail}"]
        told[f"any{tail}, primary: found"] = bool((found_so & primary).any())
        told[f"any{tail}, others: found"] = bool((found_so & ~primary).any())
    told["any correlation: found"] = bool(pairs["is_found"].any())
    for pattern, rows in patterns[primary].groupby("pattern"):
        told[f"{pattern}: p < .05"] = float((rows["pvalue"] < 0.05).sum())
        told[f"{pattern}: tests"] = float(rows["pvalue"].notna().sum())
        told[f"{pattern}, in these sends: p < .05"] = float((rows["in_sends_pvalue"] < 0.05).sum())
        told[f"{pattern}, in these sends: tests"] = float(rows["in_sends_pvalue"].notna().sum())
    return told


def table(kept: pd.DataFrame) -> pd.DataFrame:
    """Return how often each pattern was found, and how often its p-value was below 5 %."""
    rows = []
    n = len(kept)
    for column in [name for name in kept if name.endswith(": found")]:
        name = column.removesuffix(": found")
        share = float(kept[column].astype(bool).mean())
        error = np.sqrt((share * n + 2) / (n + 4) * (1 - (share * n + 2) / (n + 4)) / (n + 4))
        pvalues = kept.get(f"{name}: p", pd.Series(dtype=float)).dropna()
        rows.append(
            {
                "pattern": name, "seeds": n, "found": f"{share:.1%} +- {error:.1%}",
                "looked at": len(pvalues),
                "p < 5 %": f"{(pvalues < 0.05).mean():.1%}" if len(pvalues) else "",
                "median": kept.get(f"{name}: difference", pd.Series([np.nan])).median(),
            }
        )  # fmt: skip
    for column in [name for name in kept if name.endswith(": tests")]:
        name, tests = column.removesuffix(": tests"), kept[column].sum()
        below = kept[f"{name}: p < .05"].sum()
        rows.append(
            {
                "pattern": f"every test of {name}", "seeds": n, "found": "",
                "looked at": int(tests),
                "p < 5 %": f"{below / tests:.1%}" if tests else "", "median": np.nan,
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="where what was found is kept")
    parser.add_argument("--seeds", type=int, default=100, help="worlds to simulate")
    parser.add_argument("--first", type=int, default=1, help="seed of the first")
    parser.add_argument("--users", type=int, default=2_500, help="users of each")
    parser.add_argument("--days", type=int, default=60, help="days of campaigns of each")
    parser.add_argument("--layers", default="123", help="layers that send, such as 12")
    parser.add_argument("--null", action="store_true", help="plant no effects at all")
    return parser.parse_args()


if __name__ == "__main__":
    main()
