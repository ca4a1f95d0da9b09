"""Two numbers beside each other, as sentences: methods, layers, and what a check found."""

from __future__ import annotations

import pandas as pd

from core.publish import formats, words

ALIKE = 0.05
"""Two estimates are said to be about the same where they differ by less than this share."""
HONEST = 0.05
"""Share of checks without any effect that an honest test at 5 % calls one."""


def misled(layers: pd.DataFrame, metric: str, *, layer: str = "all") -> str:
    """Return how far plain before and after would have misled, both numbers in one sentence.

    Args:
        layers: frames.LAYER_LIFTS.
        metric: The metric.
        layer: The layer, or "all".

    Returns:
        Nothing where one of the two has no number.
    """
    rows = layers[(layers["metric"] == metric) & (layers["layer"] == layer)]
    found = {str(row["method"]): row for _, row in rows.iterrows()}
    best, plain = found.get("headline"), found.get("classic")
    if best is None or plain is None:
        return ""
    values = float(best["rel_effect_size"]), float(plain["rel_effect_size"])
    if any(map(formats.is_missing, values)):
        return ""
    return (
        f"Plain before and after would have said {words.effect(plain)} instead of "
        f"{words.effect(best)}{_times(*values)}."
    )


def difference(row: pd.Series) -> str:
    """Return a layer contrast with its interval in percentage points, "+1.2 pp [0.3, 2.1]".

    Args:
        row: One row of LAYER_CONTRASTS.
    """
    if formats.is_missing(row["difference"]):
        return formats.missing("baseline_near_zero")
    return formats.points(
        row["difference"], (float(row["difference_ci_low"]), float(row["difference_ci_high"]))
    )


def contrasts_sentence(contrasts: pd.DataFrame, metric: str) -> str:
    """Return whether layers clearly differ, in a sentence.

    Args:
        contrasts: frames.LAYER_CONTRASTS.
        metric: The metric.
    """
    rows = contrasts[(contrasts["metric"] == metric) & contrasts["difference"].notna()]
    if rows.empty:
        return "There are no two layers to compare."
    clear = [row for _, row in rows.iterrows() if _is_apart(row)]
    if not clear:
        return "No two layers clearly differ: every interval of a difference includes zero."
    said = [
        f"layer {row['layer']} less layer {row['other_layer']} {difference(row)}" for row in clear
    ]
    return f"Clearly apart: {', '.join(said)}."


def checks_sentence(checks: pd.DataFrame) -> str:
    """Return what the self-checks found, in a sentence.

    Args:
        checks: frames.CHECKS.
    """
    if checks.empty:
        return "Nothing could be checked: no campaign could be repeated where nothing was sent."
    n = int(checks["n_checks"].sum())
    called = float((checks["false_positive_share"] * checks["n_checks"]).sum()) / n
    widened = int((checks["se_scale"] > 1).sum())
    acted = (
        f" {formats.count(widened)} of {formats.count(len(checks))} comparisons varied more than "
        "they should and were widened."
        if widened
        else " None had to be widened."
    )
    return (
        f"Where nothing was sent, {formats.share(called)} of {formats.count(n)} estimates were "
        f"called an effect; {formats.share(HONEST)} would be right.{acted}"
    )


def _is_apart(row: pd.Series) -> bool:
    low, high = float(row["difference_ci_low"]), float(row["difference_ci_high"])
    return words.direction(low, high, estimate=float(row["difference"])) in {"above", "below"}


def _times(best: float, plain: float) -> str:
    if best * plain <= 0:
        return ", the other way round" if best * plain < 0 else ""
    times = plain / best
    if abs(times - 1) < ALIKE:
        return ", about the same"
    return f", {times:.1f} times as much"
