"""What a team can conclude from a run: decisions, rankings, patterns, what if, history, trends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import numpy as np
import pandas as pd

from core.activity.timelines import MS_PER_DAY, Int64
from core.insight.decisions import WORTH, decisions
from core.insight.history import history
from core.insight.rankings import rankings
from core.insight.standings import standings
from core.insight.trends import trends
from core.insight.what_if import Basis, what_if
from core.loading import Loaded
from core.measure.estimates import Estimates
from core.measure.layers import HEADLINE, Member, members
from core.patterns import Found, patterns_of
from core.pipeline import Results
from core.publish import insight_words
from core.sources.recipients import positions
from core.span import Span, to_ms

_WEEK = timedelta(weeks=1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Insight:
    """What was concluded; each table as declared in core/insight/frames.py.

    Attributes:
        decisions: DECISIONS.
        rankings: RANKINGS.
        patterns: PATTERNS.
        pattern_groups: PATTERN_GROUPS.
        correlations: CORRELATIONS.
        cadence: CADENCE.
        what_if: WHAT_IF.
        history: HISTORY.
        trends: TRENDS.
        period: What `history` calls now.
        before: What it calls before; None where nothing before was read.
        primary: The primary metric.
        currency: What money is in.
    """

    decisions: pd.DataFrame
    rankings: pd.DataFrame
    patterns: pd.DataFrame
    pattern_groups: pd.DataFrame
    correlations: pd.DataFrame
    cadence: pd.DataFrame
    what_if: pd.DataFrame
    history: pd.DataFrame
    trends: pd.DataFrame
    period: Span
    before: Span | None
    primary: str
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Past:
    """Two periods of the same length and the campaigns pooled in each."""

    period: Span
    before: Span | None
    now: Sequence[Member]
    earlier: Sequence[Member] | None


def insight(
    loaded: Loaded,
    estimates: Estimates,
    results: Results,
    *,
    patterns: Found | None = None,
    previous: Results | None = None,
    period: Span | None = None,
    worth: float = WORTH,
) -> Insight:
    """Return what a team can conclude from a run, whole or for chosen campaigns.

    Args:
        loaded: What was read.
        estimates: Of all its campaigns.
        results: As `measure` gives them, of all campaigns or of some.
        patterns: Of the same results, where at hand.
        previous: The same choice of campaigns in the period before, from the same load and
            estimates; see `campaigns_before`.
        period: What the results are of. Left out, it is the whole load, and history compares its
            later half with its earlier one.
        worth: Smallest relative effect worth a push.
    """
    settings, rules = loaded.wiring.settings, results.rules
    control, per_event = settings.analysis.negative_control, settings.value.per_event
    found, n_persons = members_of(loaded, estimates, results), len(estimates.study.signed_up)
    kinds = patterns or patterns_of(loaded, estimates, results)
    lifts, campaigns = results.lifts, results.campaigns
    standing = standings(found, lifts, campaigns, n_persons=n_persons)
    say = partial(insight_words.decision_why, zone=settings.analysis.timezone)
    decided = decisions(lifts, campaigns, say=say, worth=worth, control=control)
    span = period or loaded.span
    past = _past(loaded, estimates, results, found, previous, period)
    return Insight(
        decisions=decided,
        rankings=rankings(lifts, campaigns, standing, per_event=per_event, control=control),
        patterns=kinds.patterns,
        pattern_groups=kinds.groups,
        correlations=kinds.correlations,
        cadence=kinds.cadence,
        what_if=what_if(
            Basis(
                lifts=lifts, campaigns=campaigns, layers=results.layers, decisions=decided,
                patterns=kinds.patterns, groups=kinds.groups, cadence=kinds.cadence,
                standing=standing, primary=results.panel.metric_names[0],
                weeks=(span.until - span.since) / _WEEK,
                post_days=rules.lengths.post_ms / MS_PER_DAY, per_event=per_event,
                confidence_level=rules.confidence_level,
            ),
            say=insight_words.what_if_words,
        ),
        history=history(past.now, past.earlier, estimates, rules, control=control),
        trends=trends(
            found, lifts, campaigns, n_persons=n_persons,
            confidence_level=rules.confidence_level, control=control,
        ),
        period=past.period,
        before=past.before,
        primary=results.panel.metric_names[0],
        currency=settings.value.currency,
    )  # fmt: skip


def members_of(loaded: Loaded, estimates: Estimates, results: Results) -> list[Member]:
    """Return the campaigns of results that a pool of headline methods can hold."""
    names = pd.Series(results.panel.metric_names, dtype="str")
    lifts, own = results.lifts, results.campaigns["campaign_id"]
    coded = lifts.assign(
        campaign_code=positions(own, lifts["campaign_id"]),
        metric_code=positions(names, lifts["metric"]),
    )
    codes: Int64 = positions(loaded.campaigns["campaign_id"], own)
    if not len(codes):
        return []
    return members(coded, results.campaigns, estimates, codes, method=HEADLINE)


def campaigns_before(loaded: Loaded, period: Span) -> pd.Index | None:
    """Return the campaigns of the period of the same length before; None where not all was read.

    Args:
        loaded: What was read.
        period: The period looked at.
    """
    since = period.since - (period.until - period.since)
    if since < loaded.span.since:
        return None
    is_before = _is_sent(loaded.campaigns, to_ms(since), to_ms(period.since))
    found: pd.Index = pd.Index(loaded.campaigns.loc[is_before, "campaign_id"])
    return found


def _past(
    loaded: Loaded,
    estimates: Estimates,
    results: Results,
    found: Sequence[Member],
    previous: Results | None,
    period: Span | None,
) -> _Past:
    span = period or loaded.span
    if previous is not None or period is not None:
        earlier = None if previous is None else members_of(loaded, estimates, previous)
        before = None if previous is None else _shifted(span)
        return _Past(period=span, before=before, now=found, earlier=earlier)
    middle = span.since + (span.until - span.since) / 2
    later = Span(since=middle, until=span.until, as_of=span.as_of)
    is_later = ~_is_sent(results.campaigns, to_ms(span.since), to_ms(middle))
    return _Past(
        period=later,
        before=_shifted(later),
        now=[one for one in found if is_later[one.position]],
        earlier=[one for one in found if not is_later[one.position]],
    )


def _shifted(period: Span) -> Span:
    """Return the period of the same length before."""
    since = period.since - (period.until - period.since)
    return Span(since=since, until=period.since, as_of=period.as_of)


def _is_sent(
    campaigns: pd.DataFrame, since: int, until: int
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return which campaigns were first delivered in [since, until), in milliseconds."""
    first = pd.DatetimeIndex(campaigns["first_delivered_at"]).as_unit("ms").asi8
    is_known = campaigns["first_delivered_at"].notna().to_numpy()
    found: np.ndarray[tuple[int], np.dtype[np.bool_]] = (
        is_known & (first >= since) & (first < until)
    )
    return found
