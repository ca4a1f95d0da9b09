"""Tests of the store's folder: full, foreign, locked, linked, read-only, shared and tidied."""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from core.activity import shelf, sweep
from core.activity import store as store_module
from core.activity.store import SIZE_LIMIT, Store
from core.errors import ConfigError
from core.settings import read_settings

ROOT = Path(__file__).resolve().parents[2]
SMALL = b"a few bytes"
LARGE = bytes(range(256)) * 400
HOUR, DAY = 3600, 24 * 3600


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@contextmanager
def _database(folder: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(folder / "cache.db", isolation_level=None)
    try:
        yield connection
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()


def _filled(folder: Path) -> Path:
    """Fill a folder, and return the file of its large value."""
    store = Store(folder)
    store.put("small", SMALL)
    store.put("large", LARGE)
    store.close()
    return next(folder.rglob("*.val"))


def _aged(path: Path, seconds: float) -> Path:
    at = time.time() - seconds
    os.utime(path, (at, at))
    return path


def _swept(folder: Path, **options: Any) -> None:
    """Open the store of a folder that was last cleaned long ago."""
    _aged(folder / sweep.MARK, 2 * DAY)
    Store(folder, **options).close()


def _file(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


class TestPermissions:
    def test_store_files_and_folders_are_their_owners_alone(self, folder: Path) -> None:
        old = os.umask(0)
        try:
            store = Store(folder)
            store.put("small", SMALL)
            store.put("large", LARGE)
            with store.alone("name"):
                pass
        finally:
            os.umask(old)
        modes = {path: stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}
        store.close()
        assert len(modes) >= 7
        assert {mode for path, mode in modes.items() if path.is_dir()} <= {0o700}
        assert {mode for path, mode in modes.items() if not path.is_dir()} == {0o600}

    def test_store_closes_a_database_that_stood_open_to_others(self, folder: Path) -> None:
        _filled(folder)
        (folder / "cache.db").chmod(0o666)
        Store(folder).close()
        assert stat.S_IMODE((folder / "cache.db").stat().st_mode) == 0o600

    def test_store_in_a_folder_of_another_user_keeps_nothing(self, folder: Path) -> None:
        folder.mkdir(mode=0o777)
        folder.chmod(0o777)
        said = self.as_another_user(folder)
        assert "cannot be opened" in said["notices"][0]
        assert said["found"] is None
        assert list(folder.iterdir()) == []

    def as_another_user(self, folder: Path) -> Any:
        code = (
            "import json, os, sys, pathlib; from core.activity.store import Store\n"
            "who = sys.argv[2]\n"
            "if who != 'as we are': os.setgid(int(who)); os.setuid(int(who))\n"
            "store = Store(pathlib.Path(sys.argv[1])); store.put('key', b'x')\n"
            "print(json.dumps({'notices': store.notices, 'found': store.get('key')}))"
        )
        who = "as we are"
        if os.geteuid() == 0:
            who = str(pwd.getpwnam("nobody").pw_uid)
            for parent in folder.parents:  # so that the other user can come this far
                if parent.stat().st_uid == 0 and not parent.stat().st_mode & stat.S_IXOTH:
                    parent.chmod(parent.stat().st_mode | stat.S_IXOTH)
        else:
            code = code.replace("store = ", "os.geteuid = lambda: os.getuid() + 1\nstore = ")
        done = subprocess.run(
            [sys.executable, "-c", code, folder, who], cwd=ROOT, check=True, capture_output=True
        )
        return json.loads(done.stdout)

    def test_store_that_cannot_write_still_reads(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As on a file system that is mounted for reading only."""
        _filled(folder)

        def refuse(*_: object) -> None:
            raise OSError(30, "Read-only file system")

        monkeypatch.setattr(store_module, "_opened", refuse)
        store = Store(folder)
        assert store.get("large") == LARGE
        assert store.keys("") == ["large", "small"]
        store.put("new", SMALL)
        assert store.get("new") is None
        assert "Read-only file system" in store.notices[0]
        with store.alone("name"):
            pass
        store.close()
        assert store.get("large") is None


class TestFullDisk:
    def test_store_on_a_full_disk_goes_on_and_finds_what_it_had(self, tmp_path: Path) -> None:
        disk = tmp_path / "disk"
        disk.mkdir()
        program = [sys.executable, "-m", "tests.activity.full_disk", str(disk)]
        mounted = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=1m tmpfs "$0" && exec "$@"']
        if _may([*mounted, str(disk), "true"]):
            command = [*mounted, str(disk), *program, "fill"]
        else:
            command = [*program, "limit"]
        done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60)
        seen = json.loads(done.stdout)
        assert {"first", "another", "later"} <= set(seen)
        for when, found in seen.items():
            assert found["large"], when
            assert found["small"], when
            assert found["keys"] == ["before large", "before small"], when
            assert found["new"], when
            assert found["files"] == 1, when  # no half file, and none without its row
            assert bool(found["notices"]) == (when != "recovered"), when
            assert not any("damaged" in words for words in found["notices"]), when
        assert seen.get("recovered", {"after": True})["after"]

    def test_put_whose_row_does_not_come_to_be_leaves_no_file(self, folder: Path) -> None:
        store = Store(folder)
        store.put("before", SMALL)
        store._cache._sql("PRAGMA max_page_count = 1")  # as many as there are
        long = "key " * 5000
        store.put(long, LARGE)
        assert store.get(long) is None
        assert not list(folder.rglob("*.val"))
        assert "is full" in store.notices[0]
        assert store.get("before") == SMALL
        store.put(long, LARGE)  # by another connection, which may grow
        assert store.get(long) == LARGE
        store.close()


def _may(command: list[str]) -> bool:
    try:
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


class TestForeign:
    def test_get_of_another_schema_version_is_none(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(store_module, "_SCHEMA", b"pushlift-store-0\n")
        _filled(folder)
        monkeypatch.undo()
        store = Store(folder)
        assert store.get("small") is None
        assert store.get("large") is None
        assert store.keys("") == []  # and dropped, not looked at again
        store.close()

    def test_get_of_a_value_file_of_another_key_is_none(self, folder: Path) -> None:
        store = Store(folder)
        for key, byte in (("one", b"1"), ("two", b"2")):
            store.put(key, byte * 100_000)
        store.close()
        first, second = folder.rglob("*.val")
        swapped = first.read_bytes(), second.read_bytes()
        second.write_bytes(swapped[0])
        first.write_bytes(swapped[1])
        again = Store(folder)
        assert [again.get("one"), again.get("two")] == [None, None]
        again.close()

    def test_get_and_put_do_not_follow_a_link_to_a_file(self, folder: Path, tmp_path: Path) -> None:
        value = _filled(folder)
        outside = tmp_path / "outside.val"
        shutil.move(value, outside)
        value.symlink_to(outside)
        store = Store(folder)
        assert store.get("large") is None  # though the bytes would be right
        store.put("large", LARGE)
        assert store.get("large") == LARGE
        assert outside.exists()
        store.close()

    def test_get_and_put_do_not_follow_a_link_to_a_folder(
        self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        value = _filled(folder)
        outside = tmp_path / "outside"
        shutil.move(value.parents[1], outside)
        value.parents[1].symlink_to(outside)
        inside = next(outside.rglob("*.val"))
        store = Store(folder)
        assert store.get("large") is None
        name = f"{value.parents[1].name}/00/{'0' * 28}.val"
        with pytest.raises(shelf.RefusedError):
            shelf.within(store._directory, name)
        shelf.remove_value(store._directory, value.relative_to(folder).as_posix())
        assert inside.exists()
        monkeypatch.setattr(shelf.BytesDisk, "filename", lambda *_: (name, str(folder / name)))
        store.put("new", LARGE)
        assert store.get("new") is None
        assert list(outside.rglob("*.val")) == [inside]
        store.close()

    @pytest.mark.parametrize("end", ["", "-wal", "-shm"])
    def test_store_does_not_follow_a_link_to_a_database(
        self, folder: Path, tmp_path: Path, end: str
    ) -> None:
        _filled(folder)
        theirs = _file(tmp_path / "theirs", (folder / "cache.db").read_bytes())
        link = folder / f"cache.db{end}"
        link.unlink(missing_ok=True)
        link.symlink_to(theirs)
        before = theirs.read_bytes()
        store = Store(folder)
        assert store.get("large") is None
        store.put("large", LARGE)
        assert store.get("large") == LARGE
        store.close()
        assert theirs.read_bytes() == before
        assert "damaged" in store.notices[0]

    def test_alone_does_not_follow_a_link(
        self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sweep, "lock_name", lambda _: "alone-0123456789abcdef.lock")
        store = Store(folder)
        (folder / "alone-0123456789abcdef.lock").symlink_to(tmp_path / "outside")
        with store.alone("name"):
            assert not (tmp_path / "outside").exists()
        assert store.notices
        store.close()


class TestLocked:
    def test_store_opened_while_the_database_is_locked_reads_and_does_not_wait(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _filled(folder)
        monkeypatch.setattr(store_module, "_LOCK_SECONDS", 0.2)
        with _database(folder) as database:
            database.execute("BEGIN EXCLUSIVE")
            began = time.monotonic()
            store = Store(folder)
            assert store.get("large") == LARGE
            for _ in range(60):
                store.put("new", SMALL)
            assert time.monotonic() - began < 8
            assert "it is locked" in store.notices[0]
            database.execute("ROLLBACK")
        store.close()

    def test_store_waits_once_for_a_lock_and_then_rests(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(store_module, "_LOCK_SECONDS", 0.2)
        store = Store(folder)
        store.put("kept", SMALL)
        with _database(folder) as database:
            database.execute("BEGIN EXCLUSIVE")
            began = time.monotonic()
            for number in range(60):
                store.put(f"key {number}", LARGE)
                assert store.get("kept") == SMALL
            assert time.monotonic() - began < 8
            database.execute("ROLLBACK")
        assert not list(folder.rglob("*.val"))
        monkeypatch.setattr(store, "_rests_until", 0.0)
        store.put("key", SMALL)
        assert store.get("key") == SMALL
        store.close()

    def test_alone_survives_the_removal_of_its_file_while_others_wait(self, folder: Path) -> None:
        stores = [Store(folder) for _ in range(3)]
        inside: list[int] = []
        most: list[int] = []

        def work(number: int) -> None:
            for _ in range(30):
                with stores[number].alone("name"):
                    inside.append(number)
                    time.sleep(0.0005)
                    most.append(len(inside))
                    for path in folder.glob("alone-*.lock"):
                        path.unlink(missing_ok=True)
                    inside.remove(number)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert most == [1] * 90
        for store in stores:
            store.close()


class TestSweep:
    def test_sweep_removes_what_expired_with_its_files(self, folder: Path) -> None:
        store = Store(folder)
        store.put("gone", LARGE, expire_seconds=-1)
        store.put("gone too", SMALL, expire_seconds=-1)
        store.put("kept", LARGE, expire_seconds=HOUR)
        store.close()
        _swept(folder)
        with _database(folder) as database:
            assert database.execute("SELECT key FROM Cache").fetchall() == [("kept",)]
            size = database.execute("SELECT value FROM Settings WHERE key = 'size'").fetchone()[0]
        assert len(list(folder.rglob("*.val"))) == 1
        assert len(LARGE) < size < len(LARGE) + 100

    def test_sweep_removes_orphans_older_than_an_hour_only(self, folder: Path) -> None:
        value = _aged(_filled(folder), 2 * DAY)
        name = "{}/bb/" + "c" * 28 + ".val"
        old = _aged(_file(folder / name.format("aa")), 2 * HOUR)
        young = _aged(_file(folder / name.format("ab")), HOUR / 2)
        others = [_aged(_file(folder / "notes.val"), 9 * DAY)]
        others += [_aged(_file(folder / "aa" / "bb" / "mine.val"), 9 * DAY)]
        _swept(folder)
        assert not old.exists()
        assert young.exists()
        assert value.exists()
        assert all(path.exists() for path in others)
        store = Store(folder)
        assert store.get("large") == LARGE
        store.close()

    def test_sweep_removes_old_databases_set_aside_and_locks_nobody_holds(
        self, folder: Path
    ) -> None:
        store = Store(folder)
        damaged = _aged(_file(folder / "cache.db.damaged"), 8 * DAY)
        with store.alone("held"), Store(folder).alone("free"):
            held, free = (
                folder / sweep.lock_name(digest)
                for digest in (_digest_of("held"), _digest_of("free"))
            )
        with store.alone("held"):
            _aged(held, 2 * DAY)
            _aged(free, 2 * DAY)
            foreign = _aged(_file(folder / "other.lock"), 2 * DAY)
            _swept(folder)
            assert held.exists()
        assert not free.exists()
        assert foreign.exists()
        assert not damaged.exists()
        _file(damaged)
        _swept(folder)
        assert damaged.exists()  # not yet a week old
        store.close()

    def test_sweep_brings_a_folder_below_a_limit_made_smaller(self, folder: Path) -> None:
        store = Store(folder)
        for number in range(40):
            store.put(f"key {number:02}", LARGE)
        store.close()
        _swept(folder, size_limit=11 * len(LARGE) - 1)
        store = Store(folder)
        kept = store.keys("")
        store.close()
        assert kept == [f"key {number:02}" for number in range(30, 40)]
        assert len(list(folder.rglob("*.val"))) == 10

    def test_sweep_happens_once_a_day(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        done: list[int] = []
        monkeypatch.setattr(sweep, "_sweep", lambda *_: done.append(1))
        for age in (None, 2 * HOUR, 25 * HOUR, 0):
            if age is not None:
                _aged(folder / sweep.MARK, age)
            Store(folder).close()
        assert len(done) == 2
        _aged(folder / sweep.MARK, -3 * DAY)  # by a clock that was wrong
        Store(folder).close()
        assert len(done) == 3

    def test_sweep_is_left_to_whoever_is_at_it(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Store(folder).close()
        _aged(folder / sweep.MARK, 2 * DAY)
        done: list[int] = []
        monkeypatch.setattr(sweep, "_sweep", lambda *_: done.append(1))
        with sweep.locked(folder / sweep.MARK):
            assert not sweep.sweep(folder, size_limit=1)
        assert sweep.sweep(folder, size_limit=1)
        assert done == [1]

    def test_sweep_ends_when_its_time_is_over(self, folder: Path) -> None:
        store = Store(folder)
        for number in range(300):
            store.put(f"key {number}", SMALL)
        with _database(folder) as database:
            database.execute("UPDATE Cache SET expire_time = 1")
        orphan = _aged(_file(folder / "aa" / "bb" / f"{'c' * 28}.val"), DAY)
        _aged(folder / sweep.MARK, 2 * DAY)
        assert sweep.sweep(folder, size_limit=1, seconds=-1)
        assert orphan.exists()
        assert store.keys("")
        _aged(folder / sweep.MARK, 2 * DAY)
        assert sweep.sweep(folder, size_limit=10**9)
        assert not orphan.exists()
        assert store.keys("") == []
        store.close()

    def test_sweep_beside_writers_loses_nothing(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sweep, "EVERY_SECONDS", 0)
        store = Store(folder)
        is_over = threading.Event()
        cleaned: list[bool] = []

        def clean() -> None:
            while not is_over.is_set():
                cleaned.append(sweep.sweep(folder, size_limit=10**9))

        cleaner = threading.Thread(target=clean)
        cleaner.start()
        try:
            for number in range(60):
                store.put(f"key {number}", LARGE + bytes([number]))
        finally:
            is_over.set()
            cleaner.join()
        assert cleaned.count(True) > 3
        assert all(store.get(f"key {number}") == LARGE + bytes([number]) for number in range(60))
        assert store.notices == ()
        store.close()


def _digest_of(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def test_settings_name_the_size_of_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUSHLIFT_CACHE__SIZE_MB", "100")
    file = _file(tmp_path / "settings.toml", b"[cache]\ndir = 'elsewhere'\n")
    cache = read_settings(file).cache
    assert (cache.dir, cache.size_mb) == (Path("elsewhere"), 100)
    monkeypatch.delenv("PUSHLIFT_CACHE__SIZE_MB")
    assert read_settings(file).cache.size_mb * 1024**2 == SIZE_LIMIT
    file.write_text("[cache]\nsize_mb = 0\n")
    with pytest.raises(ConfigError, match=r"cache\.size_mb"):
        read_settings(file)
