"""The declared tables of health: runs, how two of them differ, verdicts, alerts."""

from __future__ import annotations

from core.frames import Column, Table

RUNS = Table(
    "runs",
    ("run_id",),
    (
        Column("run_id", "text", "which run"),
        Column("started_at", "instant", "when it began"),
        Column("what", "text", "analyze, page or watch"),
        Column("status", "text", "done, partial or failed"),
        Column("source", "text", "where activity came from, without secrets"),
        Column("since", "instant", "first send looked at", "it failed before"),
        Column("until", "instant", "first send no longer looked at", "it failed before"),
        Column("n_campaigns", "integer", "campaigns measured"),
        Column("n_requests", "integer", "requests sent"),
        Column("n_retries", "integer", "requests repeated"),
        Column("n_errors", "integer", "requests that failed"),
        Column("n_cache_hits", "integer", "slices and answers taken from the store"),
        Column("bytes_received", "integer", "bytes that came"),
        Column("bytes_read", "integer", "bytes PostHog counts against its budget"),
        Column("seconds", "number", "time it took"),
        Column("peak_mb", "number", "most memory the process has held, MB", "system does not tell"),
        Column("mapped_share", "number", "share of recipients mapped", "nothing was sent"),
        Column("quality", "number", "combined score, 0 to 1", "not known"),
        Column("newest_event_at", "instant", "the latest event read", "none was read"),
        Column("primary_rel_effect_size", "number", "headline of all layers", "see status"),
        Column("primary_rel_effect_size_ci_low", "number", "its interval", "see status"),
        Column("primary_rel_effect_size_ci_high", "number", "its interval", "see status"),
        Column("error", "text", "what stopped it", "nothing did"),
    ),
)
"""One row per run that left a record; settings, steps and layers stand in the record itself."""

ALERTS = Table(
    "alerts",
    ("kind", "about"),
    (
        Column(
            "kind", "text", "mapping, quality, errors, data_age, partial, failed, window_closed"
        ),
        Column("about", "text", "what it concerns: all, a campaign, a source"),
        Column("severity", "text", "act or know"),
        Column("value", "number", "what was measured", "it has none"),
        Column("threshold", "number", "what it is held against", "it has none"),
        Column("words", "text", "what is the case and what to do, in a sentence or two"),
    ),
)
"""One row per thing somebody should know now."""

VERDICTS = Table(
    "verdicts",
    ("campaign_id",),
    (
        Column("campaign_id", "text", "the campaign"),
        Column("word", "text", "the verdict on the primary metric in a word or two"),
        Column("number", "text", "its effect with interval, or why there is none"),
    ),
)
"""One row per campaign of a run; headline methods, primary metric."""

RUN_CHANGES = Table(
    "run_changes",
    ("level", "of"),
    (
        Column("level", "text", "layer or campaign"),
        Column("of", "text", "1, 2, 3, unclassified or all; or the campaign_id"),
        Column("name", "text", "the campaign's name, or the layer"),
        Column("change", "text", "new, gone, status, effect or same"),
        Column("status", "text", "in the later run", "not in it"),
        Column("status_before", "text", "in the earlier run", "not in it"),
        Column("verdict", "text", "in the later run", "not in it, or a layer"),
        Column("verdict_before", "text", "in the earlier run", "not in it, or a layer"),
        Column("rel_effect_size", "number", "headline of the later run", "see status"),
        Column("rel_effect_size_ci_low", "number", "its interval", "see status"),
        Column("rel_effect_size_ci_high", "number", "its interval", "see status"),
        Column("rel_effect_size_before", "number", "headline of the earlier run", "see status"),
        Column("rel_effect_size_before_ci_low", "number", "its interval", "see status"),
        Column("rel_effect_size_before_ci_high", "number", "its interval", "see status"),
        Column("difference", "number", "later less earlier", "one of them has no number"),
        Column("is_outside", "flag", "the later number lies outside the earlier interval"),
    ),
)
"""One row per layer and campaign of two saved runs, the primary metric. The runs share data, so
their difference has no interval: it says what was shown before and what is shown now."""
