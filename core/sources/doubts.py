"""What of the recipients' rows cannot be quite right, or is not there: counted per campaign."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Codes = NDArray[np.int64]
Flags = NDArray[np.bool_]

CLOCKS = pd.Timedelta(seconds=1)
"""Senders often give whole seconds: so much may a delivery seem to come before its sending."""
LONGEST_ID = 200
"""Characters of a distinct id that PostHog's ingestion keeps."""
NO_IDS = frozenset(
    {
        "anonymous", "guest", "distinctid", "distinct_id", "id", "not_authenticated", "email",
        "undefined", "true", "false",
    }
)  # fmt: skip
"""Distinct ids that PostHog takes for a mistake, in any case of letters: it merges none of them."""
NO_IDS_AS_WRITTEN = frozenset({"[object Object]", "NaN", "None", "none", "null", "0"})
"""The same, only as they are written here."""
_QUOTES = "'\""
_EMAIL = r"[^@\s]+@[^@\s]+\.[^@\s]+"


def doubts(rows: pd.DataFrame, campaigns: Codes, users: Codes, *, n_campaigns: int) -> pd.DataFrame:
    """Return what is odd or missing in each campaign's recipients, one row per campaign.

    A row's instant is counted under the first fault it has; so is a user's identifier.

    Args:
        rows: A row per recipient: `sent_at`, `delivered_at`, `trigger_at`, `signed_up_at`,
            `distinct_id`, `email`.
        campaigns: Its campaign.
        users: Its user; a user's identifiers are the same in every row.
        n_campaigns: How many campaigns there are.

    Returns:
        `n_sent_at_used`, `n_early`, `n_before_sign_up`, `n_no_sign_up`, `n_no_trigger` (of every
        layer), `n_no_id`, `n_odd_id`, `n_shared_id`, as frames.CAMPAIGNS means them.
    """
    is_undated = rows["delivered_at"].isna().to_numpy()
    is_early = ~is_undated & _is_early(rows)
    at = rows["delivered_at"].fillna(rows["sent_at"])
    is_before = (at < rows["signed_up_at"]).to_numpy() & ~is_undated & ~is_early
    has_none, is_odd, is_shared = _identifiers(rows, users)
    found = {
        "n_sent_at_used": is_undated,
        "n_early": is_early,
        "n_before_sign_up": is_before,
        "n_no_sign_up": rows["signed_up_at"].isna().to_numpy(),
        "n_no_trigger": rows["trigger_at"].isna().to_numpy(),
        "n_no_id": has_none,
        "n_odd_id": is_odd,
        "n_shared_id": is_shared,
    }
    counts = {
        name: np.bincount(campaigns[is_so], minlength=n_campaigns) for name, is_so in found.items()
    }
    return pd.DataFrame(counts)


def _is_early(rows: pd.DataFrame) -> Flags:
    """Return which rows were delivered before they were sent, or before what set them off."""
    latest = rows["delivered_at"] + CLOCKS
    is_early: Flags = ((latest < rows["sent_at"]) | (latest < rows["trigger_at"])).to_numpy()
    return is_early


def _identifiers(rows: pd.DataFrame, users: Codes) -> tuple[Flags, Flags, Flags]:
    """Return whose user has no identifier, an odd one, one of several users: each user once."""
    _, first, which = np.unique(users, return_index=True, return_inverse=True)
    own = rows[["distinct_id", "email"]].iloc[first].reset_index(drop=True)
    ids, emails = own["distinct_id"], own["email"]
    has_none, by_email = ids.isna() & emails.isna(), ids.isna() & emails.notna()
    is_odd = _is_odd(ids) | (by_email & ~emails.str.fullmatch(_EMAIL).fillna(value=False))
    is_shared = ids.notna() & ids.duplicated(keep=False) & ~is_odd
    none, odd, shared = (
        flags.to_numpy(dtype=bool)[which] for flags in (has_none, is_odd, is_shared)
    )
    return none, odd, shared


def _is_odd(ids: pd.Series) -> pd.Series:
    """Return which distinct ids can be nobody's; a missing one is not odd."""
    bare = ids.str.strip(_QUOTES)
    named = bare.isin(NO_IDS_AS_WRITTEN) | bare.str.lower().isin(NO_IDS)
    is_odd: pd.Series = ids.notna() & (
        named | (ids.str.strip() != ids) | (ids.str.len() > LONGEST_ID)
    )
    return is_odd.astype(bool)
