"""Person ids in files: never an e-mail, the same hash for the same person, a key that stays."""

from __future__ import annotations

import hashlib
import hmac
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pandas as pd
import pytest

from core import outputs
from core.errors import PushliftError
from core.frames import CAMPAIGNS, CHECKS, LAYER_CONTRASTS, LAYER_LIFTS, LIFTS
from core.pipeline import Results
from core.private import KEY_FILE, export_key, exported_ids, hashed, holds_email, shareable
from core.sections import Cache, Export
from core.settings import Settings

KEY = bytes(range(32))


def settings_of(folder: Path, **export: str) -> Settings:
    return Settings(cache=Cache(dir=folder), export=Export(**export))


def test_hashed_is_hmac_sha256_as_rfc_2104_has_it():
    # RFC 4231, test case 2
    assert hashed("what do ya want for nothing?", b"Jefe") == "h_5bdcc146bf60754e6a042426089575c7"
    told = hmac.new(KEY, b"a@b.c", hashlib.sha256).hexdigest()
    assert hashed("a@b.c", KEY) == f"h_{told[:32]}"
    assert hashed("a@b.c", bytes(32)) != hashed("a@b.c", KEY)


@pytest.mark.parametrize(
    "text", ["a@b.c", "a＠b.c", "a﹫b.c", "a%40b.c", "mailto:a@b", "@", "x|a@b.c|y"]
)
def test_holds_email_sees_every_at_sign(text):
    assert holds_email(text)


@pytest.mark.parametrize("text", ["0192a-b", "$device:1", "", "a.b.c", "h_00", "40"])
def test_holds_email_leaves_other_ids(text):
    assert not holds_email(text)


@pytest.mark.parametrize("dtype", ["category", "str", "object"])
def test_exported_ids_keeps_rows_and_who_is_who(dtype):
    ids = pd.Series(["p1", "a@b.c", "p1", "d@e.f", "a@b.c"], dtype=dtype)
    plain = exported_ids(ids, KEY)
    assert list(plain) == ["p1", hashed("a@b.c", KEY), "p1", hashed("d@e.f", KEY), plain[1]]
    every = exported_ids(ids, KEY, mode="hashed")
    assert every.str.fullmatch(r"h_[0-9a-f]{32}").all()
    np.testing.assert_array_equal(pd.factorize(every)[0], pd.factorize(ids)[0])


def test_shareable_leaves_tables_without_emails_and_makes_no_key(tmp_path):
    frame = pd.DataFrame({"person_id": pd.Categorical(["p1", "p2"]), "n": [1, 2]})
    assert shareable(frame, settings_of(tmp_path)) is frame
    assert list(tmp_path.iterdir()) == []


def test_shareable_hashes_emails_with_the_key_of_the_cache_folder(tmp_path):
    frame = pd.DataFrame({"person_id": pd.Categorical(["p1", "a@b.c"]), "n": [1, 2]})
    settings = settings_of(tmp_path)
    shared = shareable(frame, settings)
    assert list(shared["person_id"]) == ["p1", hashed("a@b.c", export_key(settings))]
    assert list(frame["person_id"]) == ["p1", "a@b.c"]
    assert list(shared["n"]) == [1, 2]


def test_shareable_hashes_everybody_where_told_to(tmp_path):
    frame = pd.DataFrame({"person_id": ["p1", "p2"]})
    key = "sixteen letters or more"
    shared = shareable(frame, settings_of(tmp_path, person_ids="hashed", key=key))
    assert list(shared["person_id"]) == [hashed(one, key.encode()) for one in ("p1", "p2")]
    assert not (tmp_path / KEY_FILE).exists()


def test_export_key_is_random_private_and_stays(tmp_path):
    first, other = tmp_path / "one", tmp_path / "two"
    key = export_key(settings_of(first))
    assert len(key) == 32
    assert export_key(settings_of(first)) == key
    assert export_key(settings_of(other)) != key
    assert (first / KEY_FILE).stat().st_mode & 0o777 == 0o600
    (first / KEY_FILE).chmod(0o644)
    export_key(settings_of(first))
    assert (first / KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in first.iterdir()] == [KEY_FILE]


def test_export_key_is_one_for_processes_that_begin_together(tmp_path):
    code = (
        "import sys; from pathlib import Path\n"
        "from core.private import export_key; from core.sections import Cache, Settings\n"
        "print(export_key(Settings(cache=Cache(dir=Path(sys.argv[1])))).hex())"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "cache")]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert len({one.communicate()[0] for one in running}) == 1


@pytest.mark.parametrize("content", [b"", b"short", bytes(33)])
def test_export_key_refuses_a_damaged_file(content, tmp_path):
    (tmp_path / KEY_FILE).write_bytes(content)
    with pytest.raises(PushliftError, match="damaged"):
        export_key(settings_of(tmp_path))


def test_export_key_says_where_it_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PushliftError, match="cannot be made or read"):
        export_key(settings_of(tmp_path / "file" / "cache"))


@pytest.mark.parametrize("table", [CAMPAIGNS, LIFTS, LAYER_LIFTS, LAYER_CONTRASTS, CHECKS])
def test_tables_that_pages_hand_out_hold_nobodys_id(table):
    assert not {"person_id", "user_id", "distinct_id", "email"} & set(table.names)


def test_files_of_a_run_hold_no_address(tmp_path, monkeypatch):
    counts = pd.DataFrame({"person_id": pd.Categorical(["p1", "a@b.c"])})
    monkeypatch.setattr(outputs, "window_counts", lambda loaded, results: counts)
    loaded = SimpleNamespace(wiring=SimpleNamespace(settings=settings_of(tmp_path)))
    results = MagicMock(spec=Results)
    found = outputs._counts(loaded, results, MagicMock())["person_id"]
    assert list(found) == ["p1", hashed("a@b.c", export_key(settings_of(tmp_path)))]
