from __future__ import annotations

import pathlib
import zipfile

import pytest

from core.errors import PushliftError
from core.publish.files import write_all, write_zip


def _text(content):
    return lambda path: path.write_text(content)


def _fails(path):
    path.write_text("half")
    raise OSError(28, "No space left on device")


def _tree(folder):
    return {
        p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*") if p.is_file()
    }


def test_write_all_makes_the_folder_with_every_file(tmp_path):
    out = tmp_path / "deep" / "out"
    write_all(out, {"a.csv": _text("1"), "reports/layer-1/b.md": _text("2")})
    assert _tree(out) == {"a.csv": "1", "reports/layer-1/b.md": "2"}
    assert [p.name for p in out.parent.iterdir()] == ["out"]


def test_write_all_replaces_its_files_and_leaves_others(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / "a.csv").write_text("old")
    write_all(tmp_path, {"a.csv": _text("new"), "b.csv": _text("2")})
    assert _tree(tmp_path) == {"mine.txt": "mine", "a.csv": "new", "b.csv": "2"}


def test_write_all_failing_writer_changes_nothing(tmp_path):
    (tmp_path / "a.csv").write_text("old")
    with pytest.raises(PushliftError, match="No space left"):
        write_all(tmp_path, {"a.csv": _text("new"), "b.csv": _fails})
    assert _tree(tmp_path) == {"a.csv": "old"}
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]


def test_write_all_failing_writer_leaves_no_new_folder(tmp_path):
    with pytest.raises(PushliftError):
        write_all(tmp_path / "out", {"a.csv": _fails})
    assert not list(tmp_path.iterdir())


def test_write_all_other_errors_clean_up_too(tmp_path):
    def _broken(path):
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        write_all(tmp_path, {"a.csv": _broken})
    assert not list(tmp_path.iterdir())


def test_write_all_failing_move_is_undone(tmp_path):
    (tmp_path / "a.csv").write_text("old")
    (tmp_path / "c.csv").mkdir()
    with pytest.raises(PushliftError, match=r"c\.csv is a folder|unchanged"):
        write_all(tmp_path, {"a.csv": _text("new"), "b.csv": _text("2"), "c.csv": _text("3")})
    assert _tree(tmp_path) == {"a.csv": "old"}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.csv", "c.csv"]


def test_write_all_at_every_failing_move_leaves_old_files(tmp_path, monkeypatch):
    names = ["a", "b", "c"]
    real = pathlib.Path.replace
    for broken in names:
        for name in names:
            (tmp_path / name).write_text(f"old {name}")

        def _replace(self, target, broken=broken):
            if self.name == broken and self.parent.name == "new":
                raise PermissionError(13, "Permission denied")
            return real(self, target)

        monkeypatch.setattr(pathlib.Path, "replace", _replace)
        with pytest.raises(PushliftError, match="Permission denied"):
            write_all(tmp_path, {name: _text(f"new {name}") for name in names})
        assert _tree(tmp_path) == {name: f"old {name}" for name in names}


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", ""])
def test_write_all_refuses_names_that_lead_out(tmp_path, name):
    with pytest.raises(PushliftError, match="leads out"):
        write_all(tmp_path / "out", {name: _text("x")})
    assert not list(tmp_path.iterdir())


def test_write_all_where_a_file_stands_in_the_way(tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(PushliftError, match="could not be written"):
        write_all(tmp_path / "out", {"a": _text("x")})
    assert _tree(tmp_path) == {"out": "a file"}


def _stamped(text):
    return {"a.csv": _text(text), "reports/layer-1/b.md": _text(text)}


def test_write_all_replaces_named_folders_as_a_whole(tmp_path):
    write_all(tmp_path, {**_stamped("1"), "reports/layer-2/old.md": _text("1")})
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "x.txt").write_text("mine")
    write_all(tmp_path, _stamped("2"), folders=["reports"])
    assert _tree(tmp_path) == {"a.csv": "2", "reports/layer-1/b.md": "2", "own/x.txt": "mine"}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.csv", "own", "reports"]


def test_write_all_empties_a_named_folder_nothing_is_written_into(tmp_path):
    write_all(tmp_path, _stamped("1"))
    write_all(tmp_path, {"a.csv": _text("2")}, folders=["reports"])
    assert _tree(tmp_path) == {"a.csv": "2"}


def test_write_all_failing_after_a_folder_moved_puts_it_back(tmp_path):
    write_all(tmp_path, _stamped("old"))
    (tmp_path / "a.csv").unlink()
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(PushliftError, match="unchanged"):
        write_all(tmp_path, _stamped("new"), folders=["reports", "others"])
    assert _tree(tmp_path) == {"reports/layer-1/b.md": "old"}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.csv", "reports"]


@pytest.mark.parametrize("files", [{}, {"reports/b.md": _text("new")}])
def test_write_all_leaves_a_file_that_stands_where_a_folder_goes(tmp_path, files):
    (tmp_path / "reports").write_text("mine")
    with pytest.raises(PushliftError, match="unchanged"):
        write_all(tmp_path, {"a.csv": _text("new"), **files}, folders=["reports"])
    assert _tree(tmp_path) == {"reports": "mine"}


@pytest.mark.parametrize(
    "name", ["a b.md", "a/.hidden", "a//b", "con\n", "é.md", "a\\b", "x" * 121, "a/b.", "-rf"]
)
def test_write_all_refuses_names_that_some_file_systems_do_not_take(tmp_path, name):
    with pytest.raises(PushliftError, match="every file system"):
        write_all(tmp_path / "out", {name: _text("x")})
    assert not list(tmp_path.iterdir())


def test_write_all_refuses_names_that_differ_in_capitals_alone(tmp_path):
    with pytest.raises(PushliftError, match="capitals"):
        write_all(tmp_path / "out", {"a/B.md": _text("x"), "a/b.md": _text("y")})


def test_write_zip_same_files_same_bytes_and_fixed_times(tmp_path):
    for name in ("one.zip", "two.zip"):
        write_zip(tmp_path / name, {**_stamped("x" * 10_000), "b.xlsx": _text("y" * 10_000)})
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["a.csv", "reports/layer-1/b.md", "b.xlsx"]
        assert archive.read("a.csv") == b"x" * 10_000
        kinds = {one.filename: one.compress_type for one in archive.infolist()}
        assert {one.date_time for one in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert kinds["a.csv"] == zipfile.ZIP_DEFLATED
    assert kinds["b.xlsx"] == zipfile.ZIP_STORED
    assert sorted(p.name for p in tmp_path.iterdir()) == ["one.zip", "two.zip"]


def test_write_zip_failing_writer_leaves_the_old_one(tmp_path):
    path = tmp_path / "all.zip"
    path.write_text("old")
    with pytest.raises(PushliftError, match="No space left"):
        write_zip(path, {"a.csv": _text("new"), "b.csv": _fails})
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["all.zip"]
