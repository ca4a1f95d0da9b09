"""Every guard against wrong data and leaks, switched off in turn.

A guard nobody would miss protects nothing. So each is switched off by itself, and at least one of
its tests must fail; with all of them on, the same tests must pass.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.faults import guards_data, guards_download, guards_pace, guards_safety, guards_store
from tests.faults.guard import Guard
from tests.faults.tally import Tally

GUARDS: tuple[Guard, ...] = (
    *guards_data.GUARDS,
    *guards_store.GUARDS,
    *guards_pace.GUARDS,
    *guards_download.GUARDS,
    *guards_safety.GUARDS,
)
_ROOT = Path(__file__).resolve().parents[2]
_SECONDS = 180
_AT_ONCE = 2


def run(*, size: int = 0, seed: int = 0) -> Tally:
    """Switch each guard off in turn, the first `size` of them where that is not 0."""
    guards = GUARDS[:size] if size else GUARDS
    tally = Tally(what=f"{len(guards)} guards switched off")
    started = time.monotonic()
    failing = _failing_with_all_on(sorted({test for guard in guards for test in guard.tests}))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        complaints = pool.map(lambda guard: failing or missed(guard), guards)
        for guard, complaint in zip(guards, complaints, strict=True):
            tally.runs += 1
            if complaint:
                tally.broken.append(f"{guard.name}: {complaint}")
            else:
                tally.exact += 1
            said = complaint or "missed by its tests, as it must be"
            sys.stderr.write(f"  {guard.name}: {said}\n")
    tally.figures = {"guards": len(guards), "tests on": failing or "pass"}
    tally.seconds = time.monotonic() - started
    return tally


def missed(guard: Guard) -> str:
    """Return nothing where a test fails without the guard, else what is wrong."""
    code, said = _pytest(guard.tests, off=guard.name)
    if code is None or (code == 1 and re.search(r"^FAILED ", said, re.MULTILINE)):
        return ""
    return f"no test misses it (pytest ended with {code})\n{said[-2000:]}"


def _failing_with_all_on(tests: Sequence[str]) -> str:
    code, said = _pytest(tests, off="", seconds=_SECONDS * 5)
    return "" if code == 0 else f"its tests fail with every guard on: {said[-2000:]}"


def _pytest(tests: Sequence[str], *, off: str, seconds: float = _SECONDS) -> tuple[int | None, str]:
    """Return pytest's exit code, None where it did not end in time, and what it printed."""
    # without a guard one failure says enough; with all on, every test has to run
    plugins = ["-p", "tests.faults.switch", "-p", "no:cacheprovider"]
    options = ["-q", "-rf", "--tb=line", *(["-x"] if off else [])]
    command = [sys.executable, "-m", "pytest", *plugins, *options, *tests]
    try:
        done = subprocess.run(
            command,
            cwd=_ROOT,
            env={**os.environ, "PUSHLIFT_GUARD_OFF": off},
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        return None, "it did not end"
    return done.returncode, done.stdout + done.stderr
