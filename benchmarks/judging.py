"""Estimates judged by the truth, and what many of them add up to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.histories import World
from core.measure.classic import classic
from core.measure.comparison import comparison, holdout
from core.measure.contrasts import Contrast, infer, moments
from core.measure.estimates import ORDER, Estimates, estimate
from core.measure.headline import UNIDENTIFIED, choose
from core.measure.hierarchy import draws as posterior_draws
from core.measure.hierarchy import pool
from core.measure.influence import log_ratio_influence
from core.measure.joint import joint
from core.measure.panel import all_rates
from core.measure.ranks import ranks
from core.measure.self_control import self_control
from core.measure.window_control import window

LEVEL = 0.95
HEADLINE = "headline"
_N_POSTERIOR = 1000
_BEST_EDGES = (0.02, 0.1, 0.3, 0.6, 1.01)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """One statement about one drawn world.

    Attributes:
        subject: What it is about: a campaign, a layer's mean, a rank.
        method: The method.
        status: "ok", or why there is no number.
        is_rejected: p < 0.05; None where nothing is tested.
        is_covered: The interval of the percent lift holds the truth.
        is_bounded: It has an upper limit.
        claimed: How often it says it holds the truth.
        post: Rate after.
        ideal: What that is on average if the expected rate is right: expected (1 + truth).
    """

    subject: str
    method: str
    status: str = "ok"
    is_rejected: bool | None = None
    is_covered: bool = False
    is_bounded: bool = True
    claimed: float = LEVEL
    post: float = np.nan
    ideal: float = np.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """All draws of one subject of a case by one method.

    Attributes:
        case: Name of the world.
        is_null: Whether there truly is nothing.
        subject: As in the draws.
        method: As in the draws.
        n: Draws.
        n_known: With a number.
        rejected: Share of those with p < 0.05, NaN where nothing is tested.
        covered: Share of those that hold the truth.
        claimed: What that share should be.
        unbounded: Share of those without an upper limit.
        error: Rates after over their ideals, less 1, summed over draws; a mean of ratios would
            show an error where there is none.
        reasons: Why there was no number, the commonest first.
    """

    case: str
    is_null: bool
    subject: str
    method: str
    n: int
    n_known: int
    rejected: float
    covered: float
    claimed: float
    unbounded: float
    error: float
    reasons: str

    def monte_carlo(self, share: float) -> float:
        """Return the standard error of a share of the known draws (Agresti and Coull 1998)."""
        n = self.n_known + 4
        near = (share * self.n_known + 2) / n  # without it, 40 of 40 would have none
        return float(np.sqrt(near * (1 - near) / n))

    @property
    def is_off(self) -> bool:
        """Return whether a rate is 2 points off its nominal one, beyond two Monte Carlo errors."""
        shares = [(self.covered, self.claimed)]
        if self.is_null and np.isfinite(self.rejected):
            shares.append((self.rejected, 1 - LEVEL))
        return self.n_known > 0 and any(
            abs(share - nominal) > 0.02 + 2 * self.monte_carlo(share) for share, nominal in shares
        )

    def line(self) -> str:
        """Return it as a line of the table."""
        shares = "  ".join(self._share(share) for share in (self.rejected, self.covered))
        error = f"{self.error:+7.1%}" if np.isfinite(self.error) else f"{'':7}"
        return (
            f"{self.case[:34]:34} {self.subject[:11]:11} {self.method:18} {self.n:5} "
            f"{1 - self.n_known / self.n:7.1%}  {shares} {self.claimed:6.1%} "
            f"{'*' if self.is_off else ' '} {self.unbounded:6.1%} {error} {self.reasons}"
        )

    def _share(self, share: float) -> str:
        known = np.isfinite(share)
        return f"{share:6.1%} ±{self.monte_carlo(share):5.1%}" if known else f"{'':13}"


HEADER = (
    f"{'world':34} {'subject':11} {'method':18} {'draws':>5} {'missing':>7}  {'p < 0.05':>13}  "
    f"{'covered':>13} {'claims':>6}   {'unbnd':>6} {'error':>7}"
)


def summarised(case: str, draws: Sequence[Draw], *, is_null: bool) -> list[Summary]:
    """Return what draws of one world add up to, by subject and method."""
    groups: dict[tuple[str, str], list[Draw]] = {}
    for draw in draws:
        groups.setdefault((draw.subject, draw.method), []).append(draw)
    found = []
    for (subject, method), mine in sorted(groups.items(), key=lambda group: group[0][0]):
        known = [draw for draw in mine if draw.status == "ok"]
        why = [draw.status for draw in mine if draw.status != "ok"]
        ideal = sum(draw.ideal for draw in known)
        found.append(
            Summary(
                case=case,
                is_null=is_null,
                subject=subject,
                method=method,
                n=len(mine),
                n_known=len(known),
                rejected=_mean([d.is_rejected for d in known if d.is_rejected is not None]),
                covered=_mean([draw.is_covered for draw in known]),
                claimed=_mean([draw.claimed for draw in known]),
                unbounded=_mean([not draw.is_bounded for draw in known]),
                error=sum(draw.post for draw in known) / ideal - 1 if ideal > 0 else np.nan,
                reasons=" ".join(sorted(set(why), key=why.count, reverse=True)),
            )
        )
    return found


def lines_of(summaries: Sequence[Summary]) -> list[str]:
    """Return a line for each method that ever gave a number, and one naming the others."""
    lines = [summary.line() for summary in summaries if summary.n_known]
    without = [f"{s.method} ({s.reasons})" for s in summaries if not s.n_known]
    return lines + ([f"  no number: {', '.join(dict.fromkeys(without))}"] if without else [])


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else np.nan


def judged(
    subject: str, method: str, contrast: Contrast, truth: float, *, se_scale: float = 1.0
) -> Draw:
    """Return one estimate judged by the true relative effect."""
    if not contrast.is_known:
        return Draw(subject=subject, method=method, status=contrast.status)
    var_post, var_expected, cov = (part[0] * se_scale**2 for part in moments([contrast]))
    found = infer(
        contrast.post, contrast.expected, var_post=var_post, var_expected=var_expected, cov=cov,
        df=contrast.df, confidence_level=LEVEL,
    )  # fmt: skip
    if not np.isfinite(found.pvalue[0]):
        return Draw(subject=subject, method=method, status="no_variation")
    low, high = found.relative.ci_low[0], found.relative.ci_high[0]
    return Draw(
        subject=subject,
        method=method,
        is_rejected=bool(found.pvalue[0] < 1 - LEVEL),
        is_covered=not (truth < low or truth > high),  # where there is no limit, all is held
        is_bounded=bool(np.isfinite(high)),
        post=float(contrast.post[0]),
        ideal=float(contrast.expected[0]) * (1 + truth),
    )


def by_campaign(world: World) -> Iterator[Draw]:
    """Yield what every method says of each tested campaign, self-checks left out."""
    study = world.study
    everywhere, rates = joint(study), all_rates(study.panel, "keep")
    for label, code in world.tested:
        yield from _every_method(
            world, label, code,
            {
                "holdout": holdout(study, code),
                "comparison": comparison(study, code),
                "self_control": self_control(study, code),
                "joint": everywhere[code],
                "window": window(study, code),
                "classic": classic(study.panel, rates, code),
            },
        )  # fmt: skip


def with_self_checks(world: World) -> Iterator[Draw]:
    """Yield the same by the whole engine, standard errors widened where placebos say so."""
    found = estimate(world.study, all_rates(world.study.panel, "keep"))
    for label, code in world.tested:
        contrasts = {method: found.contrasts[method][code] for method in ORDER}
        yield from _every_method(world, label, code, contrasts, found)


def _every_method(
    world: World, label: str, code: int, contrasts: Mapping[str, Contrast],
    estimates: Estimates | None = None,
) -> Iterator[Draw]:  # fmt: skip
    truth = float(world.truth[code])
    draws = {}
    for method in ORDER:
        scale = estimates.se_scale(code, method) if estimates else 1.0
        draws[method] = judged(label, method, contrasts[method], truth, se_scale=scale)
    yield from draws.values()
    method, is_identified = choose(contrasts, is_triggered=world.study.is_triggered(code))
    if is_identified:
        scale = estimates.se_scale(code, method) if estimates else 1.0
        yield judged(label, HEADLINE, contrasts[method], truth, se_scale=scale)
    else:
        yield Draw(subject=label, method=HEADLINE, status=UNIDENTIFIED)


def pooled(world: World, rng: np.random.Generator, *, mean: float, spread: float) -> list[Draw]:
    """Return what pooling says of a layer: its mean, the next campaign, each campaign, ranks.

    Log ratios are pooled, as the layers' tables are; beside the full covariance its diagonal, as
    if the campaigns had nobody in common.

    Args:
        world: Campaigns on the same people.
        rng: Of the next campaign, and of the posterior draws.
        mean: True relative effect of a typical campaign.
        spread: True standard deviation of the log ratios between campaigns.
    """
    study = world.study
    by_method = {
        "comparison": [comparison(study, code) for _, code in world.tested],
        "joint": joint(study),
    }
    draws: list[Draw] = []
    for method, contrasts in by_method.items():
        places = [place for place, one in enumerate(contrasts) if _carries(one)]
        some, truth = [contrasts[place] for place in places], world.truth[places]
        draws += [judged("campaigns", method, one, t) for one, t in zip(some, truth, strict=True)]
        logs, psi = log_ratio_influence(some, 0, n_persons=len(study.signed_up))
        full = psi.T.astype(np.float64) @ psi
        coming = np.expm1(rng.normal(np.log1p(mean), spread))
        for name, covariance in (("", full), (", diag V", np.diag(np.diag(full)))):
            found = pool(logs, covariance, confidence_level=LEVEL)
            label = method + name
            draws += [
                _held("mean", label, mean, found.mean_ci_low, found.mean_ci_high, found.mean),
                _held("next", label, coming, found.prediction_low, found.prediction_high),
            ]
            each = zip(truth, found.shrunk_ci_low, found.shrunk_ci_high, found.shrunk, strict=True)
            draws += [_held("shrunk", label, *one) for one in each]
            if spread:
                drawn = posterior_draws(found, n=_N_POSTERIOR, seed=int(rng.integers(2**31)))
                draws += _ranked(label, truth, drawn)
    return draws


def _carries(one: Contrast) -> bool:
    """Say whether the expected rate is far enough from 0 for a percentage."""
    if not one.is_known:
        return False
    _, var_expected, _ = moments([one])
    return bool(one.post[0] > 0 and one.expected[0] > 2 * np.sqrt(var_expected[0, 0]))


def _held(
    subject: str, method: str, truth: float, low: float, high: float, estimated: float = np.nan
) -> Draw:
    """Return whether limits of a log ratio hold a true relative effect."""
    return Draw(
        subject=subject, method=method, is_covered=bool(low <= np.log1p(truth) <= high),
        post=np.exp(estimated), ideal=1 + truth,
    )  # fmt: skip


def _ranked(method: str, truth: np.ndarray, drawn: np.ndarray) -> Iterator[Draw]:
    found = ranks(drawn, confidence_level=LEVEL)
    rank = np.argsort(np.argsort(-truth)) + 1
    for true, low, high in zip(rank, found.rank_low, found.rank_high, strict=True):
        yield Draw(subject="rank", method=method, is_covered=bool(low <= true <= high))
    for true, p in zip(rank, found.p_best, strict=True):
        edge = next(e for e in _BEST_EDGES if p < e)
        yield Draw(
            subject=f"best p<{min(edge, 1):.2f}", method=method, is_covered=bool(true == 1),
            claimed=float(p),
        )  # fmt: skip
