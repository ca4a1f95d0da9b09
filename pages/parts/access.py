"""Asks who is looking, before anything is read, drawn or begun; nothing is asked by default.

Signing in is Streamlit's own (OpenID Connect, a signed cookie); who is admitted, `core.access`
judges anew in every run of every page. What Streamlit does not guard: the address of a file made
for a download (`/media/<id>`) needs no sign-in. It cannot be guessed, and is gone with the session.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NoReturn

import streamlit as st
from streamlit.web.server.starlette.starlette_app_utils import decode_xsrf_token_string

from core.access import judge
from core.settings import Settings
from pages.parts import sign_in
from pages.parts.plain import plain

Kind = Literal["open", "admitted", "signed_out", "expired", "refused", "broken"]

_XSRF_COOKIE = "_streamlit_xsrf"
_RETURNS = sign_in.Returns()
_HOME: sign_in.Address = ("", {})
_TOO_OLD = "You were signed in for as long as one sign-in holds."


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Whether the visitor may look, and what else to tell them.

    Attributes:
        kind: "open" where nobody is asked, "admitted" where the visitor was; else nothing is shown.
        words: What is wrong with the settings, or whom the provider says the visitor is.
    """

    kind: Kind
    words: str = ""

    @property
    def is_open(self) -> bool:
        """Say whether pages may be drawn."""
        return self.kind in {"open", "admitted"}


def gate(settings: Settings | None) -> Gate:
    """Return whether the visitor of this run may look.

    Args:
        settings: None where they are wrong: then pages say that, and hold nothing else.
    """
    if settings is None:
        return Gate(kind="open")
    access, auth = settings.access, _auth()
    headers = st.get_option("server.trustedUserHeaders")
    wrong = sign_in.fault(auth, has_list=access is not None, headers=headers)
    if wrong:
        return Gate(kind="broken", words=wrong)
    if access is None:
        return Gate(kind="open")
    if st.user.get("is_logged_in") is not True:
        return Gate(kind="signed_out")
    claims = st.user.to_dict()
    verdict = judge(access, claims, now=time.time())
    if verdict == "allowed":
        return Gate(kind="admitted", words=str(claims["email"]))
    if verdict == "expired":
        return Gate(kind="expired")
    return Gate(kind="refused", words=str(claims.get("email", "")))


def admit_or_stop(settings: Settings) -> None:
    """Go on where the visitor may look, else ask who they are and draw nothing else."""
    found = gate(settings)
    if not found.is_open:
        ask_and_stop(found)


def ask_and_stop(found: Gate, *, wanted: sign_in.Address = _HOME) -> NoReturn:
    """Draw the one thing a visitor who may not look is offered; then stop.

    Args:
        found: Why they may not.
        wanted: Where they shall be led once signed in.
    """
    st.title("Pushlift", anchor=False)
    if found.kind == "broken":
        st.error(plain(found.words), icon=":material/error:")
    elif found.kind == "refused":
        st.text(f"{found.words} may not see this dashboard.".strip())
        if st.button("Sign out", icon=":material/logout:", key="sign_out"):
            st.logout()
    else:
        if found.kind == "expired":
            st.text(_TOO_OLD)
        _offer(wanted)
    st.stop()


def sign_out() -> None:
    """Sign the visitor out: the page behind the menu's entry."""
    st.logout()
    st.stop()


def secrets() -> list[str]:
    """Return the sign-in's secrets, which must not stand in any log."""
    return sign_in.secrets(_auth())


def remembered() -> sign_in.Address | None:
    """Return where the visitor wanted to go before signing in; told once."""
    token = _token()
    return _RETURNS.take(token) if token else None


def _offer(wanted: sign_in.Address) -> None:
    for name in sign_in.providers(_auth()):
        label = f"Sign in with {name}" if name else "Sign in"
        if st.button(plain(label), icon=":material/login:", key=f"sign_in_{name}"):
            _remember(wanted)
            st.login(name)


def _remember(wanted: sign_in.Address) -> None:
    token = _token()
    if token:
        _RETURNS.keep(token, wanted)


def _auth() -> Mapping[str, object]:
    """Return Streamlit's [auth] section, empty where there is none."""
    if not st.secrets.load_if_toml_exists():
        return {}
    section = st.secrets.get("auth", {})
    return section if isinstance(section, Mapping) else {"cookie_secret": ""}


def _token() -> bytes | None:
    """Return what is the same in every request of this browser, and in no other's."""
    return decode_xsrf_token_string(st.context.cookies.get(_XSRF_COOKIE, ""))[0]
