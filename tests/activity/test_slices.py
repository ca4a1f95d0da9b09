"""Tests of slices as tables: kept bytes, who is who, and one timelines out of many."""

from __future__ import annotations

import random

import pyarrow as pa
import pytest

from core.activity import slices
from core.activity.plan import Slice, Use
from core.activity.slices import Piece
from core.activity.source import Period

People = dict[str, list[str]]


def _people(people: People) -> pa.Table:
    rows = {"person_id": list(people), "distinct_ids": list(people.values())}
    return pa.table(rows, schema=slices.PEOPLE)


def _piece(
    start: int, end: int, at: int, people: People, codes: list[list[int]] | None = None
) -> Piece:
    table = _people(people).append_column("codes", pa.array(codes or [[0]] * len(people)))
    known = Slice(start=start, end=end, fetched_at=at)
    return Piece(Use(slice=known, start=start, end=end), table)


def _known(pieces: list[Piece], merged: People | None = None, at: int = 99) -> dict[str, str]:
    told = [] if merged is None else [slices.Told(_people(merged), at)]
    seen, _ = slices.resolved(pieces, told)
    assert [str(kind) for kind in seen.dtypes] == ["str", "str"]
    assert seen["distinct_id"].is_unique
    return dict(zip(seen["distinct_id"], seen["person_id"], strict=True))


def test_from_bytes_returns_what_to_bytes_was_given() -> None:
    table = _piece(0, 9, 0, {"p": ["a", "b"], "ü": ["c"]}, [[1, 5], [2]]).rows
    assert slices.from_bytes(slices.to_bytes(table), slices.SLICE).equals(table)
    empty = slices.SLICE.empty_table()
    assert slices.from_bytes(slices.to_bytes(empty), slices.SLICE).equals(empty)


def test_from_bytes_of_anything_else_is_none() -> None:
    content = slices.to_bytes(_piece(0, 9, 0, {"p": ["a"]}, [[1, 5]]).rows)
    assert slices.from_bytes(None, slices.SLICE) is None
    assert slices.from_bytes(b"", slices.SLICE) is None
    assert slices.from_bytes(content, slices.PEOPLE) is None
    rng = random.Random(20260903)
    for _ in range(100):
        assert slices.from_bytes(content[: rng.randrange(len(content))], slices.SLICE) is None


def test_resolved_takes_the_latest_answer() -> None:
    pieces = [_piece(0, 9, 50, {"p": ["a"]}), _piece(9, 18, 60, {"q": ["a", "b"]})]
    seen, renames = slices.resolved(pieces)
    assert renames == {"p": "q"}
    assert set(seen["person_id"]) == {"q"}


def test_resolved_moves_everything_of_a_merged_person() -> None:
    pieces = [_piece(0, 9, 50, {"p": ["a", "old"]}), _piece(9, 18, 60, {"q": ["a"]})]
    assert _known(pieces) == {"a": "q", "old": "q"}


def test_resolved_follows_merges_of_merges() -> None:
    pieces = [
        _piece(0, 9, 50, {"p": ["a"]}),
        _piece(9, 18, 60, {"q": ["a", "b"]}),
        _piece(18, 27, 70, {"r": ["b", "c"]}),
        _piece(27, 36, 80, {"s": ["c"]}),
    ]
    assert _known(pieces) == dict.fromkeys("abc", "s")
    assert slices.resolved(pieces)[1] == dict.fromkeys("pqr", "s")


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_resolved_goes_by_when_it_was_fetched_and_not_by_when_it_happened(
    order: tuple[int, int],
) -> None:
    pieces = [_piece(0, 9, 60, {"q": ["a"]}), _piece(9, 18, 50, {"p": ["a"]})]
    assert _known([pieces[i] for i in order]) == {"a": "q"}


def test_resolved_leaves_a_person_alone_who_is_still_met() -> None:
    split = [_piece(0, 9, 50, {"p": ["a", "b"]}), _piece(9, 18, 60, {"p": ["a"], "q": ["b"]})]
    assert slices.resolved(split)[1] == {}
    same_time = [_piece(0, 9, 50, {"p": ["a"]}), _piece(9, 18, 50, {"q": ["a"]})]
    assert slices.resolved(same_time)[1] == {}


def test_resolved_believes_the_merged_persons_where_they_are_newer() -> None:
    pieces = [_piece(0, 9, 50, {"p": ["a"], "x": ["z"]}), _piece(9, 18, 60, {"q": ["b"]})]
    assert _known(pieces, {"q": ["a", "b", "never met"]}) == {"a": "q", "b": "q", "z": "x"}
    assert _known(pieces, {"r": ["a", "b"]}) == {"a": "r", "b": "r", "z": "x"}
    assert _known(pieces, {"q": ["a", "b"]}, at=40) == {"a": "p", "b": "q", "z": "x"}


def test_resolved_of_nothing_is_empty() -> None:
    assert _known([]) == {}
    assert _known([], {"p": ["a", "b"]}) == {}


def test_joined_decodes_crops_and_renames() -> None:
    # Slices from 100 and 200 over the events x, y: codes are (instant - start) * 2 + position.
    pieces = [
        _piece(100, 200, 5, {"p": ["a"], "q": ["b"]}, [[0, 41, 198], [100]]),
        _piece(200, 300, 5, {"q": ["b"], "r": ["c"]}, [[1, 3], [198]]),
    ]
    timelines = slices.joined(
        pieces, {"p": "q"}, period=Period(120, 299), asked=["x", "y"], event_names=("y", "x")
    )
    assert list(timelines.person_ids) == ["q"]
    assert timelines.event_names == ("y", "x")
    assert timelines.instants.tolist() == [120, 150, 199, 200, 201]
    assert timelines.events.tolist() == [0, 1, 1, 0, 0]
    assert timelines.offsets.tolist() == [0, 5]


def test_joined_takes_from_a_slice_only_the_part_it_answers() -> None:
    known = Slice(start=0, end=100, fetched_at=5)
    table = _piece(0, 100, 5, {"p": ["a"]}, [[10, 40, 70]]).rows
    pieces = [Piece(Use(slice=known, start=40, end=70), table)]
    timelines = slices.joined(pieces, {}, period=Period(0, 100), asked=["x"], event_names=("x",))
    assert timelines.instants.tolist() == [40]


def test_joined_of_nothing_is_empty() -> None:
    timelines = slices.joined([], {}, period=Period(0, 9), asked=["x"], event_names=("x",))
    assert (len(timelines), len(timelines.person_ids)) == (0, 0)
    assert timelines.offsets.tolist() == [0]


def test_disputed_names_ids_of_several_persons_in_no_known_order() -> None:
    pieces = [
        _piece(0, 9, 1_000, {"p": ["a", "b"], "x": ["d"]}),
        _piece(9, 18, 1_050, {"q": ["a"], "p": ["b"]}),
        _piece(18, 27, 5_000, {"y": ["d"], "z": ["e"]}),
    ]
    assert slices.disputed(pieces, 100) == ["a"]
    assert slices.disputed(pieces, 49) == []
    assert slices.disputed(pieces, 4_000) == ["a", "d"]
    assert slices.disputed([], 100) == []


def test_resolved_believes_what_was_told_of_a_dispute() -> None:
    pieces = [_piece(0, 9, 50, {"p": ["a"]}), _piece(9, 18, 50, {"q": ["a", "b"]})]
    told = [slices.Told(_people({"p": ["a", "b"]}), 51)]
    seen, renames = slices.resolved(pieces, told)
    assert renames == {"q": "p"}
    assert set(seen["person_id"]) == {"p"}
