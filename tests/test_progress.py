"""Progress: lines where nobody watches, a bar on a terminal."""

import io

from core.progress import Reporter


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_reporter_writes_a_line_for_each_tenth_where_nobody_watches():
    stream = io.StringIO()
    report = Reporter(stream)
    for done in range(101):
        report("Fetching", done, 100)
    report("Counting", 0, 0)
    report.close()
    lines = stream.getvalue().splitlines()
    assert lines[0] == "Fetching: 0 of 100"
    assert lines[-2:] == ["Fetching: 100 of 100", "Counting: 0 of 0"]
    assert len(lines) == 12


def test_reporter_redraws_one_line_on_a_terminal():
    stream = Terminal()
    report = Reporter(stream)
    report("Fetching", 1, 4)
    report("Fetching", 4, 4)
    report("Counting", 1, 2)
    report.close()
    text = stream.getvalue()
    assert text.count("\n") == 2
    assert "█" * 24 + "  4/4" in text
    assert text.split("\n")[1].startswith("\r\x1b[KCounting")


def test_reporter_close_without_anything_writes_nothing():
    stream = Terminal()
    Reporter(stream).close()
    assert stream.getvalue() == ""
