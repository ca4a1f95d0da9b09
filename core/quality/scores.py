"""Scores of the data: is the database's side right, is the activity's, and both together.

A part is a share of things that are as they must be. What cannot be told is missing and left out
of the weighted mean, whose other weights then count for more; it is never zero.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from core.quality.evidence import Evidence, Groups
from core.quality.frames import SCORES
from core.quality.parts import (
    ACTIVITY,
    COMPLETENESS,
    CONSISTENCY,
    COVERAGE,
    DATABASE,
    EVENTS,
    IDENTIFIERS,
    MAPPING,
    PARTS,
    READINESS,
    TIMESTAMPS,
    TIMING,
    Part,
    status_of,
)

COMBINED, TOTAL = "combined", "total"
WEIGHTS = {
    DATABASE: {MAPPING: 0.4, TIMESTAMPS: 0.2, COMPLETENESS: 0.2, IDENTIFIERS: 0.2},
    ACTIVITY: {COVERAGE: 0.3, EVENTS: 0.2, TIMING: 0.2, READINESS: 0.2, CONSISTENCY: 0.1},
}
"""Shares of each side's total. Mapping counts double in the database: who is not mapped is lost,
while a wrong instant, a missing detail or a doubtful identifier leaves a number that is worse."""
THRESHOLD = 0.95


def scores(
    evidence: Evidence, *, threshold: float = THRESHOLD, mapped_threshold: float = THRESHOLD
) -> pd.DataFrame:
    """Return SCORES of all campaigns, each layer and each campaign.

    Args:
        evidence: What is scored.
        threshold: What every score is held against.
        mapped_threshold: What mapping is held against.
    """
    groups = Groups(evidence.campaigns)
    held = {MAPPING: mapped_threshold}
    frames = []
    sides = []
    for side, makers in PARTS.items():
        parts = [make(evidence, groups) for make in makers]
        total = _total(side, parts, held, threshold, len(groups))
        sides.append(total)
        frames += [_rows(part, groups, held.get(part.name, threshold)) for part in [*parts, total]]
    frames.append(_rows(_combined(sides, threshold), groups, threshold))
    table = pd.concat(frames, keys=range(len(frames)), names=["part_place", "group"])
    table = table.sort_index(level=["group", "part_place"]).reset_index(drop=True)
    return SCORES.checked(table)


def share(value: float) -> str:
    """Return a share in percent, never rounded up to a threshold it does not reach."""
    return f"{math.floor(value * 1000 + 1e-6) / 10:.1f} %"


def _total(
    side: str, parts: Sequence[Part], held: Mapping[str, float], threshold: float, n_groups: int
) -> Part:
    """Return the weighted mean of the parts that can be told."""
    values = np.stack([part.score for part in parts])
    weights = np.array([WEIGHTS[side][part.name] for part in parts])[:, None]
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = (np.nan_to_num(values) * weights).sum(axis=0) / (known * weights).sum(axis=0)
    limits = np.array([held.get(part.name, threshold) for part in parts])[:, None]
    n, n_of = (known & (values >= limits)).sum(axis=0), known.sum(axis=0)
    names = np.array([part.name.replace("_", " ") for part in parts], dtype=object)
    said = [
        _of_parts(int(n[group]), int(n_of[group]), list(names[~known[:, group]]))
        for group in range(n_groups)
    ]
    return Part(
        side=side, name=TOTAL, score=mean, n=n, n_of=n_of, inputs=said,
        status=status_of(n_of > 0, "no_data"),
    )  # fmt: skip


def _of_parts(n: int, n_of: int, missing: list[str]) -> str:
    rest = f"; without {', '.join(missing)}, which cannot be told" if len(missing) else ""
    return f"{n} of {n_of} parts reach what they are held against{rest}"


def _combined(sides: Sequence[Part], threshold: float) -> Part:
    """Return the mean of the sides that can be told."""
    values = np.stack([side.score for side in sides])
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.nan_to_num(values).sum(axis=0) / known.sum(axis=0)
    said = [
        ", ".join(
            f"{side.side} {share(float(side.score[group]))}"
            for side in sides
            if not np.isnan(side.score[group])
        )
        for group in range(values.shape[1])
    ]
    return Part(
        side=COMBINED, name=TOTAL, score=mean, n=(known & (values >= threshold)).sum(axis=0),
        n_of=known.sum(axis=0), inputs=said, status=status_of(known.sum(axis=0) > 0, "no_data"),
    )  # fmt: skip


def _rows(part: Part, groups: Groups, threshold: float) -> pd.DataFrame:
    n = len(groups)
    weight = WEIGHTS.get(part.side, {}).get(part.name, 1.0)
    texts = {"level": groups.levels, "of": groups.of, "side": [part.side] * n}
    texts |= {"part": [part.name] * n, "inputs": part.inputs}
    return pd.DataFrame(
        {
            **{name: pd.array(values, dtype="str") for name, values in texts.items()},
            "status": pd.array(part.status, dtype="str"),
            "weight": np.full(n, weight),
            "score": part.score,
            "threshold": np.full(n, threshold),
            "n": part.n.astype(np.int64),
            "n_of": part.n_of.astype(np.int64),
        }
    )
