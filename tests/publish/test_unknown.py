from __future__ import annotations

import re
from pathlib import Path

import pytest

from core.publish import formats, unknown

MEASURE = Path(__file__).parents[2] / "core" / "measure"
METHODS = ("comparison", "self_control", "joint", "window_control")


def _statuses() -> set[str]:
    """Return what the methods say where they have no number."""
    texts = [(MEASURE / f"{name}.py").read_text(encoding="utf-8") for name in METHODS]
    said = r'(?:without\(|status = |else |return |missing\(\s*\w+, )"([a-z_]+)"'
    return {status for text in texts for status in re.findall(said, text)} - {"ok"}


def test_every_status_of_a_method_has_its_words():
    statuses = _statuses()
    assert {"no_holdout", "always_on", "trigger_unknown", "no_support"} <= statuses
    assert statuses <= set(formats.REASONS)


@pytest.mark.parametrize("status", ["no_holdout", "trigger_unknown", "not_identified"])
def test_sentence_has_why_and_remedy(status):
    found = unknown.unknown(status)
    assert unknown.sentence(status) == (
        f"We can't tell: {found.why}. What would make it possible: {found.remedy}."
    )


def test_sentence_of_an_unlisted_status_has_no_remedy():
    assert unknown.sentence("some_new_status") == "We can't tell: some new status."
