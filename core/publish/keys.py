"""Keys of the tables of quality, insight and health, as people say them."""

from __future__ import annotations

from types import MappingProxyType

from core.publish import words

_SAID = MappingProxyType(
    {
        # patterns
        "content": "kind of content",
        "cadence": "on the planned day or off it",
        "weekday": "day of the week",
        "hour": "hour of the day",
        "hour_of_day": "hour of the day",
        "hours_since_trigger": "hours since the trigger",
        "audience_size": "size of the audience",
        "fatigue": "other pushes shortly before",
        "fatigue_dose": "pushes in the 14 days before",
        # cadence
        "on_plan": "on plan",
        "open": "still to come",
        # recommendations
        "stop_harmful": "stop what does harm",
        "stop_no_effect": "stop what has no effect",
        "send_on_plan": "send on plan",
        "send_at_best_lag": "send at the best time after the trigger",
        "prefer_content": "prefer the better content",
        "scale_best": "repeat the clear winners",
        # alerts
        "data_age": "age of the data",
        "window_closed": "window closed",
        # sides of quality
        "database": "database side",
        "activity": "activity side",
        "combined": "both sides",
        "total": "total",
    }
)


def said(key: str) -> str:
    """Return a key as people say it, "hours since the trigger"; one not known, in words."""
    return _SAID.get(key, words.label(key))


def titled(key: str) -> str:
    """Return a key as people say it, with a capital letter."""
    text = said(key)
    return f"{text[:1].upper()}{text[1:]}"
