"""The declared tables of insight: decisions, rankings, patterns, cadence, history."""

from __future__ import annotations

from core.frames import Column, Table

_CAMPAIGN = Column("campaign_id", "text", "the campaign")
_METRIC = Column("metric", "text", "the metric")
_LEVEL = Column("confidence_level", "number", "of every interval in the row")
_STATUS = Column("status", "text", "ok, or why a number is missing")

DECISIONS = Table(
    "decisions",
    ("campaign_id", "metric"),
    (
        _CAMPAIGN,
        _METRIC,
        Column("decision", "text", "repeat, stop, retest or wait"),
        Column("why", "text", "the reason in a sentence, with the number it rests on"),
        Column("until", "instant", "when it can be decided", "now, or not by waiting"),
        Column("n_needed", "integer", "recipients a retest needs for 80 % power; 0: not known"),
        Column("reason", "text", "clear_gain, clear_harm, unclear, too_small, open, ..."),
    ),
)
"""One row per campaign and metric; headline methods."""

RANKINGS = Table(
    "rankings",
    ("layer", "metric", "place"),
    (
        Column("layer", "text", "1, 2, 3, unclassified, or all"),
        _METRIC,
        Column("place", "integer", "1 is best; at most 10"),
        _CAMPAIGN,
        Column("is_clear", "flag", "clear above zero (q within family)"),
        Column("shrunk_rel_effect_size", "number", "drawn towards its layer", "not pooled"),
        Column("shrunk_rel_effect_size_ci_low", "number", "its interval", "not pooled"),
        Column("shrunk_rel_effect_size_ci_high", "number", "its interval", "not pooled"),
        Column("rank", "number", "median rank, 1 is best", "not ranked"),
        Column("rank_low", "number", "best rank of its interval", "not ranked"),
        Column("rank_high", "number", "worst rank of its interval", "not ranked"),
        Column("incremental_events", "number", "events the send added", "see status"),
        Column("incremental_events_ci_low", "number", "its interval", "see status"),
        Column("incremental_events_ci_high", "number", "its interval", "see status"),
        Column("value", "number", "incremental events in money", "no value per event set"),
        Column("value_ci_low", "number", "its interval", "no value per event set"),
        Column("value_ci_high", "number", "its interval", "no value per event set"),
        _LEVEL,
    ),
)
"""The ten best campaigns of each layer and of all, per metric."""

PATTERNS = Table(
    "patterns",
    ("pattern", "layer", "metric", "group", "other"),
    (
        Column("pattern", "text", "content, cadence, weekday, hours_since_trigger, ..."),
        Column("layer", "text", "1, 2, 3, or all"),
        _METRIC,
        Column("group", "text", "sends of this kind"),
        Column("other", "text", "against sends of that kind; all others, or per step of a scale"),
        Column("difference", "number", "of relative effects, group less other", "see status"),
        Column("difference_ci_low", "number", "its interval", "see status"),
        Column("difference_ci_high", "number", "its interval", "see status"),
        Column("statistic", "number", "t", "see status"),
        Column("df", "number", "its degrees of freedom", "see status"),
        Column("pvalue", "number", "two-sided", "see status"),
        Column("qvalue", "number", "Benjamini-Hochberg within `family`", "not in a family"),
        Column("family", "text", "what qvalue was corrected within", "not in a family"),
        Column("in_sends_ci_low", "number", "interval for these sends alone", "see status"),
        Column("in_sends_ci_high", "number", "interval for these sends alone", "see status"),
        Column("in_sends_pvalue", "number", "two-sided, for these sends alone", "see status"),
        Column(
            "in_sends_qvalue", "number", "Benjamini-Hochberg within `family`", "not in a family"
        ),
        Column("n_campaigns", "integer", "campaigns of the kind"),
        Column("n_other", "integer", "campaigns of the other kind"),
        Column("is_within", "flag", "pushes of the same campaigns are compared, not campaigns"),
        Column("evidence", "text", "the weakest grade behind it; groups differ in more than this"),
        Column("is_found", "flag", "clear, of sends like these: q at most 5 % and no zero"),
        Column("is_found_in_sends", "flag", "clear in these sends; the next may not follow"),
        _LEVEL,
        _STATUS,
    ),
)
"""One row per pattern that was looked for, found or not."""

PATTERN_GROUPS = Table(
    "pattern_groups",
    ("pattern", "layer", "metric", "group"),
    (
        Column("pattern", "text", "as in patterns"),
        Column("layer", "text", "1, 2, 3, or all"),
        _METRIC,
        Column("group", "text", "sends of this kind"),
        Column("position", "number", "its place on a scale, such as hours", "not on a scale"),
        Column("n_campaigns", "integer", "campaigns behind it"),
        Column("n_pushes", "integer", "pushes behind it"),
        Column("rel_effect_size", "number", "pooled", "see status"),
        Column("rel_effect_size_ci_low", "number", "its interval", "see status"),
        Column("rel_effect_size_ci_high", "number", "its interval", "see status"),
        Column("evidence", "text", "the weakest grade behind it"),
        _LEVEL,
        _STATUS,
    ),
)
"""The effect of each kind of send that patterns compare."""

CORRELATIONS = Table(
    "correlations",
    ("layer", "metric", "other_metric"),
    (
        Column("layer", "text", "1, 2, 3, or all"),
        _METRIC,
        Column("other_metric", "text", "the metric it is compared with"),
        Column("correlation", "number", "of the true effects over campaigns", "see status"),
        Column("correlation_ci_low", "number", "its interval", "see status"),
        Column("correlation_ci_high", "number", "its interval", "see status"),
        Column("observed", "number", "of the estimates, noise included", "see status"),
        Column("n_campaigns", "integer", "campaigns behind it"),
        Column("is_found", "flag", "clear: q at most 5 % and the interval leaves out zero"),
        Column("pvalue", "number", "two-sided", "see status"),
        Column("qvalue", "number", "Benjamini-Hochberg over the pairs of a layer", "see status"),
        _LEVEL,
        _STATUS,
    ),
)
"""One row per two metrics (each pair once) and layer."""

CADENCE = Table(
    "cadence",
    ("automation_id", "planned_at"),
    (
        Column("automation_id", "text", "an automation with a weekly schedule"),
        Column("planned_at", "instant", "when it was to send"),
        Column("state", "text", "on_plan, moved, missed or open"),
        Column("campaign_id", "text", "what was sent for it", "nothing was"),
        Column("hours_late", "number", "first delivery less plan; negative: early", "nothing"),
        Column("cost_events", "number", "primary events it cost, best guess", "no basis"),
        Column("cost_events_ci_low", "number", "its interval", "no basis"),
        Column("cost_events_ci_high", "number", "its interval", "no basis"),
        Column("why", "text", "what the cost rests on, or why there is none"),
    ),
)
"""One row per planned send of the period."""

WHAT_IF = Table(
    "what_if",
    ("recommendation", "layer", "metric"),
    (
        Column("recommendation", "text", "a key such as stop_harmful or send_on_plan"),
        Column("layer", "text", "1, 2, 3, or all"),
        _METRIC,
        Column("events_per_week", "number", "more events a week if followed", "no basis"),
        Column("events_per_week_ci_low", "number", "its interval", "no basis"),
        Column("events_per_week_ci_high", "number", "its interval", "no basis"),
        Column("value_per_week", "number", "the same in money", "no value per event set"),
        Column("value_per_week_ci_low", "number", "its interval", "no value per event set"),
        Column("value_per_week_ci_high", "number", "its interval", "no value per event set"),
        Column("n_campaigns", "integer", "campaigns behind it"),
        Column("words", "text", "the recommendation in a sentence with its numbers"),
        Column("assumptions", "text", "what has to hold for it"),
        _LEVEL,
    ),
)
"""What would change if a recommendation were followed; only those with evidence."""

HISTORY = Table(
    "history",
    ("layer", "metric"),
    (
        Column("layer", "text", "1, 2, 3, unclassified, or all"),
        _METRIC,
        Column("now", "number", "pooled relative effect of the period", "see status"),
        Column("before", "number", "of the period of the same length before", "see status"),
        Column("difference", "number", "now less before", "see status"),
        Column("difference_ci_low", "number", "its interval, shared people counted", "see status"),
        Column("difference_ci_high", "number", "its interval, shared people counted", "see status"),
        Column("pvalue", "number", "two-sided", "see status"),
        Column("n_now", "integer", "campaigns pooled now"),
        Column("n_before", "integer", "campaigns pooled before"),
        _LEVEL,
        _STATUS,
    ),
)
"""A period against the one before; headline methods."""

TRENDS = Table(
    "automation_trends",
    ("automation_id", "metric"),
    (
        Column("automation_id", "text", "the automation"),
        _METRIC,
        Column("n_campaigns", "integer", "sends pooled"),
        Column("slope_per_week", "number", "change of the relative effect a week", "see status"),
        Column("slope_per_week_ci_low", "number", "its interval", "see status"),
        Column("slope_per_week_ci_high", "number", "its interval", "see status"),
        Column("pvalue", "number", "two-sided", "see status"),
        Column("qvalue", "number", "Benjamini-Hochberg over automations", "see status"),
        _LEVEL,
        _STATUS,
    ),
)
"""The same automation over time."""
