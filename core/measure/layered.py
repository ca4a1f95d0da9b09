"""Joint draws of all campaigns' effects where each is drawn towards its own layer.

Model: estimates ~ N(effects, V) with V the full covariance, layers that share people included;
effects of a layer ~ N(its mean, its tau^2), flat priors on means and on taus, as in `hierarchy`
for one layer. Given the taus everything is normal; the taus themselves are drawn from each
layer's own posterior and weighted to the joint one (self-normalised importance sampling: Gelman
et al., Bayesian Data Analysis, 3rd ed., section 10.4). Effects given taus are drawn by correcting
an unconditional draw (Hoffman and Ribak 1991, ApJ 380, L5), which a singular V does not trouble.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from core.errors import DataError
from core.measure.hierarchy import Hierarchy
from core.measure.ratios import Floats

_MOST_TAUS, _FEWEST_TAUS, _ENTRIES = 80, 20, 500_000
"""Draws of the taus: each takes an inverse of all campaigns' covariance, so many campaigns get
fewer."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Layers:
    """Distinct estimates by layer.

    Attributes:
        estimates: Shape [d].
        covariance: Shape [d, d].
        groups: The layer of each, 0 to g - 1, shape [d].
        taus: Draws of each layer's tau from its own posterior, shape [t, g].
    """

    estimates: Floats
    covariance: Floats
    groups: NDArray[np.intp]
    taus: Floats

    @property
    def design(self) -> Floats:
        """Return which layer's mean each effect is drawn to, shape [d, g]."""
        return np.eye(self.taus.shape[1])[self.groups]


def layered_draws(
    estimates: Floats,
    covariance: Floats,
    groups: NDArray[np.intp],
    hierarchies: Sequence[Hierarchy],
    *,
    n: int = 4000,
    seed: int,
) -> Floats:
    """Return joint posterior draws of all campaigns' effects, shape [n, campaigns].

    A campaign recorded twice enters once, as in `hierarchy.pool`; one alone in its group is not
    drawn to anything, its effect is its own estimate.

    Args:
        estimates: One effect per campaign, shape [k], any unit.
        covariance: Covariance of their errors, shape [k, k], that unit squared.
        groups: What each is drawn to, a position in `hierarchies`, shape [k].
        hierarchies: What `pool` says of each group's own estimates and their covariance.
        n: Draws.
        seed: Of the generator; the same seed gives the same draws.

    Raises:
        DataError: The groups do not fit the hierarchies.
    """
    rng = np.random.default_rng(seed)
    layers, member = _layers(estimates, covariance, groups, hierarchies, rng)
    precision = _precision(layers)
    log_weight = _log_density(layers, precision) - _own_log_density(layers)
    weight = np.exp(log_weight - log_weight.max())
    of = rng.choice(len(weight), size=len(weight), p=weight / weight.sum())
    each = -(-n // len(weight))
    drawn = _effects(replace(layers, taus=layers.taus[of]), precision[of], each, rng)
    return drawn.swapaxes(0, 1).reshape(each * len(weight), -1)[:n, member]


def _layers(
    estimates: Floats,
    covariance: Floats,
    groups: NDArray[np.intp],
    hierarchies: Sequence[Hierarchy],
    rng: np.random.Generator,
) -> tuple[_Layers, NDArray[np.intp]]:
    """Return the distinct estimates with draws of their taus, and whose copy each campaign is."""
    kept: list[NDArray[np.intp]] = []
    member = np.empty(len(estimates), dtype=np.intp)
    for group, hierarchy in enumerate(hierarchies):
        own = np.flatnonzero(groups == group)
        if len(own) != hierarchy.n:
            raise DataError(
                f"Group {group} has {len(own)} campaigns, its hierarchy {hierarchy.n}: pool the "
                "same campaigns."
            )
        joint = hierarchy.joint
        member[own] = sum(map(len, kept)) + joint.member
        kept.append(own[np.unique(joint.member, return_index=True)[1]])
    rows = np.concatenate(kept)
    n = int(np.clip(_ENTRIES // max(len(rows), 1) ** 2, _FEWEST_TAUS, _MOST_TAUS))
    taus = [rng.choice(one.joint.tau, size=n, p=one.joint.weights) for one in hierarchies]
    return (
        _Layers(
            estimates=estimates[rows],
            covariance=covariance[np.ix_(rows, rows)],
            groups=groups[rows],
            taus=np.stack(taus, axis=1),
        ),
        member,
    )


def _precision(layers: _Layers) -> Floats:
    """Return the inverse of the estimates' covariance around their layers' means, [t, d, d]."""
    total = np.repeat(layers.covariance[None], len(layers.taus), axis=0)
    at = np.arange(len(layers.estimates))
    total[:, at, at] += layers.taus[:, layers.groups] ** 2
    return np.asarray(np.linalg.inv(total), dtype=np.float64)


def _log_density(layers: _Layers, precision: Floats) -> Floats:
    """Return log p(taus | estimates) up to a constant, shape [t]."""
    design = layers.design
    weighted = precision @ design
    information = design.T @ weighted
    right = (weighted.swapaxes(1, 2) @ layers.estimates)[..., None]
    means = np.linalg.solve(information, right)[..., 0]
    residual = (layers.estimates - means @ design.T)[..., None]
    fit = (residual.swapaxes(1, 2) @ precision @ residual)[:, 0, 0]
    found: Floats = (np.linalg.slogdet(precision)[1] - np.linalg.slogdet(information)[1] - fit) / 2
    return found


def _own_log_density(layers: _Layers) -> Floats:
    """Return the same where layers share nobody: what the taus were drawn from."""
    found = np.zeros(len(layers.taus))
    for group in range(layers.taus.shape[1]):
        own = np.flatnonzero(layers.groups == group)
        alone = _Layers(
            estimates=layers.estimates[own],
            covariance=layers.covariance[np.ix_(own, own)],
            groups=np.zeros(len(own), dtype=np.intp),
            taus=layers.taus[:, [group]],
        )
        found += _log_density(alone, _precision(alone))
    return found


def _effects(layers: _Layers, precision: Floats, each: int, rng: np.random.Generator) -> Floats:
    """Return as many draws of the effects given each of the taus, shape [t, each, d]."""
    design, shape = layers.design, (len(precision), each, len(layers.estimates))
    values, vectors = np.linalg.eigh(layers.covariance)
    spread = layers.taus[:, None, layers.groups]
    noise = rng.standard_normal(shape) * np.sqrt(np.maximum(values, 0)) @ vectors.T
    deviation = spread * rng.standard_normal(shape)
    # a draw of what would be seen around means of 0, then means and deviations put right by it
    seen = layers.estimates - noise - deviation
    weighted = precision @ design
    means = seen @ weighted @ np.linalg.inv(design.T @ weighted) @ design.T
    found: Floats = means + deviation + spread**2 * ((seen - means) @ precision)
    return found
