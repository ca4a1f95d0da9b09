"""Why an effect cannot be told, and what would make it possible, by status."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from core.publish import formats


@dataclass(frozen=True, slots=True)
class Unknown:
    """Why there is no number, in a clause, and what would give one, in a sentence or none."""

    why: str
    remedy: str = ""


_HOLD = "hold the message back, at random, from about one in ten who qualify for it"
_MORE = "send to more people, or look at a metric that happens more often"
_NOT_RECORDED = (
    "people set this message off by what they do, and what exactly is not recorded; their usual "
    "activity cannot stand for a moment at which they had just been active"
)
_RECORD = (
    "record trigger_at with each push, or name the trigger in the automation's file; or "
    f"{_HOLD}, which tells without either"
)
_NO_SUPPORT = "for more than a fifth of the recipients nobody comparable went without the message"
_ALWAYS = (
    "the message follows what sets it off nearly every time, so that no such moment without a "
    "message is left to compare with"
)
_NO_OTHERS = "too few people in the same situation went without the message"
_CAP = f"{_HOLD}; or cap how often one person gets it, so that some go without"
_UNKNOWN = MappingProxyType(
    {
        "incomplete": Unknown(
            "part of the data it would rest on is missing",
            "read the sources again once they answer",
        ),
        "no_holdout": Unknown("nobody was held out at random", _HOLD),
        "too_few_held_out": Unknown(
            "too few people were held out to compare with",
            "hold out a larger share, or send to more people",
        ),
        "no_comparison": Unknown(_NO_OTHERS, _CAP),
        "no_support": Unknown(_NO_SUPPORT, _HOLD),
        "trigger_unknown": Unknown(_NOT_RECORDED, _RECORD),
        "always_on": Unknown(_ALWAYS, _HOLD),
        "too_few_earlier_triggers": Unknown(
            "too few recipients had set it off before without getting it", _HOLD
        ),
        "not_separable": Unknown(
            "its hours coincide with those of other pushes to the same people",
            f"{_HOLD}, or send it at another time than the others",
        ),
        "selected_on_activity": Unknown(
            "recipients were chosen by how active they had just been", _HOLD
        ),
        "not_identified": Unknown("there is no sound comparison", _HOLD),
        "too_little_data": Unknown(
            "too few of these events happened to tell a change from chance", _MORE
        ),
        "no_events": Unknown("none of these events happened", _MORE),
        "no_variation": Unknown(
            "everybody changed by the same amount, so that chance cannot be judged", _MORE
        ),
        "no_baseline": Unknown(
            "the recipients had no time before the push", "measure a later send to them"
        ),
        "not_mapped": Unknown(
            "none of the recipients was found in the activity data",
            "see on Data quality whom the mapping lost",
        ),
        "outliers": Unknown(
            "the rule for extreme users left too few", "choose another rule for extreme users"
        ),
    }
)


def unknown(status: str) -> Unknown:
    """Return why an effect cannot be told, and what would make it possible.

    Args:
        status: Of a row of LIFTS without a number; one not listed is said without a remedy.
    """
    return _UNKNOWN.get(status) or Unknown(formats.reason(status))


def sentence(status: str) -> str:
    """Return it as "We can't tell: why. What would make it possible: remedy."."""
    found = unknown(status)
    ways = f" What would make it possible: {found.remedy}." if found.remedy else ""
    return f"We can't tell: {found.why}.{ways}"
