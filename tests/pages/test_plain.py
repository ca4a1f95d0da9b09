"""Text from outside before it stands in markdown; how it looks is tested in the browser."""

from __future__ import annotations

import pytest

from pages.parts.plain import plain


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Closet match, 2026-10-13", r"Closet match\, 2026\-10\-13"),
        ("a *b* _c_ `d`", r"a \*b\* \_c\_ \`d\`"),
        ("<b>", r"\<b\>"),
        ("[x](y)", r"\[x\]\(y\)"),
        ("$x$ :red[y]", r"\$x\$ \:red\[y\]"),
        ("two\n\nlines\tand\x00more", "two lines and more"),
        ("right‮left", "right left"),
        ("Größe 100 %", r"Größe 100 \%"),
    ],
)
def test_plain_escapes_every_sign(text: str, shown: str) -> None:
    assert plain(text) == shown


@pytest.mark.parametrize(
    "text",
    ["https://evil.test", "HTTP://evil.test", "www.evil.test", "a@evil.test", "mailto:a@b.c",
     "a -> b", "--", "x >= 1", "<->", "~=", ":streamlit:"],
)  # fmt: skip
def test_plain_breaks_apart_what_escaping_does_not_stop(text: str) -> None:
    assert "\u2060" in plain(text)
