"""Kinds of sends compared: pooled effects of each, and how far they are apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from core.activity.timelines import Int64
from core.insight.labels import NO_LABEL
from core.measure.ratios import Floats
from core.measure.regression import Combination, MetaRegression, combined, meta_regression

FEWEST = 2
"""Campaigns a kind needs on each side; one send differs from another in everything at once."""
OTHERS, LATER = "all others", "later"
TOO_FEW, NO_SPREAD = "too_few_campaigns", "no_spread"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """Log ratios to be compared, an entry a campaign or a part of one.

    Attributes:
        values: Log of the rate after over the one expected.
        covariance: Of their errors.
        campaigns: Which campaign each belongs to.
        n_pushes: Pushes behind each.
        expected: Events expected of those without the push.
    """

    values: Floats
    covariance: Floats
    campaigns: Int64
    n_pushes: Int64
    expected: Floats

    def taken(self, rows: NDArray[np.bool_]) -> Sample:
        """Return some of the entries."""
        return Sample(
            values=self.values[rows], covariance=self.covariance[np.ix_(rows, rows)],
            campaigns=self.campaigns[rows], n_pushes=self.n_pushes[rows],
            expected=self.expected[rows],
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One kind of send.

    Attributes:
        name: Of the kind.
        position: Its place on a scale, NaN where there is none.
        n_campaigns: Campaigns behind it.
        n_pushes: Pushes behind it.
        effect: Pooled log ratio; None where there is none.
    """

    name: str
    position: float
    n_campaigns: int
    n_pushes: int
    effect: Combination | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One kind against another.

    Attributes:
        group: The kind.
        other: What it is compared with.
        n_campaigns: Campaigns of the kind.
        n_other: Campaigns of the other.
        test: Of the difference of log ratios; None where there is none.
        base: Pooled log ratio of the other (of the middle of a scale).
        status: "ok", or why there is no number.
    """

    group: str
    other: str
    n_campaigns: int
    n_other: int
    test: Combination | None = None
    base: float = np.nan
    status: str = "ok"

    def as_relative(self, log_difference: float) -> float:
        """Return a difference of logs as one of relative effects, the other's held as it is."""
        return float(np.exp(self.base) * np.expm1(log_difference))


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """The answer to one question."""

    groups: tuple[Group, ...]
    differences: tuple[Difference, ...]


def compare(
    sample: Sample,
    codes: Int64,
    *,
    names: Sequence[str],
    positions: Sequence[float],
    confidence_level: float,
    is_within: bool = False,
    is_ordered: bool = False,
) -> Compared:
    """Return each kind's pooled effect, and each against the rest.

    One regression with a mean for each kind and one variance between campaigns, so that what is
    shown of kinds and of their differences cannot contradict each other: `meta_regression`. The
    rest of a kind is the mean of the other kinds by their campaigns (pushes, where campaigns are
    divided). Two kinds are one comparison.

    Args:
        sample: The effects.
        codes: Int64[effects], kind of each; NO_LABEL leaves one out.
        names: Of the kinds.
        positions: Their places on a scale.
        confidence_level: For example 0.95.
        is_within: Campaigns are divided into kinds: each is compared with its other parts alone,
            which takes out whatever else campaigns differ in.
        is_ordered: Kinds follow each other: each is compared with those after it as well.
    """
    used = codes != NO_LABEL
    if is_within:
        used &= _is_divided(sample.campaigns, codes)
    sample, codes = sample.taken(used), codes[used]
    found = [place for place in range(len(names)) if (codes == place).any()]
    counts = {g: len(np.unique(sample.campaigns[codes == g])) for g in found}
    fit = _fitted(sample, codes, found, is_within=is_within)
    size = {g: float(sample.n_pushes[codes == g].sum()) if is_within else counts[g] for g in found}

    def mean_of(some: Sequence[int]) -> Floats:
        weights = np.zeros(0 if fit is None else len(fit.coefficients))
        if fit is not None:
            weights[[found.index(g) for g in some]] = [size[g] for g in some]
            weights /= weights.sum()
        return weights

    def effect_of(g: int) -> Combination | None:
        if fit is None or counts[g] < FEWEST:
            return None
        return combined(fit, mean_of([g]), confidence_level=confidence_level)

    groups = tuple(
        Group(
            name=names[g], position=positions[g], n_campaigns=counts[g],
            n_pushes=int(sample.n_pushes[codes == g].sum()), effect=effect_of(g),
        )
        for g in found
    )  # fmt: skip

    def against(g: int, rest: Sequence[int], other: str) -> Difference:
        n_other = len(np.unique(sample.campaigns[np.isin(codes, rest)]))
        bare = Difference(
            group=names[g], other=other, n_campaigns=counts[g], n_other=n_other, status=TOO_FEW
        )
        if fit is None or min(counts[g], n_other) < FEWEST:
            return bare
        test = combined(fit, mean_of([g]) - mean_of(rest), confidence_level=confidence_level)
        return replace(bare, test=test, base=float(mean_of(rest) @ fit.coefficients), status="ok")

    return Compared(
        groups=groups,
        differences=tuple(
            against(g, rest, names[rest[0]] if len(found) == 2 else other)
            for g, rest, other in _pairs(found, is_ordered=is_ordered)
        ),
    )


def slope(
    sample: Sample,
    position: Floats,
    *,
    names: tuple[str, str],
    least_spread: float,
    confidence_level: float,
    is_within: bool = False,
) -> Difference:
    """Return how the effect changes per step of a scale.

    Args:
        sample: The effects.
        position: Of each on the scale.
        names: What is varied, and what a step is.
        least_spread: Standard deviation of the positions below which nothing can be told.
        confidence_level: For example 0.95.
        is_within: As in `compare`.
    """
    if is_within:
        used = _is_divided(sample.campaigns, np.unique(position, return_inverse=True)[1])
        sample, position = sample.taken(used), position[used]
    n = len(np.unique(sample.campaigns))
    bare = Difference(group=names[0], other=names[1], n_campaigns=n, n_other=n, status=TOO_FEW)
    if len(sample.values) < FEWEST + 1:
        return bare
    if float(np.std(position)) < least_spread:
        return replace(bare, status=NO_SPREAD)
    centred = position - position.mean()
    columns = [np.ones(len(centred)), centred]
    fit = _regressed(sample, np.column_stack(columns), is_within=is_within)
    if fit is None:
        return bare
    weights = np.zeros(len(fit.coefficients))
    weights[1] = 1.0
    test = combined(fit, weights, confidence_level=confidence_level)
    return replace(bare, test=test, base=float(fit.coefficients[0]), status="ok")


def _pairs(found: list[int], *, is_ordered: bool) -> list[tuple[int, list[int], str]]:
    """Return each kind, those it is compared with, and what they are called."""
    if len(found) < 2:
        return [(g, [], OTHERS) for g in found]
    if len(found) == 2:
        return [(found[0], [found[1]], OTHERS)]
    pairs = [(g, [h for h in found if h != g], OTHERS) for g in found]
    if is_ordered:  # the first one's later ones are all its others
        pairs += [(g, found[i + 2 :], LATER) for i, g in enumerate(found[1:-1])]
    return pairs


def _is_divided(campaigns: Int64, codes: Int64) -> NDArray[np.bool_]:
    """Return which entries are of campaigns that have several kinds in them."""
    known = codes != NO_LABEL
    kinds = np.unique(np.column_stack([campaigns[known], codes[known]]), axis=0)[:, 0]
    several, n = np.unique(kinds, return_counts=True)
    divided: NDArray[np.bool_] = np.isin(campaigns, several[n > 1])
    return divided


def _fitted(
    sample: Sample, codes: Int64, found: Sequence[int], *, is_within: bool
) -> MetaRegression | None:
    if not found:
        return None
    kinds = (codes[:, None] == np.array(found)).astype(float)
    return _regressed(sample, kinds, is_within=is_within)


def _regressed(sample: Sample, design: Floats, *, is_within: bool) -> MetaRegression | None:
    """Return the regression, with a level of each campaign if asked; None where it cannot be."""
    if is_within:
        own = (sample.campaigns[:, None] == np.unique(sample.campaigns)).astype(float)
        design = np.column_stack([design, own[:, :-1] - own[:, -1:]])  # levels add up to nothing
    if design.shape[1] >= len(design) or np.linalg.matrix_rank(design) < design.shape[1]:
        return None
    return meta_regression(sample.values, sample.covariance, design)
