"""What the demo's pushes say and the automation files that describe them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import yaml


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """The text of a push, and the name of what it announces.

    Those of layer 1 are short because a hundred thousand rows repeat them. Some texts hold
    quotes, markup, emoji or a leading "=" on purpose: they are shown to people and go into
    spreadsheets.
    """

    slug: str
    name: str
    title: str
    body: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Automation:
    """One automation: what its file says."""

    id: str
    name: str
    content: str
    layer: int | None = None
    audience: str | None = None
    weekday: str | None = None
    event: str | None = None
    delay_hours: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """One activity-responsive automation of layer 3 and its message."""

    event: str
    has_holdout: bool
    message: Message


DROPS = (
    Message(slug="bred", name='Jordan 4 "Bred"', title='Jordan 4 "Bred" 🔥', body="Live now."),
    Message(slug="panda", name="Dunk Low Panda restock", title="Panda Dunks are back"),
    Message(slug="futura", name="SB Dunk x Futura", title="SB Dunk x Futura", body="=1 pair each"),
    Message(slug="990v6", name="New Balance 990v6", title="990v6 Grey is here", body="40 pairs."),
    Message(slug="mocha", name="Jordan 1 Mocha", title="Jordan 1 <b>Mocha</b>", body="Today only."),
    Message(slug="onyx", name="Yeezy Slide Onyx", title="Yeezy Slide Onyx drop"),
    Message(slug="grinch", name='Kobe 6 "Grinch"', title='Kobe 6 "Grinch" 🐍', body="It's back."),
)
FEATURES = (
    Message(slug="machine", name="Trade machine", title="Meet the trade machine"),
    Message(slug="bundles", name="Bundle offers", title="New: bundle offers", body="2 for 1."),
    Message(slug="scan", name="Closet scan", title="Scan your closet 📸"),
    Message(slug="graphs", name="Price graphs", title="See where prices go"),
    Message(slug="counter", name="Counter-offers", title="Counter-offers", body="Now live."),
)
HOT_INVENTORY = (
    Message(slug="hot-inventory", name="Hot inventory", title="Hot this week",
            body="The 20 pairs that trade fastest."),
    Message(slug="hot-inventory", name="Hot inventory", title="Going fast in your size",
            body="14 pairs below their usual price."),
    Message(slug="hot-inventory", name="Hot inventory", title="New in: most wanted pairs",
            body="Fresh from closets near you."),
)  # fmt: skip
TRIGGERS = {
    "offer_machine_encouragement": Trigger(
        event="Trade machine clicked", has_holdout=True,
        message=Message(slug="offer-machine", name="Offer machine encouragement",
                        title="Your next trade is one offer away",
                        body="Let the offer machine find who wants your pair.")),
    "wishlist_price_drop": Trigger(
        event="PDP add to wishlist", has_holdout=True,
        message=Message(slug="wishlist-price", name="Wishlist price drop",
                        title="A pair on your wishlist got cheaper",
                        body="See the new price before someone else does.")),
    "closet_match": Trigger(
        event="PDP add to closet", has_holdout=False,
        message=Message(slug="closet-match", name="Closet match",
                        title="Someone wants a pair like yours",
                        body="3 traders are looking for what you just added.")),
    "offer_reply_reminder": Trigger(
        event="Offer Created", has_holdout=False,
        message=Message(slug="offer-reply", name="Offer reply reminder",
                        title="Your offer is waiting ⏳",
                        body="Traders who answer the same day close twice as often.")),
    "trade_machine_follow_up": Trigger(
        event="Trade machine clicked", has_holdout=False,
        message=Message(slug="machine-follow-up", name="Trade machine follow-up",
                        title="Still thinking about that trade?",
                        body="The match you saw is still open.")),
}  # fmt: skip
"""Content -> trigger, for the automations of layer 3."""


def write_automation(folder: Path, automation: Automation, *, index: int) -> None:
    """Write the file of one automation, every third one as YAML and the others as JSON."""
    known = _keys(automation)
    if index % 3 == 1:
        text = yaml.safe_dump(known, sort_keys=False, allow_unicode=True)
        (folder / f"{automation.id}.yaml").write_text(text, encoding="utf-8")
    else:
        text = json.dumps(known, indent=2, ensure_ascii=False)
        (folder / f"{automation.id}.json").write_text(text + "\n", encoding="utf-8")


def _keys(automation: Automation) -> dict[str, object]:
    keys: dict[str, object] = {"id": automation.id, "name": automation.name}
    if automation.layer is not None:
        keys["layer"] = automation.layer
    keys["content"] = automation.content
    if automation.audience is not None:
        keys["audience"] = automation.audience
    if automation.weekday is not None:
        clock = {"time": "09:00", "timezone": "America/New_York"}
        keys["schedule"] = {"weekday": automation.weekday, **clock}
    if automation.event is not None and automation.delay_hours is not None:
        keys["trigger"] = {"event": automation.event, "delay_hours": list(automation.delay_hours)}
    return {**keys, "status": "active", "owner": "growth"}
