"""Who may ask: the keys the stand-in knows, and PostHog's answers to the others.

Sources: posthog/auth.py, posthog/permissions.py; texts as stored copies have them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from .errors import Refusal

API_KEY: Final = "phx_standin"
KEY_WITHOUT_SCOPE: Final = "phx_standin_without_scope"
KEY_OF_OTHER_PROJECT: Final = "phx_standin_of_other_project"
SECRET_KEY: Final = "phs_standin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What one key is good for.

    Attributes:
        scopes: its scopes.
        may_see_project: False for a key limited to other projects.
    """

    scopes: frozenset[str] = frozenset({"query:read", "batch_export:read", "batch_export:write"})
    may_see_project: bool = True


KEYS: Final[Mapping[str, Key]] = {
    API_KEY: Key(),
    SECRET_KEY: Key(scopes=frozenset({"query:read"})),
    KEY_WITHOUT_SCOPE: Key(scopes=frozenset({"feature_flag:read"})),
    KEY_OF_OTHER_PROJECT: Key(may_see_project=False),
}


def _denied(status: int, code: str, detail: str) -> Refusal:
    return Refusal(status, "authentication_error", code=code, detail=detail)


def check_access(
    authorization: str | None, *, asked: str, project_id: int, scope: str = "query:read"
) -> str:
    """Return the key of a request that may do what a scope allows in this project.

    Raises:
        Refusal: 401 without a key or with an unknown one; 403 where scope or project is missing;
            404 for a project that is not there.
    """
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise _denied(401, "not_authenticated", "Authentication credentials were not provided.")
    key = KEYS.get(token.strip())
    if key is None:
        raise _denied(
            401,
            "authentication_failed",
            "Personal API key found in request Authorization header is invalid.",
        )
    if not key.may_see_project:
        detail = f"API key does not have access to the requested project: ID {asked}."
        raise _denied(403, "permission_denied", detail)
    if asked not in {str(project_id), "@current"}:
        raise Refusal(404, "invalid_request", code="not_found", detail="Project not found.")
    if scope not in key.scopes:
        raise _denied(403, "permission_denied", f"API key missing required scope '{scope}'")
    return token.strip()
