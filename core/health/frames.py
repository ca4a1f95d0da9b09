"""The declared tables of health: runs and alerts."""

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
        Column("peak_mb", "number", "most memory the process has held, MB"),
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
        Column("kind", "text", "mapping, quality, errors, data_age, window_closed, partial"),
        Column("about", "text", "what it concerns: all, a campaign, a source"),
        Column("severity", "text", "act or know"),
        Column("value", "number", "what was measured", "it has none"),
        Column("threshold", "number", "what it is held against", "it has none"),
        Column("words", "text", "what is the case and what to do, in a sentence or two"),
    ),
)
"""One row per thing somebody should know now."""
