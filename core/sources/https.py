"""A session that gives away nothing, and requests that end in time whatever the server does.

requests limits the seconds between two bytes, not those of a whole answer: a drip of header lines,
or "100 Continue" without end, holds a request for ever. Here another thread shuts the socket.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection


class Line:
    """The socket of one exchange, and whether its time is over."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self.is_over = False

    def use(self, line: socket.socket | None) -> None:
        """Say which socket is in use; one that comes too late is shut at once."""
        with self._lock:
            self._socket = line
            if self.is_over:
                _shut(line)

    def end(self) -> None:
        """Shut the socket, which ends every wait for it."""
        with self._lock:
            self.is_over = True
            _shut(self._socket)


_CURRENT = threading.local()


@contextmanager
def ending_after(seconds: float) -> Iterator[Line]:
    """Shut the socket this thread's request uses unless the body ends within the seconds."""
    line = Line()
    timer = threading.Timer(seconds, line.end)
    timer.daemon = True
    _CURRENT.line = line
    timer.start()
    try:
        yield line
    finally:
        timer.cancel()
        _CURRENT.line = None
        line.use(None)


def private_session() -> requests.Session:
    """Return a session without proxies, cookies, redirects or passwords of the environment."""
    session = _Session()
    session.trust_env = False  # proxies and .netrc of the environment would see the key
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers["User-Agent"] = "pushlift"
    for scheme in ("https://", "http://"):
        session.mount(scheme, WatchedAdapter())
    return session


def is_distrusted(error: BaseException) -> bool:
    """Return whether a certificate is what a failure of TLS is about."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
        cause = cause.__cause__ or cause.__context__
    return cause is not None


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return nothing: even unfollowed, requests would read a redirect's body to its end."""


class _Watched:
    """What makes a connection known to whoever watches the time."""

    sock: socket.socket | None

    def connect(self) -> None:
        """Connect, and say by which socket."""
        super().connect()  # type: ignore[misc]
        _tell(self.sock)

    def request(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - urllib3's own
        """Send a request, by a socket that may have been open already."""
        _tell(self.sock)
        super().request(*args, **kwargs)  # type: ignore[misc]


class _Connection(_Watched, HTTPConnection):
    pass


class _SecureConnection(_Watched, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class WatchedAdapter(HTTPAdapter):
    """Connects by sockets that `ending_after` can shut."""

    pools = {"http": _Pool, "https": _SecurePool}  # noqa: RUF012 - never changed

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - requests' own
        """Make the pools."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self.pools


def _tell(line: socket.socket | None) -> None:
    current = getattr(_CURRENT, "line", None)
    if current is not None:
        current.use(line)


def _shut(line: socket.socket | None) -> None:
    """Shut a socket both ways; closing it is its owner's business."""
    if line is not None:
        with suppress(OSError):
            # Not the method of TLS sockets, which would make its reader read in the clear.
            socket.socket.shutdown(line, socket.SHUT_RDWR)
