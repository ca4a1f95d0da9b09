"""The declared tables of quality: scores, advice, events by day, and what PostHog itself counts."""

from __future__ import annotations

from core.frames import Column, Table

_LEVEL = Column("level", "text", "all, layer or campaign")
_OF = Column("of", "text", "all, the layer, or the campaign_id")
_PART = Column("part", "text", "what is scored; total for the weighted mean of a side's parts")

SCORES = Table(
    "quality_scores",
    ("level", "of", "side", "part"),
    (
        _LEVEL,
        _OF,
        Column("side", "text", "database, activity, or combined"),
        _PART,
        Column("weight", "number", "share of its side's total"),
        Column("score", "number", "0 to 1", "cannot be told: left out of the total"),
        Column("threshold", "number", "what it is held against"),
        Column("n", "integer", "what was good"),
        Column("n_of", "integer", "of how many"),
        Column("inputs", "text", "the numbers behind it, in words"),
        Column("status", "text", "ok, or why it cannot be told"),
    ),
)
"""One row per level, side and part."""

ADVICE = Table(
    "quality_advice",
    ("level", "of", "side", "part", "about"),
    (
        _LEVEL,
        _OF,
        Column("side", "text", "as in quality_scores"),
        _PART,
        Column("about", "text", "the campaign, day or setting it names"),
        Column("shortfall", "number", "threshold less score"),
        Column("words", "text", "what is short, where, and what to do about it"),
    ),
)
"""One row per shortfall and place, the largest shortfall first."""

EVENT_DAYS = Table(
    "event_days",
    ("event", "day"),
    (
        Column("event", "text", "the tracked event"),
        Column("day", "instant", "its local midnight, business time zone"),
        Column("n_events", "integer", "events read, each once"),
        Column("n_persons", "integer", "persons they are of"),
        Column("expected", "number", "of the same weekday around it", "too few days"),
        Column("is_whole", "flag", "the whole day was read and has passed"),
        Column("is_gap", "flag", "far fewer than expected, or not read"),
        Column("why", "text", "what makes it a gap", "it is none"),
    ),
)
"""One row per tracked event and day of what was read."""

PUSH_DAYS = Table(
    "push_days",
    ("layer", "day"),
    (
        Column("layer", "text", "1, 2, 3 or unclassified"),
        Column("day", "instant", "local midnight, business time zone"),
        Column("n_pushes", "integer", "measured pushes delivered on it"),
        Column("n_active", "integer", "of these, to somebody with any tracked event near it"),
        Column("active_share", "number", "n_active over n_pushes", "nothing was delivered"),
        Column("expected_share", "number", "of the layer's other days", "too few days"),
        Column("is_odd", "flag", "far from the layer's other days"),
    ),
)
"""Push records against events: one row per layer and day of delivery."""

NATIVE = Table(
    "native_totals",
    ("event", "day"),
    (
        Column("event", "text", "the tracked event"),
        Column("day", "instant", "its midnight in PostHog's project time zone"),
        Column("ours", "integer", "events read by Pushlift"),
        Column("native", "integer", "what PostHog's own insight says"),
        Column("tolerance", "number", "how far apart they may be, events"),
        Column("agrees", "flag", "within the tolerance"),
        Column("why", "text", "a known reason for a difference", "none, or they agree"),
    ),
)
"""One row per tracked event and day that PostHog's own insights were asked for."""
