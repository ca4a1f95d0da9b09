"""Downloads under random trouble, a few of them; `python -m tests.faults` makes many."""

from __future__ import annotations

from core.sources import file_download_parquet
from tests.faults import downloads


def test_run_ends_exact_or_declared():
    tally = downloads.run(size=14, seed=2)
    assert tally.broken == []
    assert tally.is_good
    assert min(tally.exact, tally.declared) > 0


def test_run_finds_out_where_a_check_is_off(monkeypatch):
    monkeypatch.setattr(downloads, "_FAULTS", ({"match": "nothing"},))
    monkeypatch.setattr(downloads, "_KILLED", 0.0)
    monkeypatch.setattr(downloads, "_SCRIPTS", ({"lose_rows": 3},))
    monkeypatch.setattr(file_download_parquet, "fault_of", lambda *_, **__: "")
    assert downloads.run(size=4, seed=3).broken
