"""Automation files: what is read, what is refused, and that the rest load."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import DataError
from core.sources.automations import Automation, Problem, read_automations, with_triggers
from core.sources.plain_yaml import read_yaml

FULL: dict[str, Any] = {
    "id": "hot", "name": "Hot inventory", "layer": 2, "content": "hot_inventory", "audience": "all",
    "schedule": {"weekday": "tuesday", "time": "09:00", "timezone": "America/New_York"},
    "trigger": {"event": "Offer Created", "delay_hours": [2, 6]}, "status": "active",
}  # fmt: skip


def test_with_triggers_puts_other_triggers_after_what_the_metrics_need() -> None:
    automations = [
        Automation.model_validate({"id": str(i), "trigger": {"event": event} if event else None})
        for i, event in enumerate(["Z seen", "Offer Created", None, "A seen", "Z seen"])
    ]
    events = ["Trade Confirmed", "Offer Created"]
    expected = ["Trade Confirmed", "Offer Created", "A seen", "Z seen"]
    assert with_triggers(events, automations) == expected
    assert with_triggers(events, automations[::-1]) == expected
    assert with_triggers(events, []) == events


def read_one(folder: Path, name: str, text: str | bytes) -> tuple[list[Automation], list[Problem]]:
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_automations(folder)


def only_problem(folder: Path, name: str, text: str | bytes) -> Problem:
    found, problems = read_one(folder, name, text)
    assert not found
    assert len(problems) == 1
    assert problems[0].file == name
    return problems[0]


class TestReading:
    def test_read_automations_json_whole(self, tmp_path: Path) -> None:
        (found,), problems = read_one(tmp_path, "any name.json", json.dumps(FULL))
        assert not problems
        assert found.id == "hot"
        assert found.schedule is not None
        assert (found.schedule.weekday, found.schedule.time) == ("tuesday", "09:00")
        assert found.trigger is not None
        assert found.trigger.delay_hours == (2, 6)

    @pytest.mark.parametrize("suffix", ["yaml", "yml", "YAML"])
    def test_read_automations_yaml_equals_json(self, tmp_path: Path, suffix: str) -> None:
        text = """
id: hot
name: Hot inventory
layer: 2
content: hot_inventory
audience: all
schedule: {weekday: tuesday, time: 09:00, timezone: America/New_York}
trigger:
  event: Offer Created
  delay_hours: [2, 6]
status: active
"""
        (found,), _ = read_one(tmp_path, f"a.{suffix}", text)
        assert found == Automation.model_validate(FULL)

    def test_read_automations_yaml_words_stay_words(self, tmp_path: Path) -> None:
        text = (
            "id: 012\nname: no\ncontent: 2026-09-01\naudience: 12:30:45\nstatus: on\nmore: 0x1F\n"
        )
        (found,), _ = read_one(tmp_path, "a.yaml", text)
        assert (found.id, found.name, found.content) == ("012", "no", "2026-09-01")
        assert (found.audience, found.status) == ("12:30:45", "on")

    def test_read_automations_unknown_keys_are_ignored(self, tmp_path: Path) -> None:
        (found,), problems = read_one(tmp_path, "a.json", '{"id": "a", "owner": {"team": [1]}}')
        assert (found.id, problems) == ("a", [])

    def test_read_automations_whole_number_id_is_text(self, tmp_path: Path) -> None:
        (found,), _ = read_one(tmp_path, "a.json", '{"id": 7, "name": 8}')
        assert (found.id, found.name) == ("7", "8")

    def test_read_automations_byte_order_mark_is_skipped(self, tmp_path: Path) -> None:
        (found,), _ = read_one(tmp_path, "a.json", b'\xef\xbb\xbf{"id": "a"}')
        assert found.id == "a"

    def test_read_automations_other_files_are_left_alone(self, tmp_path: Path) -> None:
        (tmp_path / "README.md").write_text("# {")
        (tmp_path / ".hidden.yaml").write_text("{")
        (tmp_path / "folder.yaml").mkdir()
        assert read_automations(tmp_path) == ([], [])

    def test_read_automations_below_the_folder(self, tmp_path: Path) -> None:
        (tmp_path / "layer-1").mkdir()
        (tmp_path / "layer-1" / "a.json").write_text("[]")
        _, (problem,) = read_automations(tmp_path)
        assert problem.file == "layer-1/a.json"


class TestProblems:
    def test_read_automations_missing_folder_is_a_problem_not_an_error(
        self, tmp_path: Path
    ) -> None:
        found, (problem,) = read_automations(tmp_path / "absent")
        assert found == []
        assert "not there" in str(problem)
        assert str(tmp_path) not in str(problem)

    def test_read_automations_broken_file_leaves_the_rest(self, tmp_path: Path) -> None:
        (tmp_path / "a.json").write_text('{"id": "a"}')
        (tmp_path / "b.json").write_text('{"id": "b",\n\n oops}')
        (tmp_path / "c.yaml").write_text("id: c")
        found, (problem,) = read_automations(tmp_path)
        assert [one.id for one in found] == ["a", "c"]
        assert (problem.file, problem.line) == ("b.json", 3)
        assert str(problem).startswith("b.json, line 3: is not valid JSON")

    def test_read_automations_second_file_of_one_id_is_a_problem(self, tmp_path: Path) -> None:
        (tmp_path / "a.yaml").write_text("id: x\nname: first")
        (tmp_path / "b.json").write_text('{"id": "x", "name": "second"}')
        (found,), (problem,) = read_automations(tmp_path)
        assert found.name == "first"
        assert problem.file == "b.json"
        assert "'x'" in problem.what

    @pytest.mark.parametrize(
        ("text", "line", "words"),
        [
            ("id: a\nlayer: 4\n", 2, "layer: input should be 1, 2 or 3"),
            ("id: a\nlayer: true\n", 2, "layer: must be 1, 2 or 3"),
            ("id: a\nname: [b]\n", 2, "name: input should be a valid string"),
            ("id: a\nname:\n  x: 1\n", 3, "name: input should be a valid string"),
            ("name: a\n", 1, "id: is missing"),
            ("id: a\nschedule:\n  weekday: someday\n", 3, "schedule.weekday: input should be"),
            ("id: a\nschedule:\n  time: 9am\n", 3, "schedule.time: is not a time"),
            ("id: a\nschedule:\n  time: 24:00\n", 3, "schedule.time: is not a time"),
            ("id: a\nschedule:\n  timezone: Mars/Base\n", 3, "timezone: is not a time zone"),
            ("id: a\nschedule:\n  timezone: ../../passwd\n", 3, "schedule.timezone: is not a time"),
            ("id: a\ntrigger:\n  event: E\n  delay_hours: [6, 2]\n", 4, "must ascend"),
            ("id: a\ntrigger:\n  event: E\n  delay_hours: [2]\n", 4, "trigger.delay_hours"),
            ("id: a\ntrigger:\n  delay_hours: [2, 6]\n", 3, "trigger.event: is missing"),
            ("id: a\nid: b\n", 2, "repeats the key 'id'"),
            ("id: &x a\n", 1, "anchor"),
            ("id: a\nname: *x\n", 2, "anchor or alias"),
            ("id: !!python/object/apply:os.system [ls]\n", 1, "tag"),
            ("id: !secret a\n", 1, "tag"),
            ("id: a\n---\nid: b\n", 2, "not valid YAML"),
            ("id: a\n  b: c\n", 2, "not valid YAML"),
            ("- id: a\n", 1, "must hold one automation"),
            ("", 1, "must hold one automation"),
            ("? [a]\n: b\n", 1, "key that is no text"),
            ("a: " + "[" * 50, 1, "nested too deep"),
            ("a: [" + "1, " * 20_000 + "]", 1, "holds too much"),
            ('id: "\\ud800"', 1, "half a character"),
            ('id: "\\UFFFFFFFF"', None, "characters that YAML does not allow"),
            ("id: a\x00", None, "characters that YAML does not allow"),
        ],
    )  # fmt: skip
    def test_read_automations_yaml_problem_names_line_and_reason(
        self, tmp_path: Path, text: str, line: int | None, words: str
    ) -> None:
        problem = only_problem(tmp_path, "a.yaml", text)
        assert words in problem.what
        assert problem.line == line

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ('{"id": "a", "id": "b"}', "repeats the key 'id'"),
            ('{"id": NaN}', "holds NaN"),
            ('{"id": ' + "9" * 5000 + "}", "id: input should be a valid string"),
            ('{"id": "a", "x": ' + "[" * 60 + "]" * 60 + "}", "nested too deep"),
            ("[" * 100_000, "nested too deep"),
            ('{"id": "a", "x": [' + "1," * 20_000 + "1]}", "holds too much"),
            ('{"id": "\\ud800"}', "id: "),
            ('{"id": " "}', "id: string should have at least 1 character"),
            ('{"id": "a", "layer": "2"}', "layer: input should be 1, 2 or 3"),
            ('{"id": "a", "trigger": {"event": "E", "delay_hours": [-1, 6]}}', "greater than"),
            (b"\xff\xfe{", "is not UTF-8"),
            ('{"id": "' + "x" * 1_000_000 + '"}', "is larger than"),
        ],
    )
    def test_read_automations_json_problem_names_reason(
        self, tmp_path: Path, text: str | bytes, words: str
    ) -> None:
        assert words in only_problem(tmp_path, "a.json", text).what

    def test_read_automations_content_is_not_echoed_at_length(self, tmp_path: Path) -> None:
        long = "secret " * 100
        for name, text in (
            ("a.yaml", f"id: a\nlayer: {long}"), ("b.json", json.dumps({"id": "b", long: [1]})),
            ("c.yaml", f"{long}: 1\n{long}: 2"), ("d.json", json.dumps({"id": long})),
            ("e.yaml", f"id: a\nschedule: {{weekday: {long}}}"),
        ):  # fmt: skip
            (tmp_path / name).write_text(text)
        _, problems = read_automations(tmp_path)
        assert len(problems) == 4
        assert all(str(problem).count("secret") < 7 for problem in problems)

    def test_read_automations_much_yaml_is_refused_soon(self, tmp_path: Path) -> None:
        for i, piece in enumerate(("- ", "a: b\n", "{", "[1, ", "? ", "'")):
            (tmp_path / f"{i}.yaml").write_text(piece * (190_000 // len(piece)))
        began = time.process_time()
        found, problems = read_automations(tmp_path)
        assert (found, len(problems)) == ([], 6)
        assert time.process_time() - began < 4


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(alphabet="ab:-[]{}&*!#|>'\"\\%@`, \n\t?~0123.eéÿ\u2028😀", max_size=60))
def test_read_yaml_any_text_is_read_or_refused_by_type(text: str) -> None:
    with suppress(DataError):
        read_yaml(text)


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.text(max_size=9),
        st.recursive(
            st.none() | st.booleans() | st.text(max_size=9) | st.integers(-9999, 9999),
            lambda inner: st.lists(inner, max_size=3),
            max_leaves=5,
        ),
        max_size=4,
    )
)
def test_read_yaml_reads_json_as_json_does(value: dict[str, Any]) -> None:
    """JSON with escapes is YAML: the same values come out."""
    assert read_yaml(json.dumps(value)).value == value
