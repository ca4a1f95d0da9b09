from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
import yaml

from core.demo import DEMO_VERSION, DemoFiles, World, files, read_demo, write_demo
from core.errors import ConfigError, DataError

TINY = World(n_users=300, n_days=14, seed=21)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> DemoFiles:
    return write_demo(tmp_path_factory.mktemp("tiny") / "demo", TINY)


def _digests(root: Path) -> dict[str, str]:
    found = sorted(path for path in root.rglob("*") if path.is_file())
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in found
    }


def _dump(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as connection:
        return list(connection.iterdump())


def test_write_demo_gives_the_same_bytes_for_the_same_world(
    tiny: DemoFiles, tmp_path: Path
) -> None:
    again = write_demo(tmp_path / "again", TINY)
    first, second = _digests(tiny.root), _digests(again.root)
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []
    assert _dump(tiny.root / "pushes.sqlite") == _dump(again.root / "pushes.sqlite")


def test_write_demo_does_not_depend_on_how_many_work_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(n_users=4_100, n_days=3, seed=2)
    together = write_demo(tmp_path / "together", world)
    monkeypatch.setattr(files, "WORKERS", 1)
    alone = write_demo(tmp_path / "alone", world)
    assert _digests(together.root) == _digests(alone.root)


def test_write_demo_differs_between_seeds(tiny: DemoFiles, tmp_path: Path) -> None:
    other = write_demo(tmp_path / "other", World(n_users=300, n_days=14, seed=22))
    assert _dump(tiny.root / "pushes.sqlite") != _dump(other.root / "pushes.sqlite")


def test_write_demo_says_where_everything_is(tiny: DemoFiles) -> None:
    assert tiny.database_url == f"sqlite:///{tiny.root.as_posix()}/pushes.sqlite"
    assert (tiny.root / "pushes.sqlite").stat().st_size > 0
    assert tiny.automations.name == ".automations"
    assert (tiny.truth / "campaigns.parquet").exists()
    assert tiny.as_of == TINY.as_of
    assert (tiny.timezone, tiny.parameters) == ("America/New_York", TINY)


def test_write_demo_reports_steps_up_to_the_end(tmp_path: Path) -> None:
    said: list[tuple[str, float]] = []
    write_demo(tmp_path / "demo", TINY, on_progress=lambda step, share: said.append((step, share)))
    shares = [share for _, share in said]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    assert all(step for step, _ in said)


def test_write_demo_writes_automations_in_both_formats(tiny: DemoFiles) -> None:
    read = {".json": json.loads, ".yaml": yaml.safe_load}
    files_ = sorted(tiny.automations.iterdir())
    loaded = [read[file.suffix](file.read_text(encoding="utf-8")) for file in files_]
    assert {file.suffix for file in files_} == {".json", ".yaml"}
    with closing(sqlite3.connect(tiny.root / "pushes.sqlite")) as connection:
        sent = connection.execute("SELECT DISTINCT automation_id FROM push_notifications")
        assert {each["id"] for each in loaded} >= {identifier for (identifier,) in sent}


def test_write_demo_replaces_an_older_demo(tmp_path: Path) -> None:
    write_demo(tmp_path / "demo", World(n_users=50, n_days=2, seed=1))
    (tmp_path / "demo" / "left.txt").write_text("older")
    made = write_demo(tmp_path / "demo", World(n_users=60, n_days=2, seed=1))
    assert read_demo(tmp_path / "demo") == made
    assert not (tmp_path / "demo" / "left.txt").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


def test_write_demo_into_an_empty_folder_works(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    made = write_demo(tmp_path / "demo", World(n_users=50, n_days=2))
    assert read_demo(tmp_path / "demo") == made


def test_write_demo_into_a_folder_of_something_else_raises(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigError, match="not a demo"):
        write_demo(tmp_path, World(n_users=50, n_days=2))
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_write_demo_onto_a_file_raises(tmp_path: Path) -> None:
    (tmp_path / "demo").write_text("mine")
    with pytest.raises(ConfigError, match="is a file"):
        write_demo(tmp_path / "demo", World(n_users=50, n_days=2))


def test_write_demo_that_fails_leaves_the_older_one_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = write_demo(tmp_path / "demo", World(n_users=50, n_days=2))

    def fail(*_: object) -> None:
        raise DataError("Broken on purpose.")

    monkeypatch.setattr(files, "write_persons", fail)
    with pytest.raises(DataError, match="on purpose"):
        write_demo(tmp_path / "demo", World(n_users=60, n_days=2))
    assert read_demo(tmp_path / "demo") == older
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


def test_write_demo_removes_what_a_killed_build_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".demo.building-abandoned").mkdir()
    monkeypatch.setattr(files, "ABANDONED_SECONDS", -1)
    write_demo(tmp_path / "demo", World(n_users=50, n_days=2))
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


def test_write_demo_leaves_a_running_build_alone(tmp_path: Path) -> None:
    (tmp_path / ".demo.building-running").mkdir()
    write_demo(tmp_path / "demo", World(n_users=50, n_days=2))
    assert (tmp_path / ".demo.building-running").exists()


def test_read_demo_of_nothing_is_none(tmp_path: Path) -> None:
    assert read_demo(tmp_path / "absent") is None
    assert read_demo(tmp_path) is None


@pytest.mark.parametrize(
    "note",
    [
        "not json",
        "[]",
        '{"version": 1}',
        f'{{"version": {DEMO_VERSION + 1}, "parameters": {{}}}}',
        f'{{"version": {DEMO_VERSION}, "parameters": {{"n_users": 0}}}}',
        f'{{"version": {DEMO_VERSION}, "parameters": {{"n_users": "many"}}}}',
    ],
)
def test_read_demo_of_another_version_or_a_broken_note_is_none(tmp_path: Path, note: str) -> None:
    (tmp_path / "demo.json").write_text(note)
    assert read_demo(tmp_path) is None


def test_read_demo_with_a_part_missing_is_none(tmp_path: Path) -> None:
    made = write_demo(tmp_path / "demo", World(n_users=50, n_days=2))
    (made.root / "pushes.sqlite").unlink()
    assert read_demo(made.root) is None


def test_write_demo_into_an_oddly_named_folder_gives_globs_that_find_files(tmp_path: Path) -> None:
    made = write_demo(tmp_path / "a [b] c", World(n_users=50, n_days=2))
    with duckdb.connect() as connection:
        for pattern, part in ((made.events, "events"), (made.persons, "persons")):
            found = connection.execute("SELECT count(*) FROM read_parquet(?)", [pattern])
            assert found.fetchone() == (len(pq.read_table(made.root / part)),)


def test_read_demo_of_other_parameters_is_none(tiny: DemoFiles) -> None:
    assert read_demo(tiny.root) == tiny
    assert read_demo(tiny.root, world=TINY) == tiny
    assert read_demo(tiny.root, world=World()) is None


@pytest.mark.parametrize(
    "world",
    [
        World(n_users=1, n_days=1),
        World(n_users=80, n_days=10, n_campaigns=0),
        World(n_users=80, n_days=10, n_campaigns=1, overlap=False, selection=False),
        World(n_users=80, n_days=70, activity=0.2, layers=(2,)),
    ],
    ids=["one user", "no campaign", "one campaign", "layer 2 only"],
)
def test_write_demo_writes_any_world(tmp_path: Path, world: World) -> None:
    made = write_demo(tmp_path / "demo", world)
    assert read_demo(tmp_path / "demo", world=world) == made
