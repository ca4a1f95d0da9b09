"""What signing in rests on: whether it is configured soundly, and where to go afterwards.

Nothing here knows Streamlit.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from urllib.parse import urlsplit

from core.sections import is_loopback

Address = tuple[str, dict[str, list[str]]]
"""A page's name, and every parameter with its values."""

_OLDEST_AUTHLIB = (1, 6, 9)  # CVE-2026-27962
_SHORTEST_SECRET = 32
_SHARED = ("redirect_uri", "cookie_secret")
_PER_PROVIDER = ("client_id", "client_secret", "server_metadata_url")
_WORDS = "Sign-in ([auth] in Streamlit's secrets): "


def providers(auth: Mapping[str, object]) -> dict[str | None, Mapping[str, object]]:
    """Return the providers of Streamlit's [auth] section by name, None for the nameless one."""
    named: dict[str | None, Mapping[str, object]] = {
        name: part
        for name, part in auth.items()
        if isinstance(part, Mapping) and any(key in part for key in _PER_PROVIDER)
    }
    return {None: auth, **named} if any(key in auth for key in _PER_PROVIDER) else named


def fault(
    auth: Mapping[str, object], *, has_list: bool, headers: Mapping[str, str] | None = None
) -> str | None:
    """Return why nobody may be let in, as a sentence; None where sign-in is sound or not wanted.

    Half of it configured is a fault: a list that nothing checks, or a check without a list, would
    leave the dashboard open to everybody while its owner believes it closed.

    Args:
        auth: Streamlit's section of that name, empty where there is none.
        has_list: Whether the settings say who is admitted.
        headers: Those Streamlit takes a visitor's identity from, if any.
    """
    if not auth:
        words = "[access] is set but [auth] is not, so nobody could sign in. Nothing is shown."
        return (
            f"{words} Add [auth] to Streamlit's secrets, or remove [access]." if has_list else None
        )
    if not has_list:
        return "[auth] is set but [access] is not: say who may sign in, with emails or domains."
    if headers:
        return "server.trustedUserHeaders is set: a header would overrule who signed in. Remove it."
    return next(_faults_of(auth), None) or _library_fault()


def secrets(auth: Mapping[str, object]) -> list[str]:
    """Return what must not stand in any log."""
    parts = [auth, *(part for part in auth.values() if isinstance(part, Mapping))]
    kept = [part.get(name) for part in parts for name in ("cookie_secret", "client_secret")]
    return [text for text in kept if isinstance(text, str)]


class Returns:
    """Remembers where a visitor wanted to go, while the provider's page takes their place.

    Kept under a digest of the browser's own token, once, for a quarter of an hour.
    """

    def __init__(
        self,
        *,
        most: int = 1_000,
        seconds: float = 900.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Remember nothing yet.

        Args:
            most: How many visitors; the oldest are forgotten first.
            seconds: How long.
            clock: Seconds that only grow.
        """
        self._most, self._seconds, self._clock = most, seconds, clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[float, Address]] = OrderedDict()

    def keep(self, token: bytes, address: Address) -> None:
        """Remember an address for the browser with this token."""
        with self._lock:
            self._kept[_digest(token)] = (self._clock(), address)
            self._kept.move_to_end(_digest(token))
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)

    def take(self, token: bytes) -> Address | None:
        """Return the address remembered for this browser and forget it."""
        with self._lock:
            at, address = self._kept.pop(_digest(token), (0.0, None))
        return address if address and self._clock() - at <= self._seconds else None


def _digest(token: bytes) -> str:
    return hashlib.sha256(token).hexdigest()


def _faults_of(auth: Mapping[str, object]) -> Iterator[str]:
    """Yield what is missing or unsound in the section, in words, never its values."""
    for name in _SHARED:
        if not isinstance(auth.get(name), str):
            yield f"{_WORDS}{name} is missing."
    if len(str(auth.get("cookie_secret", ""))) < _SHORTEST_SECRET:
        yield (
            f"{_WORDS}cookie_secret is shorter than {_SHORTEST_SECRET} characters. Who guesses it "
            "signs in as anybody; make a random one."
        )
    if not providers(auth):
        yield f"{_WORDS}names no provider; add {', '.join(_PER_PROVIDER)}."
    for name, part in providers(auth).items():
        where = f"{name}." if name else ""
        for key in _PER_PROVIDER:
            if not isinstance(part.get(key), str):
                yield f"{_WORDS}{where}{key} is missing."
        if not _is_safe(str(part.get("server_metadata_url"))):
            yield f"{_WORDS}{where}server_metadata_url must start with https://."
    if not _is_safe(str(auth.get("redirect_uri")).replace("{port}", "1")):
        yield f"{_WORDS}redirect_uri must start with https://."


def _is_safe(address: str) -> bool:
    """Say whether what is sent there cannot be read on the way."""
    parts = urlsplit(address)
    host = parts.hostname or ""
    return bool(host) and (
        parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))
    )


def _library_fault() -> str | None:
    try:
        found = version("Authlib")
    except PackageNotFoundError:
        return f"{_WORDS}the package Authlib is not installed; run make install."
    numbers = tuple(int(part) for part in found.split(".")[:3] if part.isdigit())
    if numbers < _OLDEST_AUTHLIB:
        oldest = ".".join(map(str, _OLDEST_AUTHLIB))
        return f"{_WORDS}Authlib {found} has known holes; install {oldest} or later."
    return None
