"""Tests of what an answer must look like, and of the texts that are asked."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import DataError, QueryTooBig
from core.sources import posthog_queries
from core.sources.posthog_client import Answer
from core.sources.posthog_queries import read_counts, read_emails, read_people, read_slice

SLICE = ("who", "distinct_ids", "codes", "n_rows")
PEOPLE = ("who", "distinct_ids", "n_rows")
EMAILS = ("email", "who", "n_rows")


NOBODY: dict[tuple[str, ...], list[Any]] = {
    SLICE: ["", [""], [0]], PEOPLE: ["", [""]], EMAILS: ["", ""],
}  # fmt: skip


def _answer(columns: tuple[str, ...], *rows: list[Any]) -> Answer:
    """Return an answer, before its rows the one of nobody, which is counted with them."""
    if columns not in NOBODY:
        return Answer(columns=columns, rows=list(rows))
    counted = [[*row[:-1], row[-1] + 1 if type(row[-1]) is int else row[-1]] for row in rows]
    n_rows = counted[0][-1] if counted else 1
    return Answer(columns=columns, rows=[[*NOBODY[columns], n_rows], *counted])


def test_read_slice_returns_the_rows() -> None:
    table = read_slice(_answer(SLICE, ["p", ["a", "b"], [0, 9], 2], ["q", ["c"], [3], 2]), 10)
    assert table.to_pylist() == [
        {"person_id": "p", "distinct_ids": ["a", "b"], "codes": [0, 9]},
        {"person_id": "q", "distinct_ids": ["c"], "codes": [3]},
    ]


def test_read_slice_of_nobody_is_empty() -> None:
    assert len(read_slice(_answer(SLICE), 10)) == 0


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [["p", ["a"], [0], 1]],
        [["", [""], [0], 2], ["", [""], [0], 2]],
    ],
)
def test_read_slice_without_the_row_of_nobody_is_no_answer(rows: list[list[Any]]) -> None:
    with pytest.raises(DataError, match="always there"):
        read_slice(Answer(columns=SLICE, rows=rows), 10)


def test_read_slice_with_fewer_rows_than_there_are_is_too_big() -> None:
    with pytest.raises(QueryTooBig, match="3 of 71 rows"):
        read_slice(_answer(SLICE, ["p", ["a"], [0], 70], ["q", ["b"], [0], 70]), 10)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([["p", ["a"], [10], 1]], "outside the slice"),
        ([["p", ["a"], [-1], 1]], "outside the slice"),
        ([["p", ["a"], [0], 2], ["p", ["b"], [0], 2]], "repeats a person"),
        ([["p", ["a"], [0], 0]], "miscounts"),
        ([["p", ["a"], [0], 2], ["q", ["b"], [0], 3]], "miscounts"),
        ([["p", ["a"], [0], None]], "miscounts"),
        ([["p", ["a"], [0], "1"]], "miscounts"),
        ([[None, ["a"], [0], 1]], "another type"),
        ([[7, ["a"], [0], 1]], "mixes types"),
        ([["p", None, [0], 1]], "another type"),
        ([["p", "a", [0], 1]], "mixes types"),
        ([["p", [1], [0], 1]], "mixes types"),
        ([["p", ["a", None], [0], 1]], "empty values"),
        ([["p", [], [0], 1]], "empty lists"),
        ([["p", ["a"], [0], 2], ["q", ["b"], [], 2]], "empty lists"),
        ([["p", ["a"], [1.0], 1]], "another type"),
        ([["p", ["a"], [1, 2.5], 1]], "another type"),
        ([["p", ["a"], ["1"], 1]], "mixes types"),
        ([["p", ["a"], [True], 1]], "mixes types"),
        ([["p", ["a"], [1, "x"], 1]], "mixes types"),
        ([["p", ["a"], [10**30], 1]], "mixes types"),
        ([["p", ["a\ud800"], [1], 1]], "mixes types"),
        ([[{"id": 1}, ["a"], [1], 1]], "mixes types"),
    ],
)
def test_read_slice_rejects_a_whole_answer_for_one_wrong_row(
    rows: list[list[Any]], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        read_slice(_answer(SLICE, *rows), 10)


def test_read_slice_rejects_other_columns() -> None:
    with pytest.raises(DataError, match="other columns"):
        read_slice(_answer(("who", "codes", "distinct_ids", "n_rows"), ["p", [0], ["a"], 1]), 10)


_SCALAR = st.sampled_from([None, True, 0, 3, -1, 2.0, 1.5, 10**20, "p", "", "a\ud800"])
_VALUE = _SCALAR | st.lists(_SCALAR, max_size=2) | st.just({"a": 1}) | st.just([[1]])
_ROW = st.tuples(st.sampled_from("pqr") | _VALUE, st.just(["a"]) | _VALUE, st.just([1, 2]) | _VALUE)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(rows=st.lists(_ROW, max_size=3))
def test_read_slice_of_any_rows_is_those_rows_or_a_typed_error(rows: list[tuple[Any, ...]]) -> None:
    try:
        table = read_slice(_answer(SLICE, *([*row, len(rows)] for row in rows)), 10)
    except DataError:
        return
    assert [tuple(row.values()) for row in table.to_pylist()] == rows


def test_read_people_rejects_persons_nobody_asked_for() -> None:
    answer = _answer(PEOPLE, ["p", ["a", "more"], 2], ["q", ["b"], 2])
    assert len(read_people(answer, ["a", "b", "c"])) == 2
    assert len(read_people(answer)) == 2
    with pytest.raises(DataError, match="nobody asked for"):
        read_people(answer, ["a"])


def test_read_people_rejects_a_distinct_id_of_two_persons() -> None:
    with pytest.raises(DataError, match="two persons"):
        read_people(_answer(PEOPLE, ["p", ["a"], 2], ["q", ["a"], 2]), ["a"])


def test_read_emails_keeps_positions_and_no_email() -> None:
    answer = _answer(EMAILS, ["b@x", "p", 3], ["B@x ", "q", 3], ["b@x", "p", 3])
    assert read_emails(answer, ["a@x", "b@x"]).to_pylist() == [
        {"position": 1, "person_id": "p"},
        {"position": 1, "person_id": "q"},
    ]
    with pytest.raises(DataError, match="nobody asked for") as refused:
        read_emails(answer, ["a@x"])
    assert "@" not in str(refused.value)


def test_read_counts_rejects_what_is_not_a_number() -> None:
    assert read_counts(_answer(("event", "n"), ["x", 3])) == {"x": 3}
    for wrong in ("3", None, 2.5):
        with pytest.raises(DataError, match="not numbers"):
            read_counts(_answer(("event", "n"), ["x", wrong]))


def test_queries_have_a_limit_and_no_offset() -> None:
    texts = [text for name, text in vars(posthog_queries).items() if name.endswith("_QUERY")]
    assert len(texts) == 6
    for text in texts:
        assert text.rstrip().endswith("LIMIT 50000")
        assert "OFFSET" not in text
