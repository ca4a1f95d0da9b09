"""Makes sure that app.py has run before a page does.

While a folder named ``pages/`` exists, Streamlit answers a fresh process's first visitor of
``/campaign?id=x`` by running ``pages/campaign.py`` alone: no title, no navigation, no filters.
So every page calls `enter` first, which sends such a visitor through app.py, and app.py calls
`onward`, which sends them to where they wanted to go, with everything that stood in the address.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

import streamlit as st
from streamlit.navigation.page import Page

from pages.parts import filters
from pages.parts.sign_in import Address

_MARK = "app_has_run"
_GOTO = "goto"
_ALIAS = "overview"


def enter(name: str) -> None:
    """Send the visitor through app.py, unless it has run in this session already.

    Args:
        name: The page's name in the address.
    """
    if is_new():
        st.switch_page("app.py", query_params={**address(), _GOTO: name})


def is_passing_through() -> bool:
    """Say whether a new visitor is on the way to another page than this run is for.

    Filters drawn in such a run would take hold of what stands in the address and lose it.
    """
    path = urlsplit(st.context.url or "").path.rstrip("/")
    is_elsewhere = _GOTO in st.query_params or path.endswith(f"/{_ALIAS}")
    return is_elsewhere and not _held()


def onward(pages: Mapping[str, Page]) -> None:
    """Mark that app.py runs, and go on to the page the visitor first asked for.

    Args:
        pages: Every page by its name in the address.
    """
    st.session_state[_MARK] = True
    wanted = st.query_params.get(_GOTO)
    if wanted is None:
        return
    rest = {key: values for key, values in address().items() if key != _GOTO}
    if wanted in pages:
        st.switch_page(pages[wanted], query_params=rest)
    st.query_params.from_dict(rest)


def wanted() -> Address:
    """Return the page the visitor asked for, by its name, and everything else in the address."""
    rest = address()
    path = urlsplit(st.context.url or "").path.rstrip("/")
    return rest.pop(_GOTO, [path.rpartition("/")[2]])[0], rest


def resume(place: Address | None) -> None:
    """Make a new session go where its visitor wanted to before signing in, as `onward` does."""
    if place is not None:
        name, rest = place
        st.query_params.from_dict({**rest, **({_GOTO: [name]} if name else {})})


def is_new() -> bool:
    """Say whether app.py has not run in this session for somebody who may look."""
    return not st.session_state.get(_MARK)


def tidy(page: Page) -> None:
    """Take a campaign's id out of the address of pages that show none; going back leaves it."""
    if page.url_path != "campaign" and "id" in st.query_params:
        del st.query_params["id"]


def go_home(page: Page) -> None:
    """Go to the default page, whose address is the bare one, from the name it would have."""
    held = _held()
    rest = {key: values for key, values in address().items() if key not in held}
    st.switch_page(page, query_params=rest)


def address() -> dict[str, list[str]]:
    """Return what stands in the address, every value of repeated keys included."""
    return {key: st.query_params.get_all(key) for key in st.query_params}


def _held() -> set[str]:
    """Return the parameters that filters hold already; they put them back themselves."""
    return {key for key in filters.KEYS if key in st.session_state}
