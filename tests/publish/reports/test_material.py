from __future__ import annotations

import re
from types import SimpleNamespace

import pytest

from core.errors import DataError
from core.publish.reports.material import about, folder_of, stems
from tests.faults.hostile import BREAKERS, MARKUP
from tests.publish.examples import HOSTILE
from tests.publish.reports.materials import material, setting


def test_stems_are_safe_and_apart_whatever_the_ids():
    ids = list(
        dict.fromkeys((*HOSTILE, *MARKUP, *BREAKERS, "a", "A", "a ", "con", "../x", "x" * 999))
    )
    names = stems(ids)
    assert set(names) == set(ids)
    assert len({name.casefold() for name in names.values()}) == len(ids)
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9-]*-[0-9a-f]{8}", name) for name in names.values())
    assert max(map(len, names.values())) <= 49


def test_stems_do_not_depend_on_other_ids():
    assert stems(["drop-01", "x"])["drop-01"] == stems(["drop-01"])["drop-01"]
    assert stems(["Drop 01:2026-09-01"])["Drop 01:2026-09-01"].startswith("drop-01-2026-09-01-")


@pytest.mark.parametrize(("layer", "folder"), [("1", "layer-1"), ("unclassified", "unclassified")])
def test_folder_of(layer, folder):
    assert folder_of(layer) == folder


def test_rows_of_what_was_not_drawn_are_none():
    bare = material(bare=True)
    assert bare.table("decisions") is None
    assert bare.rows("decisions").empty
    assert len(material().rows("decisions", metric="sessions")) == 6


def test_table_that_is_not_as_declared_raises():
    whole = material()
    scores = whole.quality.scores.drop(columns="weight")
    broken = SimpleNamespace(scores=scores)
    object.__setattr__(whole, "quality", broken)
    with pytest.raises(DataError, match="weight"):
        whole.table("quality_scores")


def test_shown_layers_are_those_chosen_and_unclassified_where_it_occurs():
    whole = material()
    assert whole.shown_layers == ["1", "2", "3"]
    object.__setattr__(whole, "setting", setting(layers=("2",)))
    assert whole.shown_layers == ["2"]


def test_about_says_what_is_missing_first():
    said = about(setting(missing=("Activity of a day is missing.",)))
    assert next(iter(said.items())) == ("Missing 1", "Activity of a day is missing.")
    assert said["Confidence level"] == "95 %"
    assert said["Primary metric"] == "confirmed trades"
