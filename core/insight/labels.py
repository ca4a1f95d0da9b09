"""What kind of send a campaign or a push was: the labels that patterns compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from core.activity.timelines import MS_PER_DAY, MS_PER_HOUR, Int64
from core.measure.ratios import Floats

NO_LABEL = -1
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_BLOCKS = (0, 6, 12, 18)
"""Hours of the day at which a block begins."""
_THURSDAY = 3
"""The weekday of 1 January 1970."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Labels:
    """The kinds there are, and which one each campaign or push is.

    Attributes:
        names: Of the kinds, in the order they are shown.
        codes: Int64[n], positions in `names`; NO_LABEL where there is none.
        positions: Place of each kind on a scale, NaN where the kinds are not on one.
    """

    names: tuple[str, ...]
    codes: Int64
    positions: tuple[float, ...]


def of_texts(texts: Sequence[str | None]) -> Labels:
    """Return labels of named kinds in alphabetical order; None is no label."""
    names = tuple(sorted({text for text in texts if text is not None}))
    place: dict[str | None, int] = {name: i for i, name in enumerate(names)}
    return Labels(
        names=names,
        codes=np.array([place.get(text, NO_LABEL) for text in texts], dtype=np.int64),
        positions=(np.nan,) * len(names),
    )


def of_weekdays(instants: Int64, offsets_ms: Int64) -> Labels:
    """Return the local weekday of each instant.

    Args:
        instants: Milliseconds UTC.
        offsets_ms: Local time less UTC at each.
    """
    codes = ((instants + offsets_ms) // MS_PER_DAY + _THURSDAY) % 7
    return Labels(names=WEEKDAYS, codes=codes, positions=tuple(float(day) for day in range(1, 8)))


def of_hours(instants: Int64, offsets_ms: Int64) -> Labels:
    """Return the block of the local day each instant lies in; the last ends at midnight."""
    hours = (instants + offsets_ms) % MS_PER_DAY // MS_PER_HOUR
    ends = (*_BLOCKS[1:], 24)
    return Labels(
        names=tuple(f"{a:02}:00 to {b:02}:00" for a, b in zip(_BLOCKS, ends, strict=True)),
        codes=np.searchsorted(_BLOCKS, hours, side="right").astype(np.int64) - 1,
        positions=tuple(float(edge) for edge in _BLOCKS),
    )


def of_bins(values: Floats, edges: Sequence[float], *, unit: str) -> Labels:
    """Return which bin each value lies in, [edge, next edge), the last without an end.

    Args:
        values: NaN, infinite or below the first edge is no label.
        edges: Ascending.
        unit: Follows the numbers in the names, such as "h".
    """
    names = [f"{low:g} to {high:g} {unit}" for low, high in pairwise(edges)]
    codes = np.searchsorted(edges, np.where(np.isfinite(values), values, -np.inf), side="right") - 1
    return Labels(
        names=(*names, f"{edges[-1]:g} {unit} or more"),
        codes=codes.astype(np.int64),
        positions=tuple(float(edge) for edge in edges),
    )


def of_flags(flags: NDArray[np.bool_], *, yes: str, no: str) -> Labels:
    """Return one of two kinds each."""
    return Labels(
        names=(yes, no), codes=np.where(flags, 0, 1).astype(np.int64), positions=(np.nan, np.nan)
    )
