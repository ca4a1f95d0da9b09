"""What a scenario is: a name, a function that arranges faults, and how its runs may end."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.oracle import EITHER, Verdict
from tests.faults.rig import Rig

Wanted = frozenset[Verdict]
Arrange = Callable[[random.Random, Rig], Wanted | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Faults of one kind.

    Attributes:
        name: What goes wrong.
        arrange: Sets the faults, with details by chance; it may return how the run must end.
        blames: The source that an error must name.
        wants: How runs may end, unless `arrange` says.
        seconds: How long a run may take on a busy machine: far less than for ever.
    """

    name: str
    arrange: Arrange
    blames: str
    wants: Wanted
    seconds: float


ALL: list[Scenario] = []


def scenario(
    blames: str, wants: Wanted = EITHER, *, seconds: float = 30.0
) -> Callable[[Arrange], Arrange]:
    """Return a decorator that makes a function a scenario under its own name."""

    def register(arrange: Arrange) -> Arrange:
        ALL.append(
            Scenario(
                name=arrange.__name__,
                arrange=arrange,
                blames=blames,
                wants=wants,
                seconds=seconds,
            )
        )
        return arrange

    return register
