"""Every scenario, run with many seeds: `run` is one line of the table."""

from __future__ import annotations

import random
import sys
import time
from dataclasses import dataclass, field

from tests.faults import (
    answer_scenarios,
    database_scenarios,
    posthog_scenarios,
    store_scenarios,
)
from tests.faults.oracle import Judge, Outcome
from tests.faults.rig import Rig
from tests.faults.scenario import ALL, Scenario
from tests.faults.tally import Tally

SCENARIOS: tuple[Scenario, ...] = tuple(ALL)
MODULES = (answer_scenarios, database_scenarios, posthog_scenarios, store_scenarios)
SEEDS = 25
_RECOVERY_SECONDS = 30.0


@dataclass(kw_only=True)
class Trial:
    """One scenario with one seed: how it ended, and whether all was well afterwards."""

    scenario: Scenario
    seed: int
    outcome: Outcome
    recovered: Outcome | None = None
    complaints: list[str] = field(default_factory=list)


def try_scenario(
    rig: Rig, judge: Judge, scenario: Scenario, seed: int, *, is_repeated: bool = True
) -> Trial:
    """Return how a scenario ends with one seed.

    Args:
        rig: Where.
        judge: Who says how it ended.
        scenario: Which.
        seed: For the details; with seed 0, lifts are compared too.
        is_repeated: Whether a run that did not give everything is tried again on the same cache
            once the fault is over; then everything has to be there.
    """
    rig.begin()
    rng = random.Random(f"{scenario.name}/{seed}")
    wants = scenario.arrange(rng, rig) or scenario.wants
    outcome = judge.judge(blames=scenario.blames, seconds=scenario.seconds, is_measured=seed == 0)
    trial = Trial(scenario=scenario, seed=seed, outcome=outcome)
    if outcome.verdict == "broken":
        trial.complaints.append(outcome.what)
    elif outcome.verdict not in wants:
        trial.complaints.append(f"{outcome.verdict}, not {'/'.join(wants)}: {outcome.what}")
    if outcome.verdict == "declared" and is_repeated:
        rig.calm()
        trial.recovered = judge.judge(blames="anything", seconds=_RECOVERY_SECONDS)
        if trial.recovered.verdict != "exact":
            trial.complaints.append(f"not well again: {trial.recovered.what}")
    return trial


def run(*, size: int = SEEDS, seed: int = 0) -> Tally:
    """Return how every scenario ended with so many seeds each."""
    tally = Tally(what=f"{len(SCENARIOS)} scenarios x {size} seeds")
    started = time.monotonic()
    figures = {"recovered": 0, "withheld campaigns": 0}
    slowest = recovery = 0.0
    with Rig() as rig:
        judge = Judge(rig)
        for scenario in SCENARIOS:
            for one in range(seed, seed + size):
                trial = try_scenario(rig, judge, scenario, one)
                slowest = max(slowest, trial.outcome.seconds)
                figures["withheld campaigns"] += trial.outcome.n_withheld
                if trial.recovered is not None:
                    figures["recovered"] += trial.recovered.verdict == "exact"
                    recovery = max(recovery, trial.recovered.seconds)
                _count(tally, trial)
            _show(tally, scenario, started)
    tally.seconds = time.monotonic() - started
    tally.figures = {
        "scenarios": len(SCENARIOS),
        **figures,
        "slowest run, s": round(slowest, 2),
        "slowest recovery, s": round(recovery, 2),
    }
    return tally


def _count(tally: Tally, trial: Trial) -> None:
    tally.runs += 1
    if trial.complaints:
        what = "; ".join(trial.complaints)
        tally.broken.append(f"{trial.scenario.name} (seed {trial.seed}): {what}")
        sys.stderr.write(f"  BROKEN {tally.broken[-1]}\n")
    elif trial.outcome.verdict == "exact":
        tally.exact += 1
    else:
        tally.declared += 1


def _show(tally: Tally, scenario: Scenario, started: float) -> None:
    sys.stderr.write(
        f"  {scenario.name}: {tally.runs} runs so far, {len(tally.broken)} broken, "
        f"{time.monotonic() - started:.0f} s\n"
    )
