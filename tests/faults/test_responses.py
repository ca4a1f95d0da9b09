"""Tests of the trials with spoilt answers, and that they would notice."""

from __future__ import annotations

import random

import pytest

from core.errors import DataError
from core.sources import posthog_answers, posthog_queries
from tests.faults import responses
from tests.faults.spoilt import WAYS, good


@pytest.mark.parametrize("seed", [1, 2])
def test_spoilt_answers_are_exact_or_declared(seed: int) -> None:
    tally = responses.run(size=400, seed=seed)
    assert tally.broken == []
    assert tally.is_good
    assert tally.runs == 400
    assert tally.exact > 100
    assert tally.declared > 100
    assert tally.figures["over TCP"] == 20


def test_answers_as_they_are_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responses, "WAYS", (good,))
    tally = responses.run(size=40, seed=3)
    assert tally.exact == 40


def test_every_way_spoils() -> None:
    chance = random.Random(4)
    for way in WAYS:
        for question in responses.questions(chance):
            made = [way(chance, question.true) for _ in range(20)]
            assert sum(one != good(chance, question.true) for one in made) >= 10, way


def test_trials_notice_what_is_read_without_a_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posthog_queries, "_require", lambda *_: None)
    tally = responses.run(size=150, seed=5)
    assert any("silently" in words for words in tally.broken)


def test_trials_notice_another_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: bytes) -> None:
        raise KeyError("columns")

    monkeypatch.setattr(posthog_answers, "_body", refuse)
    tally = responses.run(size=20, seed=6)
    assert any("KeyError" in words for words in tally.broken)
    assert not tally.is_good


def test_expected_is_refused_where_a_question_does_not_agree_with_itself() -> None:
    question = responses.questions(random.Random(7))[0]
    question.true.rows[0][-1] += 1
    with pytest.raises(DataError):
        assert question.expected
