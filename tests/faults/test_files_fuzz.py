"""Broken automation files, hostile titles and ids: refused by name and soon, sound ones kept."""

from __future__ import annotations

import json
import time

import pytest

from core.sources.automations import read_automations
from tests.faults import files_fuzz


def test_run_raises_nothing_untyped_and_loses_nothing():
    tally = files_fuzz.run(size=1_200, seed=3)
    assert tally.broken == []
    assert tally.is_good
    assert min(tally.exact, tally.declared) > 100


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("read_yaml", lambda text: files_fuzz.yaml.safe_load(text)),
        ("_read", lambda path: json.loads(path.read_text())),
    ],
)
def test_run_finds_out_where_a_check_is_off(name, instead, monkeypatch):
    monkeypatch.setattr(f"core.sources.automations.{name}", instead)
    assert files_fuzz.run(size=200, seed=3).broken


def test_read_automations_names_what_is_no_plain_file(tmp_path):
    names = files_fuzz.unusual(tmp_path)
    (tmp_path / "sound.json").write_text(json.dumps({"id": "sound", "name": "Sound"}))
    began = time.thread_time()
    found, problems = read_automations(tmp_path)
    assert time.thread_time() - began < 1
    assert [one.id for one in found] == ["sound"]
    said = {problem.file: str(problem) for problem in problems}
    assert sorted(said) == sorted(set(names) - {"folder.yaml"})
    assert "larger than" in said["big.yaml"]
    assert "bomb.yaml, line 1: uses an anchor" in said["bomb.yaml"]


def test_read_automations_reads_what_windows_writes(tmp_path):
    text = 'id: "7"\r\nname: Größe\r\nlayer: 2\r\n'
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbf" + text.encode())
    (tmp_path / "b.yaml").write_bytes(text.encode("latin-1"))
    (tmp_path / "c.yaml").write_bytes(text.encode("utf-16"))
    (tmp_path / "d.yaml").write_bytes(text.encode() + b"\x00")
    found, problems = read_automations(tmp_path)
    assert [one.name for one in found] == ["Größe"]
    assert [problem.file for problem in problems] == ["b.yaml", "c.yaml", "d.yaml"]


@pytest.mark.parametrize("half", ['"\\ud800"', '"a\\udc00"'])
def test_read_automations_refuses_half_characters(half, tmp_path):
    (tmp_path / "a.json").write_text(f'{{"id": "a", "name": {half}}}')
    (tmp_path / "b.yaml").write_text(f"id: b\nname: {half}\n")
    found, problems = read_automations(tmp_path)
    assert found == []
    assert [problem.file for problem in problems] == ["a.json", "b.yaml"]
