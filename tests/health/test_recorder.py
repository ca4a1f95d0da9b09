"""Times and memory of a run's steps."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import numpy as np
import pytest

from core.health import recorder
from core.health.recorder import Recorder, peak_mb
from core.health.records import Step

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


class Rig:
    def __init__(self) -> None:
        self.time, self.memory = 100.0, 50.0
        self.told: list[tuple[str, int, int]] = []
        self.recorder = Recorder(
            "page",
            then=lambda *step: self.told.append(step),
            now=lambda: NOON,
            clock=lambda: self.time,
            peak=lambda: self.memory,
        )

    def work(self, step: str, seconds: float, memory: float = 0.0) -> None:
        self.recorder(step, 0, 2)
        self.time += seconds
        self.memory += memory
        self.recorder(step, 2, 2)


def test_recorder_times_steps_by_their_names() -> None:
    rig = Rig()
    rig.work("Reading pushes", 2.0, 10.0)
    rig.work("Measuring", 3.5)
    rig.time += 0.5
    assert rig.recorder.steps() == (
        Step(name="Reading pushes", seconds=2.0, peak_mb=60.0),
        Step(name="Measuring", seconds=4.0, peak_mb=60.0),
    )
    assert rig.recorder.seconds == 6.0
    assert (rig.recorder.started_at, rig.recorder.what) == (NOON, "page")


def test_recorder_adds_up_a_step_that_comes_again() -> None:
    rig = Rig()
    rig.work("a", 1.0)
    rig.work("b", 2.0)
    rig.work("a", 4.0, 5.0)
    assert {one.name: one.seconds for one in rig.recorder.steps()} == {"a": 5.0, "b": 2.0}
    assert rig.recorder.steps()[0].peak_mb == 55.0


def test_recorder_tells_whoever_else_wants_to_know() -> None:
    rig = Rig()
    rig.work("a", 1.0)
    assert rig.told == [("a", 0, 2), ("a", 2, 2)]


def test_recorder_of_nothing_has_no_steps() -> None:
    assert Rig().recorder.steps() == ()


def test_peak_mb_grows_with_what_is_held() -> None:
    before = peak_mb()
    held = np.ones(int((before or 0) * 1e6 / 8) + 10_000_000)
    after = peak_mb()
    assert before is not None
    assert after is not None
    assert after > before
    assert 0.5 < after / (before + held.nbytes / 1e6) < 1.5


def test_peak_mb_is_in_bytes_on_another_system(monkeypatch: pytest.MonkeyPatch) -> None:
    here = peak_mb()
    monkeypatch.setattr(sys, "platform", "darwin")
    assert here is not None
    assert recorder.peak_mb() == pytest.approx(here / 1024, rel=0.2)
