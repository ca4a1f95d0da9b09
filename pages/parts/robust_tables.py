"""One campaign under other windows, baselines, rules and methods, as rows. Knows no Streamlit."""

from __future__ import annotations

import pandas as pd

from core.publish import formats, words
from core.sections import Outliers
from pages.parts.tables import interval, level

_RULES: dict[Outliers, str] = {
    "keep": "everybody",
    "winsorize": "windows capped",
    "iqr": "without extremes, IQR",
    "zscore": "without extremes, z-score",
}


def takeaway(found: pd.DataFrame) -> str:
    """Return in how many choices the sign turns, in a sentence.

    Args:
        found: As `core.robustness.robustness`.
    """
    told = found[found["rel_effect_size"].notna() & ~found["is_descriptive"]]
    others = told[~told["is_chosen"]]
    flips = int(others["flips"].sum())
    if not found["is_chosen"].any() or others.empty:
        return "There is no number to hold other choices against"
    if flips:
        return (
            f"{flips} of {len(others)} other choices lie clearly on the other side of zero: do not "
            "lean on this number"
        )
    chosen = told.loc[told["is_chosen"], "effect_size"]
    same = int((others["effect_size"] * chosen.iloc[0] > 0).sum()) if len(chosen) else 0
    return (
        f"No other choice lies clearly on the other side of zero; {same} of {len(others)} point "
        "the same way"
    )


def table(found: pd.DataFrame, confidence_level: float) -> pd.DataFrame:
    """Return every choice as it is read, the best evidence first.

    Args:
        found: As `core.robustness.robustness`.
        confidence_level: Of its intervals.
    """
    rows = found.assign(confidence_level=confidence_level)
    return pd.DataFrame(
        {
            "Method": [words.method(name) for name in rows["method"]],
            "Grade": rows["evidence"].to_numpy(),
            "Hours after": rows["post_hours"].to_numpy(),
            "Days before": [
                formats.MISSING if formats.is_missing(days) else f"{days:.0f}"
                for days in rows["baseline_days"]
            ],
            "Extreme users": [_RULES.get(rule, rule) for rule in rows["outliers"]],
            "Lift": rows["rel_effect_size"].to_numpy(),
            f"{level(rows)} interval": [
                "none: it only describes" if row["is_descriptive"] else interval(row)
                for _, row in rows.iterrows()
            ],
            "p": rows["pvalue"].to_numpy(),
            "Remark": [_remark(row) for _, row in rows.iterrows()],
        }
    )


def _remark(row: pd.Series) -> str:
    if row["flips"]:
        return "✗ the sign turns"
    return "the headline" if row["is_chosen"] else ""
