"""The same campaign under other choices: windows, baselines, outlier rules, methods."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.activity.timelines import MS_PER_DAY
from core.loading import Loaded
from core.measure.adequacy import sample_adequacy
from core.measure.classic import CLASSIC, classic
from core.measure.comparison import COMPARISON, HOLDOUT, randomised_and_compared
from core.measure.contrasts import Contrast, Inference, infer, missing, moments
from core.measure.estimates import ORDER, Estimates
from core.measure.headline import choose, evidence
from core.measure.holes import INCOMPLETE
from core.measure.joint import JOINT
from core.measure.outliers import VERDICT_SAFE
from core.measure.panel import MIN_OBSERVED_MS, Panel, Rules, all_rates
from core.measure.ratios import Floats
from core.measure.self_control import SELF_CONTROL, self_control
from core.measure.state import HISTORY_DAYS
from core.measure.study import Study
from core.measure.window_control import WINDOW, window
from core.measure.windows import Sends, WindowLengths, count_windows
from core.sections import Outliers
from core.span import to_ms

POST_HOURS = (24, 48, 72)
BASELINE_DAYS = (7, 14, 30)
EVERY_RULE: tuple[Outliers, ...] = ("keep", "winsorize", "iqr", "zscore")
CAPPED = (HOLDOUT, COMPARISON, CLASSIC)
"""Methods that look at capped windows; the others have one answer for all outlier rules."""
NOT_LOADED = "not_loaded"
CAPS: tuple[Outliers, ...] = ("keep", "winsorize")
_TOGETHER = (HOLDOUT, COMPARISON)
_ALONE = {SELF_CONTROL: self_control, WINDOW: window}
_TOLD = ("ok", "window_open", "no_baseline_events", "baseline_near_zero", "no_variation")
_THREADS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Choice:
    """One way to measure; the baseline's length matters to the classic comparison alone."""

    method: str
    lengths: WindowLengths
    outliers: Outliers


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Campaign:
    """One campaign in one metric.

    Attributes:
        study: Of that metric alone; its panel's counts are not used.
        code: The campaign's.
        span: First and last instant activity was read for, and first and last delivery.
    """

    study: Study
    code: int
    span: tuple[int, int, int, int]

    def lacks(self, choices: Sequence[_Choice]) -> NDArray[np.bool_]:
        """Return which choices rest on time nothing is known of, bool[choices]."""
        _, _, first, last = self.span
        history = HISTORY_DAYS * MS_PER_DAY
        before = [max(choice.lengths.baseline_ms, history) for choice in choices]
        after = [choice.lengths.post_ms for choice in choices]
        ends = np.minimum(last + np.array(after), self.study.panel.sends.as_of)
        touched = self.study.holes.touch(first - np.array(before), ends)
        return touched | self.study.lacks(self.code)

    def is_loaded(self, choice: _Choice) -> bool:
        """Say whether all windows lie in the time that was read; one still open may end later."""
        since, until, first, last = self.span
        before = choice.lengths.baseline_ms if choice.method == CLASSIC else 0
        end = min(last + choice.lengths.post_ms, self.study.panel.sends.as_of)
        return first - before >= since and end <= until


def robustness(
    loaded: Loaded, estimates: Estimates, rules: Rules, campaign_id: str, metric: str
) -> pd.DataFrame:
    """Return what other windows, baselines, outlier rules and methods say of a campaign.

    Only this campaign and metric are estimated. Standard errors of the comparison are widened by
    the self-checks as everywhere; the joint regression is shown under the estimates' own windows.

    Args:
        loaded: What was read; other campaigns' windows may be shorter than those asked for here,
            as long as this campaign's were read.
        estimates: Of all campaigns, under any windows.
        rules: The choice that was made, confidence, minimum recipients.
        campaign_id: Which campaign.
        metric: Which metric.

    Returns:
        One row a choice: method, evidence, post_hours, baseline_days (missing but for classic),
        outliers, n_users, n_comparison, effect_size, rel_effect_size, each with ci_low and
        ci_high, pvalue, status (`not_loaded`: windows longer than what was read),
        is_descriptive (users removed by how much they changed: no interval and no p-value),
        is_chosen (the headline under the rules), flips (the interval lies wholly on the other
        side of zero than the chosen estimate).

    Raises:
        ValueError: There is no such campaign or metric.
    """
    whole = estimates.study
    if campaign_id not in whole.campaign_ids or metric not in whole.panel.metric_names:
        raise ValueError(f"{campaign_id!r} and {metric!r} are not both among what was measured.")
    code, place = whole.campaign_ids.index(campaign_id), whole.panel.metric_names.index(metric)
    one = _campaign(loaded, whole, code, place)
    jobs = _jobs(rules)
    with ThreadPoolExecutor(_THREADS) as pool:
        parts = list(pool.map(lambda job: _contrasts(one, job), jobs))
    choices = [choice for job in jobs for choice in job]
    found = [contrast for part in parts for contrast in part]
    choices.append(_own_choice(whole))
    found.append(_of_metric(estimates.contrasts[JOINT][code], place))
    return _table(one, estimates, rules, choices, found)


def _campaign(loaded: Loaded, whole: Study, code: int, place: int) -> _Campaign:
    panel = whole.panel
    alone = replace(
        panel,
        metric_names=(panel.metric_names[place],),
        metric_events=(panel.metric_events[place],),
    )
    at = panel.sends.instants[panel.segments[code]]
    read = (
        to_ms(loaded.span.since) - loaded.lengths.baseline_ms,
        to_ms(loaded.span.until) + loaded.lengths.post_ms,
    )
    ends = (int(at.min()), int(at.max())) if len(at) else (read[0], read[0])
    return _Campaign(study=replace(whole, panel=alone), code=code, span=(*read, *ends))


def _jobs(rules: Rules) -> list[tuple[_Choice, ...]]:
    """Return every choice that is made here, those that share their work together."""
    own = rules.lengths
    posts = sorted({*POST_HOURS, own.post_hours})
    baselines = sorted({*BASELINE_DAYS, own.baseline_days})

    def choice(method: str, post: int, rule: Outliers, baseline: int) -> _Choice:
        lengths = WindowLengths(baseline_days=baseline, post_hours=post)
        return _Choice(method=method, lengths=lengths, outliers=rule)

    def of_post(post: int) -> list[tuple[_Choice, ...]]:
        return [
            *(tuple(choice(m, post, rule, own.baseline_days) for m in _TOGETHER) for rule in CAPS),
            *((choice(m, post, "keep", own.baseline_days),) for m in _ALONE),
            *(tuple(choice(CLASSIC, post, rule, d) for rule in EVERY_RULE) for d in baselines),
        ]

    return [job for post in posts for job in of_post(post)]


def _own_choice(whole: Study) -> _Choice:
    """Return the windows the estimates at hand were made with."""
    return _Choice(method=JOINT, lengths=whole.panel.lengths, outliers="keep")


def _contrasts(one: _Campaign, job: tuple[_Choice, ...]) -> list[Contrast]:
    """Return the contrast of each choice of a job, all of one campaign and the same windows."""
    first = job[0]
    if not one.is_loaded(first):
        return [missing(choice.method, NOT_LOADED, n_metrics=1) for choice in job]
    if first.method == CLASSIC:
        panel = _alone(one, first.lengths)
        return [classic(panel, all_rates(panel, choice.outliers), 0) for choice in job]
    study = replace(
        one.study,
        panel=replace(one.study.panel, lengths=first.lengths),
        is_capped=first.outliers == "winsorize",
    )
    if first.method in _ALONE:
        return [_ALONE[first.method](study, one.code)]
    return list(randomised_and_compared(study, one.code))


def _alone(one: _Campaign, lengths: WindowLengths) -> Panel:
    """Return the panel of this campaign's pushes only, counted under some windows."""
    panel = one.study.panel
    rows = panel.segments[one.code]
    sends = Sends(
        persons=panel.sends.persons[rows], instants=panel.sends.instants[rows],
        signed_up=panel.sends.signed_up[rows], as_of=panel.sends.as_of,
    )  # fmt: skip
    return replace(
        panel,
        campaigns=np.zeros(len(sends.persons), dtype=np.int64),
        n_campaigns=1,
        persons=panel.persons[rows],
        sends=sends,
        counts=count_windows(panel.index, sends, lengths, metrics=panel.metric_events),
        lengths=lengths,
    )


def _of_metric(contrast: Contrast, place: int) -> Contrast:
    own = slice(place, place + 1)
    variances = contrast.variances
    return replace(
        contrast,
        post=contrast.post[own],
        expected=contrast.expected[own],
        df=contrast.df[own],
        psi_post=contrast.psi_post[:, own],
        psi_expected=contrast.psi_expected[:, own],
        variances=(variances[0][own], variances[1][own], variances[2][own]) if variances else None,
    )


def _table(
    one: _Campaign,
    estimates: Estimates,
    rules: Rules,
    choices: Sequence[_Choice],
    found: Sequence[Contrast],
) -> pd.DataFrame:
    scales = np.array([estimates.se_scale(one.code, choice.method) for choice in choices])
    said = _said(found, scales, rules)
    status = _statuses(one, rules, choices, found, said)
    is_classic = np.array([choice.method == CLASSIC for choice in choices])
    texts: dict[str, list[str]] = {
        "method": [choice.method for choice in choices],
        "evidence": [evidence(c.method, scale) for c, scale in zip(choices, scales, strict=True)],
        "outliers": [str(choice.outliers) for choice in choices],
        "status": list(status),
    }
    days = np.array([choice.lengths.baseline_days for choice in choices], dtype=np.float64)
    table = pd.DataFrame(
        {
            **{name: pd.Series(values, dtype="str") for name, values in texts.items()},
            "post_hours": [choice.lengths.post_hours for choice in choices],
            "baseline_days": np.where(is_classic, days, np.nan),
            "n_users": [contrast.n_users for contrast in found],
            "n_comparison": [contrast.n_comparison for contrast in found],
            "effect_size": said.effect_size[:, 0],
            "effect_size_ci_low": said.ci_low[:, 0],
            "effect_size_ci_high": said.ci_high[:, 0],
            "rel_effect_size": said.relative.estimate[:, 0],
            "rel_effect_size_ci_low": said.relative.ci_low[:, 0],
            "rel_effect_size_ci_high": said.relative.ci_high[:, 0],
            "pvalue": said.pvalue[:, 0],
            "is_descriptive": [choice.outliers not in VERDICT_SAFE for choice in choices],
            "is_chosen": _are_chosen(one, estimates, rules, choices),
        }
    )
    numbers = [name for name in table.columns if "effect_size" in name or name == "pvalue"]
    table.loc[~table["status"].isin(_TOLD), numbers] = np.nan
    uncertain = [name for name in numbers if "_ci_" in name or name == "pvalue"]
    table.loc[table["is_descriptive"], uncertain] = np.nan
    return _sorted(_with_flips(table))


def _said(found: Sequence[Contrast], scales: Floats, rules: Rules) -> Inference:
    var_post, var_expected, cov = moments(found)
    wider = (scales**2)[:, None]
    return infer(
        np.stack([contrast.post for contrast in found]),
        np.stack([contrast.expected for contrast in found]),
        var_post=var_post * wider, var_expected=var_expected * wider, cov=cov * wider,
        df=np.stack([contrast.df for contrast in found]),
        confidence_level=rules.confidence_level,
    )  # fmt: skip


def _statuses(
    one: _Campaign,
    rules: Rules,
    choices: Sequence[_Choice],
    found: Sequence[Contrast],
    said: Inference,
) -> NDArray[np.object_]:
    """Say why a number is missing or provisional; the first reason counts."""
    panel = one.study.panel
    last, as_of = one.span[3], panel.sends.as_of
    n_pushed = len(panel.campaigns[panel.segments[one.code]])
    own = np.array([contrast.status for contrast in found], dtype=object)
    users = np.array([contrast.n_users for contrast in found])
    is_classic = np.array([choice.method == CLASSIC for choice in choices])
    expected = np.array([contrast.expected[0] for contrast in found])
    posts = {choice.lengths.post_hours for choice in choices}
    enough = {post: _is_enough(one, post, rules) for post in posts}
    few = np.array([not enough[choice.lengths.post_hours] for choice in choices])
    reasons = {
        INCOMPLETE: one.lacks(choices),
        "no_recipients": np.full(len(found), n_pushed == 0),
        NOT_LOADED: own == NOT_LOADED,
        "too_few_users": (n_pushed < rules.min_recipients)
        | ((own == "ok") & (users < rules.min_recipients)),
    }
    later = {
        "too_little_data": few & ~is_classic,
        "window_open": np.array([last + choice.lengths.post_ms > as_of for choice in choices]),
        "no_baseline_events": is_classic & (expected == 0),
        "baseline_near_zero": ~said.relative.is_bounded[:, 0],
        "no_variation": np.isnan(said.standard_error[:, 0]),
    }
    first = np.select(list(reasons.values()), list(reasons), default="ok").astype(object)
    last_reason = np.select(list(later.values()), list(later), default="ok").astype(object)
    return np.where(first != "ok", first, np.where(own != "ok", own, last_reason))


def _is_enough(one: _Campaign, post_hours: int, rules: Rules) -> bool:
    """Return whether there are users and events enough for any test."""
    lengths = replace(rules.lengths, post_hours=post_hours)
    counts = _alone(one, lengths).counts
    used = (counts.aligned_ms > 0) & (counts.post_ms >= MIN_OBSERVED_MS)
    n_post, n_before = (part[used].sum(keepdims=True) for part in (counts.n_post, counts.n_aligned))
    adequacy = sample_adequacy(
        np.array([used.sum()]), n_post[0], n_events_baseline=n_before[0],
        post_days=lengths.post_ms / MS_PER_DAY, baseline_days=lengths.baseline_days,
    )  # fmt: skip
    return bool(adequacy.test[0] != "none")


def _are_chosen(
    one: _Campaign, estimates: Estimates, rules: Rules, choices: Sequence[_Choice]
) -> list[bool]:
    """Return which choice is the headline's; none where that was made with other windows."""
    method, _ = choose(
        {name: estimates.contrasts[name][one.code] for name in ORDER},
        is_triggered=one.study.is_triggered(one.code),
    )
    capped: Outliers = "winsorize" if rules.outliers == "winsorize" else "keep"
    rule = rules.outliers if method == CLASSIC else capped if method in CAPPED else "keep"
    return [
        choice.method == method and choice.lengths == rules.lengths and choice.outliers == rule
        for choice in choices
    ]


def _with_flips(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with whether an interval contradicts the chosen estimate's sign."""
    chosen = table.loc[table["is_chosen"], "effect_size"]
    sign = np.sign(chosen.iloc[0]) if len(chosen) else np.nan
    low, high = table["effect_size_ci_low"], table["effect_size_ci_high"]
    return table.assign(flips=((sign > 0) & (high < 0)) | ((sign < 0) & (low > 0)))


def _sorted(table: pd.DataFrame) -> pd.DataFrame:
    """Return the best evidence first, then windows from short to long."""
    methods = {method: place for place, method in enumerate(ORDER)}
    rules: dict[str, int] = {rule: place for place, rule in enumerate(EVERY_RULE)}
    keys = pd.DataFrame(
        {
            "method": table["method"].map(methods),
            "post": table["post_hours"],
            "days": table["baseline_days"].fillna(0),
            "rule": table["outliers"].map(rules),
        }
    )
    order = keys.sort_values(["method", "post", "days", "rule"]).index
    table = table.loc[order].reset_index(drop=True)
    first = ["method", "evidence", "post_hours", "baseline_days", "outliers"]
    last = ["status", "is_descriptive", "is_chosen", "flips"]
    return table[[*first, *(name for name in table.columns if name not in (*first, *last)), *last]]
