"""Every hostile text through every format, and queries that hold nothing but what we wrote."""

from __future__ import annotations

import ast
import re
import sqlite3
from pathlib import Path

import pytest

from tests.faults import injection

CORE = Path(__file__).resolve().parents[2] / "core"
RUNNERS = {"text", "execute", "executemany", "executescript", "exec_driver_sql", "sql", "query"}
_STATEMENT = re.compile(r"\b(SELECT|INSERT INTO|UPDATE|DELETE FROM|WHERE|JOIN|GROUP BY)\b")
MAKERS = {"format", "format_map", "join", "replace", "substitute"}


def test_run_finds_no_text_alive_in_any_format():
    assert len(injection.payloads()) >= 200
    tally = injection.run(size=10_000, seed=1)
    assert tally.broken == []
    assert tally.is_good
    assert tally.runs == 4 * len(injection.payloads())


@pytest.mark.parametrize(
    ("module", "name", "instead"),
    [
        ("core.publish.tables", "defused", lambda text: text),
        ("core.publish.theme", "safe", lambda text, limit=60: text),
        ("pages.parts.plain", "plain", lambda text: text),
    ],
)
def test_run_finds_out_where_a_guard_is_off(module, name, instead, monkeypatch):
    monkeypatch.setattr(f"{module}.{name}", instead)
    monkeypatch.setattr(injection, name, instead, raising=False)
    assert injection.run(size=150, seed=2).broken


def test_run_finds_out_where_excel_may_guess(monkeypatch):
    monkeypatch.setattr("core.publish.workbook.Worksheet.write_string", _guessing)
    monkeypatch.setattr("core.publish.workbook._OPTIONS", {"in_memory": False})
    assert injection.run(size=150, seed=2).broken


def test_core_makes_no_statement_out_of_text():
    found = [
        f"{path.relative_to(CORE)}:{call.lineno}"
        for path in sorted(CORE.rglob("*.py"))
        for call in (*_calls(path), *_templates(path))
        if not isinstance(call, ast.Call) or (call.args and _is_made(call.args[0]))
    ]
    assert found == []


@pytest.mark.parametrize(
    "code",
    [
        'execute(f"SELECT {x}")', 'con.execute("SELECT %s" % x)', 'text("SELECT " + x)',
        'text("SELECT {}".format(x))', 'con.sql("".join(parts))', 'execute(text(f"{x}"))',
    ],
)  # fmt: skip
def test_core_makes_no_statement_out_of_text_would_see(code, tmp_path):
    (tmp_path / "one.py").write_text(code)
    assert any(_is_made(call.args[0]) for call in _calls(tmp_path / "one.py"))


def test_bound_texts_match_themselves_alone():
    texts = [text for text in injection.payloads() if text.isprintable() and text]
    with sqlite3.connect(":memory:") as connection:
        connection.execute("CREATE TABLE kept (title TEXT)")
        connection.executemany("INSERT INTO kept VALUES (?)", [(text,) for text in texts])
        for text in texts:
            found = connection.execute("SELECT title FROM kept WHERE title = ?", (text,))
            assert found.fetchall() == [(text,)]
    connection.close()


def _calls(path: Path) -> list[ast.Call]:
    """Return the calls that run a statement, or make one of a text."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [call for call in calls if _name(call.func) in RUNNERS]


def _templates(path: Path) -> list[ast.expr]:
    """Return texts put together that read like a statement, wherever they go."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    made = [node for node in ast.walk(tree) if isinstance(node, ast.expr) and _is_made(node)]
    return [
        node
        for node in made
        if any(
            isinstance(part, ast.Constant) and _STATEMENT.search(str(part.value))
            for part in ast.walk(node)
        )
    ]


def _is_made(argument: ast.expr) -> bool:
    """Say whether a text is put together where it is handed over."""
    if isinstance(argument, ast.JoinedStr):
        return any(isinstance(part, ast.FormattedValue) for part in argument.values)
    if isinstance(argument, ast.BinOp) and isinstance(argument.op, ast.Mod | ast.Add):
        return True
    if isinstance(argument, ast.Call):
        is_maker = _name(argument.func) in MAKERS and isinstance(argument.func, ast.Attribute)
        return is_maker or any(_is_made(inner) for inner in argument.args)
    return False


def _name(called: ast.expr) -> str:
    if isinstance(called, ast.Attribute):
        return called.attr
    return called.id if isinstance(called, ast.Name) else ""


def _guessing(sheet, row, column, text, *form):
    """Write as xlsxwriter does where it is left to guess."""
    return sheet._write(row, column, text, *form)
