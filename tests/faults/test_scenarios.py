"""Each scenario once; `make faults` runs them with many seeds, and tries again after each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.oracle import Judge
from tests.faults.rig import Rig
from tests.faults.scenario import Scenario
from tests.faults.scenarios import SCENARIOS, try_scenario

SEED = 1


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with Rig() as running:
        yield running


@pytest.fixture(scope="module")
def judge(rig: Rig) -> Judge:
    return Judge(rig)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.name)
def test_scenario_ends_exact_or_declared(rig: Rig, judge: Judge, scenario: Scenario) -> None:
    trial = try_scenario(rig, judge, scenario, SEED, is_repeated=False)
    assert not trial.complaints


def test_scenarios_are_many_and_each_has_a_name_of_its_own() -> None:
    assert len({one.name for one in SCENARIOS}) == len(SCENARIOS) >= 48
