"""The computing half of a run: from what was read to lifts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core import frames
from core.activity.source import Progress, silent
from core.activity.timelines import MS_PER_DAY, MS_PER_HOUR, Int64
from core.loading import Loaded, milliseconds, person_codes
from core.measure.adjusted import with_adjusted
from core.measure.estimates import Estimates, checks_table, control_checks, estimate
from core.measure.holes import INCOMPLETE
from core.measure.layers import every_layer, layer_contrasts, with_clear_counts, with_shrinkage
from core.measure.lifts import classic_lifts, with_qvalues, with_selection
from core.measure.panel import Panel, Rules, all_rates
from core.measure.pooling import ALL, classic_layers
from core.measure.windows import Sends, WindowLengths, count_windows
from core.partial import incomplete_campaigns, touched_pushes
from core.sections import Outliers
from core.sources.recipients import positions
from core.studies import study_of


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Results:
    """What was computed from a load.

    Attributes:
        campaigns: frames.CAMPAIGNS.
        lifts: frames.LIFTS.
        layers: frames.LAYER_LIFTS.
        contrasts: frames.LAYER_CONTRASTS.
        checks: frames.CHECKS.
        panel: The measured pushes and their counts.
        rules: How it was measured.
    """

    campaigns: pd.DataFrame
    lifts: pd.DataFrame
    layers: pd.DataFrame
    contrasts: pd.DataFrame
    checks: pd.DataFrame
    panel: Panel
    rules: Rules


def estimates_of(
    loaded: Loaded, lengths: WindowLengths, outliers: Outliers, *, on_progress: Progress = silent
) -> Estimates:
    """Return every method's estimates of all campaigns of a load.

    They depend on the windows and on whether windows are capped, not on which campaigns are
    looked at, at what confidence.

    Args:
        loaded: What was read; its windows must be at least as long as these.
        lengths: The windows.
        outliers: The rule; removal rules act on the classic comparison alone.
        on_progress: Told the step and how far it is.
    """
    panel = panel_of(loaded, loaded.campaigns, loaded.pushes, lengths)
    study = study_of(loaded, panel, is_capped=outliers == "winsorize")
    return estimate(study, all_rates(panel, outliers), on_progress=on_progress)


def measure(
    loaded: Loaded,
    rules: Rules,
    *,
    campaign_ids: pd.Index | None = None,
    estimates: Estimates | None = None,
    on_progress: Progress = silent,
) -> Results:
    """Return lifts of every campaign, metric, method and layer under the given rules.

    Args:
        loaded: What was read; its windows must be at least as long as the rules'.
        rules: Windows, confidence, minimum recipients, outlier rule.
        campaign_ids: Only these campaigns; families and layers are then theirs alone.
        estimates: As `estimates_of` under the same windows and outlier rule, where at hand.
        on_progress: Told the step and how far it is.
    """
    estimates = estimates or estimates_of(
        loaded, rules.lengths, rules.outliers, on_progress=on_progress
    )
    campaigns, pushes = loaded.campaigns, loaded.pushes
    codes = np.arange(len(campaigns))
    if campaign_ids is not None:
        is_wanted = campaigns["campaign_id"].isin(campaign_ids).to_numpy(dtype=bool)
        codes = np.flatnonzero(is_wanted)
        campaigns = campaigns[is_wanted].reset_index(drop=True)
        pushes = pushes[pushes["campaign_id"].isin(campaign_ids)].reset_index(drop=True)
    panel = panel_of(loaded, campaigns, pushes, rules.lengths)
    is_lacking = incomplete_campaigns(loaded, rules.lengths)[codes]
    n_incomplete = _per_campaign(loaded, rules.lengths)[codes]
    campaigns = _judged(campaigns.assign(n_incomplete=n_incomplete), panel, rules, is_lacking)
    rates = all_rates(panel, rules.outliers)
    lifts = with_adjusted(classic_lifts(panel, rates, campaigns, rules), estimates, codes, rules)
    control = loaded.wiring.settings.analysis.negative_control
    lifts = with_qvalues(lifts, primary=panel.metric_names[0], control=control)
    layers, heads = every_layer(lifts, campaigns, estimates, codes, rules)
    lifts = with_selection(
        with_shrinkage(lifts, heads, estimates, rules), primary=panel.metric_names[0]
    )
    lifts = frames.LIFTS.checked(lifts)
    layers = pd.concat([layers, classic_layers(panel, rates, campaigns, rules)], ignore_index=True)
    present = [*campaigns["layer"].unique(), ALL]
    return Results(
        campaigns=campaigns,
        lifts=lifts,
        layers=frames.LAYER_LIFTS.checked(
            with_clear_counts(layers[layers["layer"].isin(present)], lifts)
        ),
        contrasts=frames.LAYER_CONTRASTS.checked(layer_contrasts(heads, estimates, rules)),
        checks=frames.CHECKS.checked(_checks(estimates, lifts, control)),
        panel=panel,
        rules=rules,
    )


def _checks(estimates: Estimates, lifts: pd.DataFrame, control: str | None) -> pd.DataFrame:
    """Return the checks at earlier dates and, where one is named, on the negative control."""
    found = checks_table(estimates)
    if control is None:
        return found
    return pd.concat([found, control_checks(lifts, control)], ignore_index=True)


def window_counts(loaded: Loaded, results: Results) -> pd.DataFrame:
    """Return frames.WINDOW_COUNTS with its text columns as categories, sorted by its key.

    A push whose windows were not wholly read has no row: what was counted of it is too little.
    """
    panel, counts = results.panel, results.panel.counts
    pushes = loaded.pushes
    ids = results.campaigns["campaign_id"]
    pushes = pushes[pushes["campaign_id"].isin(ids)]
    n_metrics = len(panel.metric_names)
    person = pd.Categorical(pushes["person_id"])
    per_push = {
        "delivered_at": pushes["delivered_at"].repeat(n_metrics).array,
        "baseline_days": (counts.baseline_ms / MS_PER_DAY).repeat(n_metrics),
        "post_hours": (counts.post_ms / MS_PER_HOUR).repeat(n_metrics),
        "baseline_aligned_days": (counts.aligned_ms / MS_PER_DAY).repeat(n_metrics),
    }
    table = pd.DataFrame(
        {
            "campaign_id": pd.Categorical.from_codes(
                panel.campaigns.repeat(n_metrics), categories=pd.Index(ids)
            ),
            "person_id": pd.Categorical.from_codes(
                person.codes.repeat(n_metrics), categories=person.categories
            ),
            "metric": pd.Categorical.from_codes(
                np.tile(np.arange(n_metrics), len(pushes)), categories=pd.Index(panel.metric_names)
            ),
            "n_baseline": counts.n_baseline.ravel(),
            "n_post": counts.n_post.ravel(),
            "n_baseline_aligned": counts.n_aligned.ravel(),
            **per_push,
        }
    )
    if loaded.is_partial:
        is_touched = touched_pushes(loaded, panel.lengths)[loaded.pushes["campaign_id"].isin(ids)]
        table = table[~is_touched.repeat(n_metrics)].reset_index(drop=True)
    return table[frames.WINDOW_COUNTS.names]


def panel_of(
    loaded: Loaded, campaigns: pd.DataFrame, pushes: pd.DataFrame, lengths: WindowLengths
) -> Panel:
    """Return the counts of some campaigns' pushes under some windows."""
    settings, timelines = loaded.wiring.settings, loaded.timelines
    place = {name: i for i, name in enumerate(timelines.event_names)}
    metrics = tuple([place[e] for e in events] for events in settings.metrics.values())
    persons = person_codes(loaded, pushes["person_id"])
    sends = Sends(
        persons=np.where(persons < len(timelines.person_ids), persons, -1),
        instants=milliseconds(pushes["delivered_at"]),
        signed_up=milliseconds(pushes["signed_up_at"]),
        as_of=loaded.span.as_of_ms,
    )
    return Panel(
        campaigns=positions(campaigns["campaign_id"], pushes["campaign_id"]),
        n_campaigns=len(campaigns),
        persons=persons,
        sends=sends,
        index=loaded.index,
        metric_names=tuple(settings.metrics),
        metric_events=metrics,
        counts=count_windows(loaded.index, sends, lengths, metrics=metrics),
        lengths=lengths,
    )


def _per_campaign(loaded: Loaded, lengths: WindowLengths) -> Int64:
    """Return how many measured persons of each campaign have windows that were not wholly read."""
    touched = touched_pushes(loaded, lengths)
    codes = positions(loaded.campaigns["campaign_id"], loaded.pushes["campaign_id"])
    return np.bincount(codes[touched], minlength=len(loaded.campaigns))


def _judged(
    campaigns: pd.DataFrame, panel: Panel, rules: Rules, is_lacking: NDArray[np.bool_]
) -> pd.DataFrame:
    """Return campaigns with window_complete, qualifies, window_closes_at and status."""
    n_open = np.bincount(panel.campaigns, weights=panel.is_open, minlength=panel.n_campaigns)
    qualifies = campaigns["n_measured"] >= rules.min_recipients
    reasons = {
        INCOMPLETE: pd.Series(is_lacking, index=campaigns.index),
        "no_recipients": campaigns["n_measured"] == 0,
        "too_few_users": ~qualifies,
        "window_open": pd.Series(n_open > 0, index=campaigns.index),
    }
    status = np.select(list(reasons.values()), list(reasons), default="ok")
    closes = campaigns["last_delivered_at"] + pd.Timedelta(hours=rules.lengths.post_hours)
    return frames.CAMPAIGNS.checked(
        campaigns.assign(
            window_complete=n_open == 0,
            qualifies=qualifies.astype(bool),
            window_closes_at=closes.dt.as_unit("ms"),
            status=pd.array(status.astype(object), dtype="str"),
        )
    )
