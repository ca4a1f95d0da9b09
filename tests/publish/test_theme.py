from __future__ import annotations

import html
import re

import pytest

from core.publish import theme
from tests.publish.examples import HOSTILE


@pytest.mark.parametrize("text", HOSTILE)
def test_safe_leaves_nothing_live(text):
    shown = theme.safe(text, limit=10_000)
    assert not re.search(r"[<>${}\n\r\t\x00\u202e\u200b]", shown)
    assert re.fullmatch(r"(?:[^&]|&(?:amp|lt|gt|#36|#123|#125);)*", shown)
    assert html.unescape(shown) == theme.flat(text, limit=10_000)


def test_safe_shortens_before_it_escapes():
    assert theme.safe("<" * 70, limit=3) == "&lt;&lt;…"


def test_flat_is_one_line_without_hidden_characters():
    assert theme.flat("a\n b\u202e\tc\x00") == "a b c"
    assert theme.flat("abcdef", limit=4) == "abc…"


def test_heading_breaks_long_titles_and_makes_room():
    one, low = theme.heading("Short", "", below=200)
    two, high = theme.heading("word " * 30, "how to read it", below=200)
    assert "<br>" not in one["text"]
    assert "<br>" in two["text"]
    assert high > low
    assert 0 < two["y"] < one["y"] < 1


def _luminance(colour):
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one, other):
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("name", ["light", "dark"])
def test_colours_can_be_told_from_the_background(name):
    look = theme.THEMES[name]
    assert _contrast(look.text, look.surface) >= 7
    assert _contrast(look.muted, look.surface) >= 4.5
    for colour in theme.COLOURS.values():
        assert _contrast(colour, look.surface) >= 3.4
    assert _contrast(look.zero, look.surface) >= 3


def test_status_differs_in_colour_and_in_shape():
    sides = ("above", "below", "unclear")
    assert len({theme.COLOURS[side] for side in sides}) == 3
    assert len({theme.SYMBOLS[side] for side in sides}) == 3
