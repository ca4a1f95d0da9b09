"""Measured false-positive rates and coverage, from the file the benchmark leaves."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from core.publish import formats, words

FILE = Path(__file__).parents[2] / "docs" / "calibration.csv"
_NUMBERS = (
    "false_positive_rate", "false_positive_se", "coverage", "coverage_se", "not_identified",
)  # fmt: skip


def calibration(path: Path = FILE) -> pd.DataFrame | None:
    """Return what was measured, None where there is no file or it is not what it should be."""
    try:
        found = pd.read_csv(path)
    except (OSError, ValueError):
        return None
    names = {"world", "method", "effect", "replications", *_NUMBERS}
    return found if names <= set(found.columns) and len(found) else None


def calibration_table(found: pd.DataFrame) -> pd.DataFrame:
    """Return false alarms and coverage by world and method, as they are read."""
    return pd.DataFrame(
        {
            "World": [words.label(str(name)) for name in found["world"]],
            "Method": [words.method(str(name)) for name in found["method"]],
            "True effect": [formats.percent(effect) for effect in found["effect"]],
            "Runs": found["replications"].to_numpy(),
            "Called an effect": [
                _with_error(row["false_positive_rate"], row["false_positive_se"])
                for _, row in found.iterrows()
            ],
            "Intervals that hold the truth": [
                _with_error(row["coverage"], row["coverage_se"]) for _, row in found.iterrows()
            ],
            "Not told": [_share(value) for value in found["not_identified"]],
        }
    )


def _with_error(share: float, error: float) -> str:
    if formats.is_missing(share):
        return formats.MISSING
    around = "" if formats.is_missing(error) else f" ± {100 * error:.1f}"
    return f"{formats.share(share).removesuffix(' %')}{around} %"


def _share(value: float) -> str:
    return formats.share(value) if not formats.is_missing(value) else formats.MISSING
