"""One small world a session, one stand-in over it a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from . import PostHogStandIn
from .worlds import SmallWorld, write_small_world

ZONE = "America/New_York"


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> SmallWorld:
    return write_small_world(tmp_path_factory.mktemp("small-world"))


@pytest.fixture(scope="module")
def running(world: SmallWorld) -> Iterator[PostHogStandIn]:
    with PostHogStandIn(
        events=world.events_glob, persons=world.persons_glob, timezone=ZONE
    ) as standin:
        yield standin


@pytest.fixture
def posthog(running: PostHogStandIn) -> PostHogStandIn:
    running.reset()
    return running
