from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from core.demo.messages import (
    DROPS,
    FEATURES,
    HOT_INVENTORY,
    TRIGGERS,
    Automation,
    write_automation,
)

HOT = Automation(id="hot", name='Hot "new"', content="hot_inventory", weekday="tuesday")
REPLY = Automation(
    id="reply", name="Reply ⏳", content="offer_reply_reminder", layer=3, audience="active",
    event="Offer Created", delay_hours=(2.0, 6.0),
)  # fmt: skip


@pytest.mark.parametrize(("index", "suffix"), [(0, "json"), (1, "yaml"), (2, "json")])
def test_write_automation_gives_what_the_contract_names(
    tmp_path: Path, index: int, suffix: str
) -> None:
    write_automation(tmp_path, HOT, index=index)
    write_automation(tmp_path, REPLY, index=index)
    load = json.loads if suffix == "json" else yaml.safe_load
    hot = load((tmp_path / f"hot.{suffix}").read_text(encoding="utf-8"))
    reply = load((tmp_path / f"reply.{suffix}").read_text(encoding="utf-8"))
    assert hot["schedule"] == {
        "weekday": "tuesday",
        "time": "09:00",
        "timezone": "America/New_York",
    }
    assert "layer" not in hot
    assert (hot["id"], hot["name"], hot["status"]) == ("hot", 'Hot "new"', "active")
    assert reply["trigger"] == {"event": "Offer Created", "delay_hours": [2.0, 6.0]}
    assert (reply["layer"], reply["audience"], reply["name"]) == (3, "active", "Reply ⏳")


def test_messages_hold_what_spoils_naive_exports() -> None:
    triggered = (trigger.message for trigger in TRIGGERS.values())
    messages = [*DROPS, *FEATURES, *HOT_INVENTORY, *triggered]
    texts = [text for m in messages for text in (m.title, m.body) if text]
    assert any("<b>" in text for text in texts)
    assert any('"' in text for text in texts)
    assert any(text.startswith("=") for text in texts)
    assert any(not text.isascii() for text in texts)
    assert any(m.body is None for m in messages)
