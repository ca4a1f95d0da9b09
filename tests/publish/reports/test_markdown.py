from __future__ import annotations

import re

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from core.publish.reports import markdown
from core.publish.reports.markdown import Grid, Link, environment, escaped, grid, quoted
from tests.faults.hostile import BREAKERS, MARKUP, QUERIES
from tests.publish.examples import HOSTILE

TEXTS = (*HOSTILE, *MARKUP, *BREAKERS, *QUERIES)
_BARE = re.compile(r"(?<!\\)(?:\\\\)*[`*_\[\]|~$]")
_NUMBERS = re.compile(r"\[[−\d.,% ]+\]")


def _bare(text):
    """Return the signs of markup that are neither escaped nor brackets around numbers."""
    found = _BARE.findall(_NUMBERS.sub("", text))
    return [one for one in found if one]


@pytest.mark.parametrize("text", TEXTS)
def test_escaped_leaves_nothing_alive(text):
    said = escaped(text)
    assert "\n" not in said
    assert _bare(said) == []
    assert not set("<>") & set(said)
    assert not re.search(r"&(?!amp;|lt;|gt;)", said)
    assert not re.search(r"(?i)(?:https?|ftp|www|mailto|xmpp)[:.]|@(?!\u2060)|//", said)
    assert not re.match(r"(?:[+-]\s|#|\d+[.)](?:\s|$)|=+\s*$|--+\s*$)", said)


@given(st.text(alphabet="`*_[]|~$<>&\\#+-=1.)( ab@:/\n\t", max_size=14))
def test_escaped_says_the_same_once_read(text):
    said = escaped(text).replace("\u2060", "")
    read = re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", said)
    for sign, entity in (("<", "&lt;"), (">", "&gt;"), ("&", "&amp;")):
        read = read.replace(entity, sign)
    assert read == " ".join(text.split())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("+19.7 % [17.2, 22.3]", "+19.7 % [17.2, 22.3]"),
        ("−0.3 [−1.2, no upper bound]", "−0.3 [−1.2, no upper bound]"),
        ("[1.2](http://x.test)", r"\[1.2\](http" + "\u2060:/\u2060/x.\u2060test)"),
        ("analysis.json at 1.5", "analysis.json at 1.5"),
        ("evil.test", "evil.\u2060test"),
        ("[1]: x", r"\[1\]: x"),
        ("drop_07", r"drop\_07"),
        ("1. first", "1\u2060. first"),
        ("# head", r"\# head"),
        ("- item", r"\- item"),
        ("-3 left", "-3 left"),
        ("1.5 times", "1.5 times"),
    ],
)
def test_escaped_keeps_numbers_readable(text, said):
    assert escaped(text) == said


def test_quoted_cannot_be_left():
    text = "````\n# head\n```\r\nlast\u202e\x00"
    lines = str(quoted(text)).split("\n")
    assert lines == ["`````text", "````", "# head", "```", "last", "`````"]
    assert quoted(None) == "—"


@pytest.mark.parametrize("text", TEXTS)
def test_quoted_has_one_fence_at_either_end(text):
    lines = str(quoted(text)).split("\n")
    fence = lines[-1]
    assert lines[0] == f"{fence}text"
    assert not any(fence in line for line in lines[1:-1])


def test_grid_of_hostile_cells_keeps_its_columns():
    rows = tuple((text, Link(text, "a/b.md"), "x") for text in TEXTS)
    lines = str(grid(Grid(head=("a", "b", "c"), rows=rows))).split("\n")
    assert len(lines) == len(rows) + 2
    bars = {len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) for line in lines}
    assert bars == {4}
    assert all("](a/b.md) | x |" in line for line in lines[2:])


def test_grid_without_rows_says_so():
    assert grid(Grid(head=("a",), rows=(), empty="0 <rows>")) == "0 &lt;rows&gt;"


def test_environment_escapes_every_value_but_what_was_made_here():
    made = environment().from_string("{{ a }} {% for one in b %}{{ one }}{% endfor %} {{ c }}")
    said = made.render(a="<b>*x*</b>", b=["[a](x)"], c=Markup("**ours**"))
    assert said == r"&lt;b&gt;\*x\*&lt;/b&gt; \[a\](x) **ours**"


def test_environment_unknown_value_is_an_error():
    with pytest.raises(jinja2.UndefinedError):
        environment().from_string("{{ nobody }}").render()


def test_rendered_has_no_runs_of_empty_lines():
    context = {"layer": "L", "missing_parts": (), "said": "0 campaigns.",
               "campaigns": Grid(head=("a",), rows=())}  # fmt: skip
    text = markdown.rendered("index.md.j2", context).decode()
    assert "\n\n\n" not in text
    assert text.startswith("# L: campaigns\n")
    assert text.endswith("\n")
