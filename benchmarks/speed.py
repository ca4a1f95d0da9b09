"""The speed table of the design, measured.

usage: python -m benchmarks.speed [--users N] [--sessions N] [--skip-posthog] [--skip-pages]

Builds the demo marketplace in a temporary folder and measures: `analyze` as a command; other
windows and rules on the same data; requests to PostHog (the stand-in of the tests, with the
documented limits) cold, for one further day and warm; reruns of a page in a real browser, alone
and with many sessions at once. Nothing is cached between runs but what the program itself keeps.
"""

from __future__ import annotations

import argparse
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.counting import demo_loaded
from core.demo import DemoFiles, read_demo
from core.loading import Loaded
from core.measure.lifts import classic_lifts
from core.measure.panel import Rules, all_rates
from core.measure.pooling import classic_layers
from core.measure.windows import WindowLengths
from core.pipeline import measure, panel_of
from tests.pages.browser import launch, serving, visitor
from tests.posthog_standin import PostHogStandIn

CONTROL = "Metric"
RERUNS = 15


def main() -> None:
    """Measure and print each row."""
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        started = time.perf_counter()
        loaded = demo_loaded(root, n_users=options.users)
        _say("demo built and loaded", f"{time.perf_counter() - started:.1f} s")
        files = read_demo(root / "demo")
        if files is None:
            raise SystemExit("the demo was not built")
        _analyze(root)
        _say("same data, counts and classic alone", f"{_timed(lambda: _classic(loaded)):.2f} s")
        for name, rules in _variants().items():
            _say(f"same data, {name}", f"{_timed(lambda r=rules: measure(loaded, r)):.2f} s")
        if not options.skip_posthog:
            _posthog(root, files)
        if not options.skip_pages:
            _pages(root, sessions=options.sessions)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=12_000)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--skip-posthog", action="store_true")
    parser.add_argument("--skip-pages", action="store_true")
    return parser.parse_args()


def _say(what: str, figure: str) -> None:
    print(f"{what:52} {figure}", flush=True)


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _variants() -> dict[str, Rules]:
    return {
        "every method and self-check": Rules(),
        "7-day baseline, 24 h after": Rules(lengths=WindowLengths(baseline_days=7, post_hours=24)),
        "90 % intervals, IQR rule": Rules(confidence_level=0.9, outliers="iqr"),
        "capped windows": Rules(outliers="winsorize"),
    }


def _classic(loaded: Loaded) -> None:
    """Count, compare each recipient's rates and pool the layers, nothing else."""
    rules, campaigns = Rules(), loaded.campaigns.assign(qualifies=True, window_complete=True)
    panel = panel_of(loaded, campaigns, loaded.pushes, rules.lengths)
    rates = all_rates(panel, rules.outliers)
    classic_lifts(panel, rates, campaigns, rules)
    classic_layers(panel, rates, campaigns, rules)


def _run(settings: Path, *more: str) -> float:
    command = [sys.executable, "-m", "core", "analyze", "--settings", str(settings), *more]
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


def _analyze(root: Path) -> None:
    as_of = _as_of(root)
    out = ("--out", str(root / "out"))
    times = [_run(root / "settings.toml", "--as-of", as_of, *out) for _ in range(3)]
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    _say("python -m core analyze --out, best of 3", f"{min(times):.1f} s, {peak:.0f} MB")


def _as_of(root: Path) -> str:
    files = read_demo(root / "demo")
    return files.as_of.isoformat() if files else ""


def _posthog(root: Path, files: DemoFiles) -> None:
    """Count requests: a cold run as of the day before, the further day, and once more."""
    with PostHogStandIn(events=files.events, persons=files.persons) as posthog:
        section = (
            f'[posthog]\nhost = "{posthog.url}"\nproject_id = {posthog.project_id}\n'
            f'api_key = "{posthog.api_key}"\n'
        )
        text = (root / "settings.toml").read_text()
        settings = root / "api.toml"
        settings.write_text(re.sub(r"\[events\]\n.*\n.*\n", lambda _: section, text))
        since = (files.as_of - timedelta(days=60)).date().isoformat()
        done = 0
        for name, days in (("60 days + baseline, cold", 1), ("one further day", 0), ("again", 0)):
            as_of = (files.as_of - timedelta(days=days)).isoformat()
            spent = _run(settings, "--as-of", as_of, "--since", since)
            asked = posthog.requests()
            received = sum(entry["response_bytes"] or 0 for entry in asked[done:])
            figure = f"{len(asked) - done} requests, {received / 1e6:.1f} MB, {spent:.1f} s"
            _say(f"PostHog, {name}", figure)
            done = len(asked)


def _pages(root: Path, *, sessions: int) -> None:
    files = read_demo(root / "demo")
    with (
        serving(root / "settings.toml", root, as_of=files.as_of if files else None) as server,
        sync_playwright() as play,
    ):
        url, browser = server.url, launch(play)
        started = time.perf_counter()
        page = _opened(browser, url)
        _say(
            "first visit to whole page, data not yet read", f"{time.perf_counter() - started:.1f} s"
        )
        _opened(browser, url)  # warm
        _say(f"page rerun, {RERUNS} changes of metric", _percentiles(_reruns(page)))
        pages = [_opened(browser, url) for _ in range(sessions)]
        _say(f"the same, {sessions} sessions at once", _percentiles(_together(pages)))
        browser.close()


def _opened(browser: Browser, url: str) -> Page:
    page, _ = visitor(browser)
    page.goto(url)
    page.get_by_text("people reached", exact=False).first.wait_for(timeout=120_000)
    return page


def _reruns(page: Page) -> list[float]:
    return [_change(page, i) for i in range(RERUNS)]


def _change(page: Page, turn: int) -> float:
    """Choose another metric and wait for its finding."""
    name = ("sessions", "confirmed trades")[turn % 2]
    page.get_by_label(CONTROL).first.click()
    option = page.get_by_role("option", name=name, exact=True)
    option.wait_for()
    started = time.perf_counter()
    option.click()
    page.get_by_text(f"Recipients' {name} were").first.wait_for()
    return time.perf_counter() - started


def _together(pages: list[Page]) -> list[float]:
    """Change every session's metric at once and take the time until each shows it."""
    options = []
    for page in pages:
        page.get_by_label(CONTROL).first.click()
        options.append(page.get_by_role("option", name="sessions", exact=True))
        options[-1].wait_for()
    started = time.perf_counter()
    for option in options:
        option.click(no_wait_after=True)
    times = []
    for page in pages:
        page.get_by_text("Recipients' sessions were").first.wait_for()
        times.append(time.perf_counter() - started)
    return times


def _percentiles(seconds: list[float]) -> str:
    half, most = np.quantile(seconds, [0.5, 0.95])
    return f"median {half * 1000:.0f} ms, 95th percentile {most * 1000:.0f} ms"


if __name__ == "__main__":
    main()
