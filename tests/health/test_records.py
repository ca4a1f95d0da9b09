"""Records of runs: kept whole, read strictly, never a reason to fail."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.errors import DataError
from core.health import records
from core.health.frames import RUNS
from core.health.records import (
    Told,
    plain,
    read_records,
    read_run,
    read_runs,
    run_id_of,
    write_record,
)
from tests.health.records import BEGAN, headline, record


def test_written_record_is_read_as_it_was(tmp_path: Path) -> None:
    told = Told(
        kind="mapping", about="all", severity="act", state="93 %", words="Zeilen ≥ 1 – naïve",
        is_told=True,
    )  # fmt: skip
    run = record(alerts=(told,), notices=("One.",), error=None)
    assert write_record(tmp_path / "runs", run) == ()
    assert read_run(tmp_path / "runs", run.run_id) == run


def test_record_of_a_failed_run_is_read_as_it_was(tmp_path: Path) -> None:
    run = record(
        status="failed", as_of=None, since=None, until=None, settings=None, headlines=(), scores=(),
        newest_event_at=None, mapped_share=None, peak_mb=None, error="It broke.",
    )  # fmt: skip
    write_record(tmp_path, run)
    assert read_run(tmp_path, run.run_id) == run
    table, _ = read_runs(tmp_path)
    [row] = table.to_dict("records")
    assert row["error"] == "It broke."
    assert pd.isna([row[name] for name in ("since", "quality", "peak_mb", "mapped_share")]).all()


def test_record_is_json_with_a_version_for_its_owner_alone(tmp_path: Path) -> None:
    run = record()
    write_record(tmp_path / "runs", run)
    [path] = (tmp_path / "runs").iterdir()
    assert path.name == f"{run.run_id}.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    assert next(iter(content)) == "schema_version"
    assert content["schema_version"] == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_numbers_that_are_none_are_null(tmp_path: Path) -> None:
    run = record(mapped_share=float("nan"), headlines=(headline("all", None),))
    write_record(tmp_path, run)
    assert "NaN" not in (tmp_path / f"{run.run_id}.json").read_text()
    assert read_run(tmp_path, run.run_id).mapped_share is None


def test_read_runs_gives_the_declared_table_in_order(tmp_path: Path) -> None:
    for number in (2, 0, 1):
        write_record(tmp_path, record(number))
    table, notices = read_runs(tmp_path)
    assert notices == ()
    pd.testing.assert_frame_equal(table, RUNS.checked(table))
    assert table["started_at"].is_monotonic_increasing
    last = table.iloc[-1]
    assert last["started_at"] == record(2).started_at
    assert (last["n_requests"], last["quality"], last["peak_mb"]) == (40, 0.97, 700.5)
    assert last["primary_rel_effect_size_ci_low"] == pytest.approx(0.15)


def test_read_runs_of_no_folder_is_empty(tmp_path: Path) -> None:
    table, notices = read_runs(tmp_path / "never")
    assert (len(table), notices) == (0, ())
    pd.testing.assert_frame_equal(table, RUNS.empty())


FOREIGN = {
    "nothing": b"",
    "another program's": b'{"hello": 1}',
    "no object": b"[1]",
    "deep": b"[" * 100_000,
    "not text": bytes(range(256)),
    "cut": b'{"schema_version":1,"run_id":',
}


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN.keys())
def test_read_runs_skips_and_counts_what_is_no_record(tmp_path: Path, content: bytes) -> None:
    write_record(tmp_path, record(0))
    (tmp_path / f"{record(1).run_id}.json").write_bytes(content)
    (tmp_path / "README.json").write_text("not looked at")
    table, notices = read_runs(tmp_path)
    assert len(table) == 1
    assert len(notices) == 1
    assert "1 file is skipped" in notices[0]


def changed(**values: object) -> bytes:
    content = json.loads(records._RECORD.dump_json(record(1)))
    return json.dumps({**content, **values}).encode()


@pytest.mark.parametrize(
    "values",
    [
        {"schema_version": 2},
        {"schema_version": None},
        {"run_id": "20261120T060000000000Z-ffffffff"},
        {"started_at": "2026-11-20T06:00:00"},
        {"as_of": "yesterday"},
        {"seconds": "20"},
        {"seconds": float("inf")},
        {"n_campaigns": 10**30},
        {"n_campaigns": -1},
        {"n_campaigns": 2.5},
        {"status": "fine"},
        {"extra": 1},
        {"cost": {"requests": 10**30}},
        {"headlines": [{"level": "layer"}]},
        {"settings": {"timezone": "UTC"}},
        {"alerts": None},
    ],
)
def test_read_records_believes_no_value_of_another_kind(
    tmp_path: Path, values: dict[str, object]
) -> None:
    write_record(tmp_path, record(0))
    (tmp_path / f"{record(1).run_id}.json").write_bytes(changed(**values))
    found, notices = read_records(tmp_path)
    assert [one.run_id for one in found] == [record(0).run_id]
    assert len(notices) == 1


def test_damaged_records_are_never_an_error(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    whole = records._RECORD.dump_json(record(1), indent=1)
    path = tmp_path / f"{record(1).run_id}.json"
    for _ in range(300):
        content = bytearray(whole)
        for at in rng.integers(0, len(content), 3):
            content[at] = rng.integers(0, 256)
        path.write_bytes(bytes(content[: rng.integers(1, len(content) + 1)]))
        table, notices = read_runs(tmp_path)
        assert len(table) + len(notices) == 1


def test_read_records_follows_no_link_and_reads_nothing_huge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = tmp_path / "outside.json"
    outside.write_bytes(changed())
    folder = tmp_path / "runs"
    folder.mkdir()
    (folder / f"{record(1).run_id}.json").symlink_to(outside)
    assert read_records(folder)[0] == []
    write_record(folder, record(2))
    monkeypatch.setattr(records, "_MOST_BYTES", 100)
    assert read_records(folder)[0] == []


@pytest.mark.parametrize("run_id", ["", "../outside", "20261120T060000000000Z-0000000", "a" * 30])
def test_read_run_leads_nowhere_else(tmp_path: Path, run_id: str) -> None:
    with pytest.raises(DataError, match="not the name of a run"):
        read_run(tmp_path, run_id)
    with pytest.raises(DataError, match="not the name of a run"):
        write_record(tmp_path, record(run_id=run_id))


def test_read_run_of_none_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no record"):
        read_run(tmp_path, record().run_id)


def test_run_ids_sort_by_their_beginning() -> None:
    names = [record(number).run_id for number in range(3)]
    assert names == sorted(names)
    assert run_id_of(BEGAN) != run_id_of(BEGAN)


def test_write_record_keeps_only_the_newest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "MOST_KEPT", 5)
    for number in range(9):
        write_record(tmp_path, record(number))
    found, _ = read_records(tmp_path)
    assert [one.run_id for one in found] == [record(number).run_id for number in range(4, 9)]
    assert len(read_records(tmp_path, most=2)[0]) == 2


def test_write_record_clears_away_drafts_of_killed_processes(tmp_path: Path) -> None:
    old, young = (tmp_path / f".{record(number).run_id}.draft" for number in (1, 2))
    for path in (old, young, tmp_path / ".mine.draft"):
        path.write_text("half")
    long_ago = old.stat().st_mtime - 2 * 3600
    os.utime(old, (long_ago, long_ago))
    os.utime(tmp_path / ".mine.draft", (long_ago, long_ago))
    write_record(tmp_path, record(3))
    assert {path.name for path in tmp_path.glob(".*")} == {young.name, ".mine.draft"}
    assert len(read_records(tmp_path)[0]) == 1


def test_write_record_by_many_at_once_loses_none(tmp_path: Path) -> None:
    runs = [record(number) for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda run: write_record(tmp_path, run), runs)) == {()}
    assert [one.run_id for one in read_records(tmp_path)[0]] == [run.run_id for run in runs]
    assert not list(tmp_path.glob(".*"))


def test_write_record_where_a_file_stands_in_the_way_is_a_notice(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    [notice] = write_record(tmp_path / "runs", record())
    assert "could not be kept" in notice
    assert read_runs(tmp_path / "runs")[1] == ()


def test_write_record_on_a_full_disk_is_a_notice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    [notice] = write_record(tmp_path, record())
    assert "No space left on device" in notice
    assert list(tmp_path.iterdir()) == []


def test_write_record_into_a_read_only_folder_is_a_notice(tmp_path: Path) -> None:
    writes = (
        "import os, sys; from pathlib import Path; from tests.health.records import record\n"
        "from core.health.records import write_record\n"
        "folder = Path(sys.argv[1])\n"
        "if os.geteuid() == 0: os.setuid(65534)\n"
        "print(write_record(folder, record()))"
    )
    folder = tmp_path / "runs"
    folder.mkdir()
    folder.chmod(0o555)
    for parent in list(folder.parents)[:3]:
        parent.chmod(parent.stat().st_mode | 0o055)
    done = subprocess.run(
        [sys.executable, "-c", writes, folder], capture_output=True, text=True, check=False
    )
    assert "could not be kept" in done.stdout, done.stderr
    assert list(folder.iterdir()) == []


def test_plain_text_is_one_printable_line_without_addresses() -> None:
    assert plain("A\nB\t\x1b[31mC\u202e ann@example.com") == "A B [31mC <e-mail>"
    assert len(plain("a" * 5000)) == 1000


def test_overall_and_quality_of_a_run_without_them_are_none() -> None:
    bare = replace(record(), headlines=(), scores=())
    assert (bare.overall, bare.quality) == (None, None)
