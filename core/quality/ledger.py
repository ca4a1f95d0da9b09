"""From rows to measured users: how many are left at each step, and why the others are not."""

from __future__ import annotations

import pandas as pd

_STEPS = (
    ("sent", "Sent", "n_sent", "", "rows that were delivered, sent or failed"),
    ("failed", "Failed", "n_failed", "sent", "not delivered: the platform refused them"),
    ("delivered", "Delivered", "n_delivered", "sent", "rows with the status delivered"),
    ("duplicates", "Duplicates removed", "n_duplicates", "delivered",
     "a second delivery of one campaign to one user: the first counts"),
    ("recipients", "Recipients", "n_recipients", "delivered", "one row per campaign and user"),
    ("direct", "Mapped directly", "n_direct", "recipients", "by posthog_distinct_id"),
    ("email", "Mapped by e-mail", "n_email", "recipients",
     "no distinct id; the e-mail is known to PostHog"),
    ("unmapped", "Not mapped", "n_unmapped", "recipients",
     "no distinct id and no person with their e-mail: cannot be measured"),
    ("unresolved", "Not looked up", "n_unresolved", "recipients",
     "the source of activity could not be asked who they are, held out people among them"),
    ("same_person", "Same person twice", "n_same_person", "recipients",
     "two users of one person: the first delivery counts"),
    ("measured", "Measured", "n_measured", "recipients", "distinct persons per campaign"),
    ("never_seen", "of these never seen", "n_never_seen", "measured",
     "no tracked event in the period: they count as zeros and stay in"),
    ("incomplete", "of these not wholly read", "n_incomplete", "measured",
     "part of the time around their push could not be read: withheld"),
    ("holdout", "Held out", "n_holdout", "", "qualified but, at random, not sent it"),
)  # fmt: skip
_ONLY_WHERE_SOME = ("unresolved", "incomplete")


def mapping_ledger(campaigns: pd.DataFrame) -> pd.DataFrame:
    """Return the ledger of the given campaigns, one row per step.

    Args:
        campaigns: frames.CAMPAIGNS, any selection of rows.

    Returns:
        A row each step; those of what could not be read only where there was such:
        `step`, `label`, `n`, `share` (fraction of `share_of`; missing where that is 0 or the
        step stands alone), `share_of` (a step), `reason`.
    """
    totals = campaigns.select_dtypes("integer").sum()
    totals["n_recipients"] = totals["n_delivered"] - totals["n_duplicates"]
    counts = {step: int(totals[column]) for step, _, column, _, _ in _STEPS}
    rows = [
        {
            "step": step,
            "label": label,
            "n": counts[step],
            "share": counts[step] / counts[of] if of and counts[of] else float("nan"),
            "share_of": of,
            "reason": reason,
        }
        for step, label, _, of, reason in _STEPS
        if counts[step] or step not in _ONLY_WHERE_SOME
    ]
    return pd.DataFrame(rows)


def mapped_share(campaigns: pd.DataFrame) -> float:
    """Return the share of recipients who were mapped, NaN without recipients."""
    recipients = int((campaigns["n_delivered"] - campaigns["n_duplicates"]).sum())
    return int(campaigns["n_mapped"].sum()) / recipients if recipients else float("nan")
