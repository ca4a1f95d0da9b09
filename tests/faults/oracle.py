"""What a run under faults may end as: EXACT, or DECLARED; everything else is broken.

EXACT: every count of every campaign is the ledger's, and nothing is said to be missing.
DECLARED: a typed error that names the source and what to do; or a result that names what is
missing, withholds every campaign it touches, and gives the ledger's counts for all others.
"""

from __future__ import annotations

import itertools
import logging
import re
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd

from core import frames
from core.errors import NothingSent, PushliftError
from core.loading import Loaded
from core.measure.panel import Rules
from core.pipeline import Results, measure, panel_of, window_counts
from tests.conftest import PASSWORD
from tests.faults.rig import Rig
from tests.faults.world import EMAIL_DOMAIN, Counts, Ledger, by_campaign
from tests.posthog_standin.access import API_KEY

Verdict = Literal["exact", "declared", "broken"]
EXACT: frozenset[Verdict] = frozenset({"exact"})
DECLARED: frozenset[Verdict] = frozenset({"declared"})
EITHER = EXACT | DECLARED
RULES = Rules(min_recipients=5)
CANARIES = (PASSWORD, API_KEY, EMAIL_DOMAIN)
SLACK_SECONDS = 1.0
_HELPS = re.compile(
    r"\b(try|run it) again|\b(check|ask|create|give|raise|grant|set|read|make|correct|fix|"
    r"restore|choose|wait|leave|write|look|log says)\b",
    re.IGNORECASE,
)
_NAMES = {
    "PostgreSQL": re.compile(r"\bdatabase\b|\btable\b", re.IGNORECASE),
    "PostHog": re.compile(r"PostHog|http://127\.0\.0\.1", re.IGNORECASE),
    "anything": re.compile(r"."),
}
_COMPARED = ("n_users", "baseline_rate", "post_rate", "effect_size", "pvalue", "status")


@dataclass(kw_only=True)
class Outcome:
    """How one run ended.

    Attributes:
        verdict: As above.
        what: What it said, or what is wrong with it.
        seconds: How long it took.
        results: What it gave.
        n_withheld: Campaigns withheld.
    """

    verdict: Verdict
    what: str = ""
    seconds: float = 0.0
    results: list[Loaded] = field(default_factory=list)
    n_withheld: int = 0


class Judge:
    """Compares what runs of a rig give with its ledger."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._unharmed = measure(rig.unharmed, RULES)
        exact = self._of_result(rig.unharmed, [rig.ledger({})])
        if exact.verdict != "exact":
            raise AssertionError(f"the rig is wrong without any fault: {exact.what}")

    def judge(self, *, blames: str, seconds: float, is_measured: bool = False) -> Outcome:
        """Return how the rig's next run ends.

        Args:
            blames: The source an error must name.
            seconds: How long it may take.
            is_measured: Whether its lifts too are compared with those of a run without faults.
        """
        with _listening() as said:
            results, error, took = _tried(self._rig, seconds + SLACK_SECONDS)
        outcome = self._of(results, error, blames)
        if is_measured and outcome.verdict == "exact" and not self._rig.plan.moved:
            outcome = self._of_lifts(results[0]) or outcome
        outcome.seconds, outcome.results = took, results or []
        complaint = self._rig.plan.afterwards()
        if complaint:
            return Outcome(verdict="broken", what=complaint, seconds=took)
        leaked = _leaks([*said, *(n for one in outcome.results for n in one.notices)], error)
        if results is None and error is None:
            return Outcome(verdict="broken", what=f"too late: no end after {took:.1f} s")
        if leaked:
            return Outcome(verdict="broken", what=f"leak: {leaked}", seconds=took)
        if took > seconds + SLACK_SECONDS:
            return Outcome(verdict="broken", what=f"too late: {took:.1f} s", seconds=took)
        return outcome

    def _of(
        self, results: list[Loaded] | None, error: BaseException | None, blames: str
    ) -> Outcome:
        if error is not None:
            return _of_error(error, blames)
        outcomes = [self._of_result(one, self._possible()) for one in results or []]
        order = ("broken", "declared", "exact")
        worst = min(outcomes, key=lambda one: order.index(one.verdict), default=None)
        return worst or Outcome(verdict="broken", what="silent: no result at all")

    def _possible(self) -> list[Ledger]:
        """Return what may be true: each of the moved ids may have been moved or not yet."""
        if self._rig.plan.is_moved:
            return [self._rig.ledger(self._rig.plan.moved)]
        moved = list(self._rig.plan.moved.items())
        subsets = itertools.chain.from_iterable(
            itertools.combinations(moved, n) for n in range(len(moved) + 1)
        )
        return [self._rig.ledger(dict(some)) for some in subsets]

    def _of_result(self, loaded: Loaded, possible: Sequence[Ledger]) -> Outcome:
        if loaded.is_partial:
            return min(
                (self._of_partial(loaded, one) for one in possible),
                key=lambda one: one.verdict == "broken",
            )
        counts, held = _counts(loaded, _without_lifts(loaded)), _held(loaded)
        if any(counts == one.counts and held == one.holdouts for one in possible):
            return Outcome(verdict="exact")
        return Outcome(verdict="broken", what=_difference(counts, possible[0].counts))

    def _of_partial(self, loaded: Loaded, ledger: Ledger) -> Outcome:
        """Return whether a partial result gives nothing it should withhold, and the rest right."""
        results = measure(loaded, RULES)
        status = results.campaigns.set_index("campaign_id")["status"]
        withheld = set(status.index[status == "incomplete"])
        counts, truth = by_campaign(_counts(loaded, results)), ledger.of_campaigns()
        wrong = [c for c in truth if c not in withheld and counts.get(c) != truth[c]]
        if wrong or set(status.index) != set(truth):
            return Outcome(verdict="broken", what=f"silent: {len(wrong)} campaigns are not marked")
        lifts = results.lifts[results.lifts["campaign_id"].isin(withheld)]
        if lifts["effect_size"].notna().any():
            return Outcome(verdict="broken", what="silent: a lift of an incomplete campaign")
        if loaded.holes and not loaded.n_unresolved:
            strange = [c for c in withheld if not counts.get(c, {}).items() <= truth[c].items()]
            if strange:
                return Outcome(verdict="broken", what="lost: a row of an incomplete campaign")
        if self._differing(results, withheld):
            return Outcome(verdict="broken", what="silent: a lift of a whole campaign differs")
        why = [hole.why for hole in loaded.holes] + [loaded.why_unresolved] * bool(
            loaded.n_unresolved
        )
        if not all(_HELPS.search(one) for one in why):
            return Outcome(verdict="broken", what=f"untold: {why}")
        return Outcome(verdict="declared", what=why[0], n_withheld=len(withheld))

    def _of_lifts(self, loaded: Loaded) -> Outcome | None:
        if self._differing(measure(loaded, RULES), set()):
            return Outcome(verdict="broken", what="silent: counts are right, lifts are not")
        return None

    def _differing(self, results: Results, withheld: set[str]) -> bool:
        """Say whether a plain lift of a campaign that is given differs from what it would be."""
        first, second = (
            table[(table["method"] == "classic") & ~table["campaign_id"].isin(withheld)]
            .set_index(["campaign_id", "metric"])
            .sort_index()[list(_COMPARED)]
            for table in (self._unharmed.lifts, results.lifts)
        )
        return not self._rig.plan.moved and not first.equals(second)


# --- trying --------------------------------------------------------------------------------------


def _tried(rig: Rig, seconds: float) -> tuple[list[Loaded] | None, BaseException | None, float]:
    """Return what the rig's run gives, or raises, or neither where it takes too long."""
    results: list[list[Loaded]] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(rig.try_it())
        except BaseException as error:  # noqa: BLE001 - whatever comes out is what is judged
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True, name="run")
    started = time.monotonic()
    thread.start()
    thread.join(seconds)
    took = time.monotonic() - started
    if thread.is_alive():
        return None, None, took
    return (results[0] if results else None), (errors[0] if errors else None), took


@contextmanager
def _listening() -> Iterator[list[str]]:
    """Yield what is logged, at any level, by anybody."""
    said: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(logging.Formatter().format(record))

    root, ear = logging.getLogger(), Ear()
    level = root.level
    root.addHandler(ear)
    root.setLevel(logging.DEBUG)
    try:
        yield said
    finally:
        root.removeHandler(ear)
        root.setLevel(level)


def _leaks(said: Sequence[str], error: BaseException | None) -> str:
    shown = [*said]
    if error is not None:
        shown += ["".join(traceback.format_exception(error)), repr(error)]
    found = {canary for canary in CANARIES for text in shown if canary in text}
    return ", ".join(sorted(found))


def _of_error(error: BaseException, blames: str) -> Outcome:
    kind, words = type(error).__name__, str(error)
    if not isinstance(error, PushliftError):
        where = traceback.extract_tb(error.__traceback__)[-1]
        return Outcome(
            verdict="broken", what=f"untyped: {kind}: {words[:200]} ({where.name}:{where.lineno})"
        )
    if isinstance(error, NothingSent):
        return Outcome(verdict="broken", what="silent: it says that nothing was sent")
    if not _NAMES[blames].search(words):
        return Outcome(verdict="broken", what=f"untold: {blames} is not named: {words}")
    if not _HELPS.search(words) or not words.endswith("."):
        return Outcome(verdict="broken", what=f"untold: it does not say what to do: {words}")
    return Outcome(verdict="declared", what=f"{kind}: {words}")


# --- counting ------------------------------------------------------------------------------------


def _without_lifts(loaded: Loaded) -> Results:
    """Return results that hold counts alone: estimating would take most of a run's time."""
    panel = panel_of(loaded, loaded.campaigns, loaded.pushes, RULES.lengths)
    return Results(
        campaigns=loaded.campaigns,
        lifts=frames.LIFTS.empty(),
        layers=frames.LAYER_LIFTS.empty(),
        contrasts=frames.LAYER_CONTRASTS.empty(),
        checks=frames.CHECKS.empty(),
        panel=panel,
        rules=RULES,
    )


def _counts(loaded: Loaded, results: Results) -> Counts:
    table = window_counts(loaded, results)
    keys = zip(*(table[name].astype(str) for name in frames.WINDOW_COUNTS.key), strict=True)
    values = zip(table["n_baseline"].tolist(), table["n_post"].tolist(), strict=True)
    return dict(zip(keys, values, strict=True))


def _held(loaded: Loaded) -> frozenset[tuple[str, str]]:
    others: pd.DataFrame = loaded.others[loaded.others["status"] == "holdout"]
    return frozenset(zip(others["campaign_id"], others["person_id"], strict=True))


def _difference(counts: Counts, truth: Counts) -> str:
    """Return what is wrong with counts: lost where there is less, doubled where there is more."""
    missing, foreign = truth.keys() - counts.keys(), counts.keys() - truth.keys()
    if missing or foreign:
        return f"lost: {len(missing)} rows missing, {len(foreign)} foreign"
    more = np.array([np.subtract(counts[key], truth[key]) for key in truth])
    less, over = int(-more[more < 0].sum()), int(more[more > 0].sum())
    kind = "lost" if less else "doubled" if over else "silent"
    return f"{kind}: {less} events too few, {over} too many, of holdouts or counts"
