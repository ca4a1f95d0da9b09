"""What to do about a campaign and metric: repeat, stop, retest or wait.

The first rule that holds decides:

1. Nothing was delivered -> retest: there has been no test yet.
2. Part of the data is missing -> wait, until it is read again.
3. The window is open -> wait, until it closes.
4. Fewer measured users than a verdict needs -> retest with more.
5. No number -> retest; the row's status says what it lacks.
6. Evidence of grade D or E -> retest with a holdout, however clear the change is: such a
   comparison cannot tell the push from what would have happened anyway.
7. Not tested within a family -> retest: chance cannot be ruled out.
8. Clear (q at most 5 % within its family and the interval leaves out zero): above -> repeat,
   below -> stop.
9. Not clear, and the interval's upper end lies below the smallest effect worth having -> stop:
   whatever the effect is, it is not worth a push. That is no proof that there is none.
10. Not clear otherwise -> retest: effects worth having are still possible.

The smallest effect worth having is relative; 5 % unless said otherwise. What a retest needs is the
number of recipients that would find such an effect 80 % of the time, from the error this send was
measured with; where it has none, from that of a typical send of its layer. Rules 1 to 5, 7 and 8
agree with core/publish/words.verdict, so that a decision never contradicts the verdict beside it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.insight.frames import DECISIONS
from core.measure.contrasts import VERDICT_EVIDENCE
from core.measure.holes import INCOMPLETE
from core.measure.multiplicity import FALSE_DISCOVERY_RATE
from core.measure.power import required_n
from core.measure.ratios import Floats

WORTH = 0.05
"""Smallest relative effect worth a push, unless the caller knows better."""
REPEAT, STOP, RETEST, WAIT = "repeat", "stop", "retest", "wait"
DECISION_OF = {
    "nothing_sent": RETEST,
    "incomplete": WAIT,
    "open": WAIT,
    "too_few_users": RETEST,
    "no_number": RETEST,
    "descriptive": RETEST,
    "not_tested": RETEST,
    "clear_gain": REPEAT,
    "clear_harm": STOP,
    "too_small": STOP,
    "unclear": RETEST,
}
"""Reason -> decision, in the order in which reasons are looked for."""
_OF_CAMPAIGN = ["name", "n_delivered", "n_measured", "window_complete", "qualifies",
                "window_closes_at"]  # fmt: skip
_MOST = 10.0**12


def decisions(
    lifts: pd.DataFrame,
    campaigns: pd.DataFrame,
    *,
    say: Callable[[pd.Series], str],
    worth: float = WORTH,
    control: str | None = None,
) -> pd.DataFrame:
    """Return what to do about each campaign and metric, and why.

    Args:
        lifts: frames.LIFTS; the headline rows are read.
        campaigns: frames.CAMPAIGNS.
        say: Puts a case into a sentence: a row of `cases`.
        worth: Smallest relative effect worth a push, 0.05 is 5 %.
        control: A metric that pushes cannot move; nothing is decided about it.

    Returns:
        DECISIONS.
    """
    found = cases(lifts, campaigns, worth=worth, control=control)
    why = [say(row) for _, row in found.iterrows()]
    return DECISIONS.checked(found.assign(why=pd.array(why, dtype="str")))


def cases(
    lifts: pd.DataFrame, campaigns: pd.DataFrame, *, worth: float, control: str | None = None
) -> pd.DataFrame:
    """Return the headline rows of LIFTS with what was decided and what that rests on.

    Returns:
        The columns of LIFTS and of DECISIONS but `why`, and `worth`, `n_delivered`, `n_measured`,
        `name`, `window_closes_at`; `is_borrowed` says that `n_needed` rests on the layer's
        typical error instead of the row's own.
    """
    heads = lifts[lifts["headline"] & (lifts["metric"] != (control or ""))]
    found = heads.merge(
        campaigns[["campaign_id", *_OF_CAMPAIGN]], on="campaign_id", validate="many_to_one"
    )
    reason = _reasons(found, worth)
    decision = pd.Series(reason, dtype="str").map(DECISION_OF)
    noise, is_borrowed = _noise(found)
    n_needed = np.where(decision == RETEST, _needed(noise, found, worth), 0)
    closes = found["window_closes_at"].where(reason == "open")
    return found.assign(
        decision=decision.astype("str"),
        reason=pd.array(reason, dtype="str"),
        until=closes.dt.as_unit("ms"),
        n_needed=n_needed.astype(np.int64),
        is_borrowed=is_borrowed,
        worth=worth,
    )


def is_clear(rows: pd.DataFrame, *, sign: int) -> NDArray[np.bool_]:
    """Return which rows of LIFTS are clear above (1) or below (-1) zero, as verdicts say it."""
    end = rows["effect_size_ci_low"] if sign > 0 else -rows["effect_size_ci_high"]
    clear = (rows["qvalue"] <= FALSE_DISCOVERY_RATE) & (end > 0) & rows["effect_size"].notna()
    found: NDArray[np.bool_] = (clear & rows["evidence"].isin(VERDICT_EVIDENCE)).to_numpy(bool)
    return found


def _reasons(rows: pd.DataFrame, worth: float) -> NDArray[np.object_]:
    holds = {
        "nothing_sent": rows["n_delivered"] == 0,
        "incomplete": rows["status"] == INCOMPLETE,
        "open": ~rows["window_complete"] | (rows["status"] == "window_open"),
        "too_few_users": ~rows["qualifies"] | (rows["status"] == "too_few_users"),
        "no_number": rows["effect_size"].isna(),
        "descriptive": ~rows["evidence"].isin(VERDICT_EVIDENCE),
        "not_tested": rows["qvalue"].isna(),
        "clear_gain": is_clear(rows, sign=1),
        "clear_harm": is_clear(rows, sign=-1),
        "too_small": rows["rel_effect_size_ci_high"] < worth,
    }
    names = np.array(list(holds), dtype=object)
    found: NDArray[np.object_] = np.select(
        [np.asarray(one, dtype=bool) for one in holds.values()], list(names), default="unclear"
    ).astype(object)
    return found


def _noise(rows: pd.DataFrame) -> tuple[Floats, NDArray[np.bool_]]:
    """Return each row's error per recipient relative to the expected rate, and which is borrowed.

    The error of a mean over n recipients is taken to be this over the root of n.
    """
    is_own = rows["evidence"].isin(VERDICT_EVIDENCE) & (rows["status"] == "ok")
    own = (rows["standard_error"] * np.sqrt(rows["n_users"]) / rows["expected_rate"]).where(
        is_own & (rows["expected_rate"] > 0) & (rows["standard_error"] > 0)
    )
    typical = own.groupby([rows["layer"], rows["metric"]]).transform("median")
    noise = own.fillna(typical)
    return noise.to_numpy(dtype=float), (own.isna() & noise.notna()).to_numpy(dtype=bool)


def _needed(noise: Floats, rows: pd.DataFrame, worth: float) -> Floats:
    """Return recipients for 80 % power, 0 where that cannot be told."""
    wanted = np.full(len(rows), np.nan)
    for level, own in rows.groupby("confidence_level").indices.items():
        wanted[own] = required_n(worth / noise[own], alpha=1 - float(str(level)))
    is_told = np.isfinite(wanted) & (wanted < _MOST)
    return np.ceil(np.where(is_told, wanted, 0))
