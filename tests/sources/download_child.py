"""A download in a process of its own, to be killed: its waits are a hundredth as long."""

from __future__ import annotations

import multiprocessing
import sys
import time
from pathlib import Path

from core.activity.source import silent
from core.downloading import Dates, download
from core.errors import PushliftError
from core.sections import Analysis, Folder, PostHog
from core.settings import Settings
from tests.posthog_standin import PostHogStandIn
from tests.sources.download_world import METRICS, NOW

_LONGEST = 60.0


def start_child(
    posthog: PostHogStandIn, out: Path, dates: Dates, *, seconds: float | None = None
) -> bool:
    """Run a download, killed so many seconds after it began; say whether it came to its end."""
    context = multiprocessing.get_context("forkserver")  # starts in no time and without threads
    context.set_forkserver_preload([__name__])
    process = context.Process(target=_work, args=(posthog.url, posthog.api_key, out, dates))
    process.start()
    process.join(_LONGEST if seconds is None else seconds)
    process.kill()
    process.join()
    return process.exitcode == 0


def _work(url: str, api_key: str, out: Path, dates: Dates) -> None:
    settings = Settings(
        database={"url": f"sqlite:///{out}/pushes.sqlite"},
        posthog=PostHog(host=url, project_id=1, api_key=api_key),
        automations=Folder(dir=out / "no-automations"),
        analysis=Analysis(baseline_days=1),
        metrics=METRICS,
    )
    try:
        download(
            settings,
            out,
            dates,
            on_progress=silent,
            now=lambda: NOW,
            sleep=lambda seconds: time.sleep(seconds / 100),
        )
    except PushliftError:
        sys.exit(1)
