"""What was planted in demo marketplaces against what the whole pipeline finds in them.

usage: python -m benchmarks.recovery [--seeds N] [--first N] [--users N] [--every-metric]

One world per seed is written to a temporary folder, loaded and measured; worlds follow one after
the other. Campaigns: a lift is compared with the causal relative effect of the part of its windows
that has been observed (`rel_effect_observed`; it is the whole effect where windows have closed).
Layers: the ratio of means is compared with events expected because of the pushes over events
expected without them, summed over the campaigns that were pooled. A missing end of an interval
counts as -1 or infinity; without a number nothing is covered or missed.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.counting import loaded_demo
from core.demo import World, write_demo
from core.measure.panel import Rules
from core.pipeline import Results, measure

HEADLINE, EVERY = "headline", "all"
SHOWN_METRICS = ("confirmed_trades", "sessions")
_REL = "rel_effect_size"
_KEY = ["campaign_id", "metric"]
_SUMS = ["expected_extra", "expected_without"]


def main() -> None:
    """Print how well campaigns and layers are recovered."""
    options = _options()
    campaigns, layers = [], []
    for seed in range(options.first, options.first + options.seeds):
        started = time.perf_counter()
        lifts, pooled = recovered(World(n_users=options.users, seed=seed))
        campaigns.append(lifts.assign(seed=seed))
        layers.append(pooled.assign(seed=seed))
        print(f"seed {seed}: {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    print(f"{options.seeds} worlds of {options.users:,} users; errors and widths in points of %\n")
    print("Campaigns\n" + _table(of_campaigns(pd.concat(campaigns), options.every_metric)))
    print("\nLayers\n" + _table(of_layers(pd.concat(layers), options.every_metric)))
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\npeak memory {peak_mb:,.0f} MB")


def recovered(world: World) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return each lift and each layer's lift of a world beside its truth.

    The rows of `headline` are those of the lifts that the pages show, once more under that name.

    Args:
        world: What to simulate.
    """
    with tempfile.TemporaryDirectory() as folder:
        files = write_demo(Path(folder) / "demo", world)
        results = measure(loaded_demo(Path(folder), files), Rules())
        truth = pd.read_parquet(files.truth / "campaigns.parquet")
    return lifts_and_truth(results.lifts, truth), layers_and_truth(results, truth)


def lifts_and_truth(lifts: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """Return layer, metric, method, estimate, low, high and true of every lift with a truth.

    Args:
        lifts: frames.LIFTS.
        truth: The demo's truth, one row per campaign and metric.

    Raises:
        SystemExit: A campaign that was measured is not in the truth.
    """
    strangers = set(lifts["campaign_id"]) - set(truth["campaign_id"])
    if strangers:
        raise SystemExit(f"not in the truth: {', '.join(sorted(strangers)[:5])}")
    headline = lifts[lifts["headline"]].assign(method=HEADLINE)
    found = pd.concat([headline, lifts], ignore_index=True)
    found = found.merge(truth[[*_KEY, "rel_effect_observed"]], on=_KEY)
    return _sided(found, found["rel_effect_observed"]).dropna(subset="true")


def layers_and_truth(results: Results, truth: pd.DataFrame) -> pd.DataFrame:
    """Return the same for every layer's lift, with the campaigns pooled and in its truth.

    The campaigns are those that qualify and have closed; where the table pooled fewer, those of
    them for which the method has a number.
    """
    layers = results.layers
    rows = zip(
        *(layers[name] for name in ("layer", "metric", "method", "n_campaigns")), strict=True
    )
    sums = [
        _pooled_truth(results, truth, layer=layer, metric=metric, method=method, n_campaigns=n)
        for layer, metric, method, n in rows
    ]
    n_true = [len(campaigns) for campaigns in sums]
    extra, without = (np.array([part[name].sum() for part in sums]) for name in _SUMS)
    true = np.divide(extra, without, out=np.full(len(sums), np.nan), where=without > 0)
    found = _sided(layers, pd.Series(true, index=layers.index))
    found = found.assign(n_campaigns=layers["n_campaigns"], n_true=n_true)
    if "headline" in layers:
        found = pd.concat([found[layers["headline"]].assign(method=HEADLINE), found])
    return found.dropna(subset="true")


def _pooled_truth(
    results: Results,
    truth: pd.DataFrame,
    *,
    layer: str,
    metric: str,
    method: str,
    n_campaigns: int,
) -> pd.DataFrame:
    """Return the truth of the campaigns behind one row of the layers table."""
    sends, lifts = results.campaigns, results.lifts
    is_pooled = sends["qualifies"] & sends["window_complete"]
    is_pooled &= (sends["layer"] == layer) | (layer == EVERY)
    of_metric = truth[truth["metric"] == metric]
    found = of_metric[of_metric["campaign_id"].isin(sends.loc[is_pooled, "campaign_id"])]
    if n_campaigns < len(found):
        lifts = lifts[(lifts["metric"] == metric) & (lifts["method"] == method)]
        numbered = lifts.loc[lifts["effect_size"].notna(), "campaign_id"]
        found = found[found["campaign_id"].isin(numbered)]
    return found


def _sided(found: pd.DataFrame, true: pd.Series) -> pd.DataFrame:
    return pd.DataFrame(
        {
            **{name: found[name] for name in ("layer", "metric", "method")},
            "estimate": found[_REL],
            "low": found[f"{_REL}_ci_low"].fillna(-1.0),
            "high": found[f"{_REL}_ci_high"].fillna(np.inf),
            "true": true,
        }
    )


def of_campaigns(lifts: pd.DataFrame, is_long: bool) -> pd.DataFrame:  # noqa: FBT001 - an option
    """Return per layer, metric and method how well lifts recover what was planted."""
    rows = [
        {
            **dict(zip(("layer", "metric", "method"), key, strict=True)),
            "rows": len(part),
            "numbers": _share(part["estimate"].notna()),
            **_recovery(part),
        }
        for key, part in _groups(pd.concat([lifts, lifts.assign(layer=EVERY)]), is_long)
    ]
    return pd.DataFrame(rows)


def of_layers(layers: pd.DataFrame, is_long: bool) -> pd.DataFrame:  # noqa: FBT001 - an option
    """Return per layer, metric and method how well pooled lifts recover what was planted."""
    rows = [
        {
            **dict(zip(("layer", "metric", "method"), key, strict=True)),
            "worlds": part["seed"].nunique(),
            "campaigns": f"{part['n_campaigns'].mean():.1f}",
            "in truth": f"{part['n_true'].mean():.1f}",
            "planted": _points(part["true"].mean()),
            "found": _points(part["estimate"].mean()),
            **_recovery(part),
        }
        for key, part in _groups(layers, is_long)
        if key[1] != EVERY
    ]
    return pd.DataFrame(rows)


def _groups(
    found: pd.DataFrame,
    is_long: bool,  # noqa: FBT001 - an option
) -> Iterator[tuple[tuple[str, str, str], pd.DataFrame]]:
    """Yield the rows of each layer, metric (and all metrics) and method that has any number."""
    shown = found if is_long else found[found["metric"].isin(SHOWN_METRICS)]
    grouped = pd.concat([shown, found.assign(metric=EVERY)])
    for (layer, metric, method), part in grouped.groupby(["layer", "metric", "method"]):
        if part["estimate"].notna().any():
            yield (str(layer), str(metric), str(method)), part


def _recovery(part: pd.DataFrame) -> dict[str, str]:
    """Return coverage, errors and widths of those that have a number."""
    known = part[part["estimate"].notna()]
    error = known["estimate"] - known["true"]
    is_covered = (known["low"] <= known["true"]) & (known["true"] <= known["high"])
    by_seed = error.groupby(known["seed"]).mean()
    spread = by_seed.std(ddof=1) / np.sqrt(len(by_seed)) if len(by_seed) > 1 else np.nan
    return {
        "covered": _share(is_covered),
        "mean error": _points(error.mean()),
        "+-": f"{100 * spread:.2f}",
        "mean abs. error": f"{100 * error.abs().mean():.2f}",
        "width": f"{100 * (known['high'] - known['low']).median():.1f}",
    }


def _share(flags: pd.Series) -> str:
    return f"{flags.mean():.1%}"


def _points(share: float) -> str:
    return f"{100 * share:+.2f}"


def _table(frame: pd.DataFrame) -> str:
    return frame.to_string(index=False) if len(frame) else "nothing"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="worlds to simulate")
    parser.add_argument("--first", type=int, default=1, help="seed of the first")
    parser.add_argument("--users", type=int, default=12_000, help="users of each")
    parser.add_argument("--every-metric", action="store_true", help="list all seven metrics")
    return parser.parse_args()


if __name__ == "__main__":
    main()
