"""Text from outside, shown as it is wherever Streamlit would read markdown."""

from __future__ import annotations

import re

_MARKS = re.compile(r"([!-/:-@\[-`{-~])")
_HIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]+")
_LINKS = re.compile(r"(?i)(?:https?|ftp|www|mailto|xmpp)(?=[:.])|@")
_SIGNS = re.compile(r"[<>~-](?=[=>-])|:(?=streamlit:)")
_JOINER = "\u2060"


def plain(text: str) -> str:
    """Return text that markdown shows as it is: no link, image, formula, colour or icon in it.

    Args:
        text: Anything, from outside included; runs of blanks and line ends become one blank.
    """
    flat = " ".join(_HIDDEN.sub(" ", text).split())
    # An address is made a link, "->" an arrow and ":streamlit:" a picture even when their signs are
    # escaped; a joiner nobody sees prevents it.
    apart = _SIGNS.sub(_joined, _LINKS.sub(_joined, flat))
    return _MARKS.sub(r"\\\1", apart)


def _joined(found: re.Match[str]) -> str:
    return f"{found[0]}{_JOINER}"
