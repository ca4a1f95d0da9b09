"""Who may see the dashboard: what an identity token claims, judged by the allow-list."""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import Literal

from core.sections import Access

Verdict = Literal["allowed", "no_email", "unverified", "not_listed", "expired"]

_CLOCK_SKEW = 300
"""Seconds the provider's clock may be ahead."""
_LOWERED = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def judge(access: Access, claims: Mapping[str, object], *, now: float) -> Verdict:
    """Say whether whoever an identity token describes is admitted, else why not.

    Args:
        access: The allow-list.
        claims: The token's claims, its signature already verified: email, email_verified, iat.
        now: The time, in seconds since 1970.
    """
    email = claims.get("email")
    if not isinstance(email, str) or not is_address(email):
        return "no_email"
    if not is_verified(access, claims):
        return "unverified"
    if not is_listed(access, email):
        return "not_listed"
    return "allowed" if is_recent(access, claims, now=now) else "expired"


def is_address(email: str) -> bool:
    """Say whether text is one address and nothing else: no blanks, no characters nobody sees."""
    local, _, domain = email.rpartition("@")
    return bool(local and domain) and email.isprintable() and not any(map(str.isspace, email))


def is_verified(access: Access, claims: Mapping[str, object]) -> bool:
    """Say whether the provider vouches for the address; one that says it does not never passes.

    Args:
        access: Whether a provider that says neither is believed.
        claims: The token's claims.
    """
    said = claims.get("email_verified")
    if said is None:
        return not access.is_verified_only
    return said is True or said == "true"  # some providers send text


def is_listed(access: Access, email: str) -> bool:
    """Say whether an address is named itself, or by what stands after its last @."""
    folded = fold(email)
    domain = folded.rpartition("@")[2]
    return folded in map(fold, access.emails) or domain in map(fold, access.domains)


def is_recent(access: Access, claims: Mapping[str, object], *, now: float) -> bool:
    """Say whether the sign-in is young enough; Streamlit's cookie alone would last 30 days.

    Args:
        access: How long a sign-in holds.
        claims: The token's claims.
        now: The time, in seconds since 1970.
    """
    issued = claims.get("iat")
    if isinstance(issued, bool) or not isinstance(issued, int | float):
        return False
    return -_CLOCK_SKEW <= now - issued <= access.hours * 3600


def fold(text: str) -> str:
    """Return text in small letters, those of ASCII alone.

    str.casefold makes the Kelvin sign a k and ß ss: another mailbox would pass for a listed one.
    """
    return text.translate(_LOWERED)
