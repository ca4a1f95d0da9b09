"""Who may look, in a browser, with a provider that signs real tokens."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator

import pytest
from joserfc.jwk import RSAKey
from playwright.sync_api import BrowserContext, Page, expect

from tests.pages.browser import Seen, Server, serving, settle, visitor, window
from tests.pages.conftest import Expected
from tests.pages.provider import CLIENT_SECRET, COOKIE_SECRET, Provider, auth_section, providing

DEEP = "campaign?id=drop-08&metric=sessions"
NAME = "Jordan 1 Mocha"
LIST = '[access]\nemails = ["Ann@Example.com"]\ndomains = ["team.example"]\n'
DATA = ("stDataFrame", "stPlotlyChart", "stMetric", "stSelectbox", "stDownloadButton", "stCaption")
COOKIE = "_streamlit_user"
Newcomer = Callable[[], Page]


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with providing() as running:
        yield running


@pytest.fixture(scope="module")
def guarded(
    expected: Expected, provider: Provider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A dashboard that admits Ann and the team."""
    folder = tmp_path_factory.mktemp("guarded")
    path = folder / "secrets.toml"
    path.write_text(expected.settings.read_text() + LIST + auth_section(provider))
    config = ("--secrets.files", str(path))
    with serving(path, folder, as_of=expected.loaded.span.as_of, config=config) as running:
        yield running


@pytest.fixture
def newcomer(tabs: BrowserContext) -> Iterator[Newcomer]:
    """Open a browser of its own, without cookies; afterwards nothing amiss may have been seen."""
    opened: list[tuple[Page, Seen]] = []

    def come() -> Page:
        page, seen = visitor(window(tabs.browser))
        opened.append((page, seen))
        return page

    yield come
    for page, seen in opened:
        boxes = page.get_by_test_id("stException").count()
        page.context.close()
        assert (seen, boxes) == (Seen(), 0)


def test_gate_keeps_a_deep_link_until_signed_in(
    guarded: Server, provider: Provider, newcomer: Newcomer
) -> None:
    provider.claims = {"email": "ann@example.com", "email_verified": True}
    page = newcomer()
    page.goto(f"{guarded.url}/{DEEP}")
    _assert_closed(page)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(re.compile(r"/campaign\?"))
    settle(page)
    assert page.url.split("/")[-1] == DEEP
    assert NAME in page.inner_text("body")
    page.get_by_role("link", name="Sign out").first.click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    settle(page)
    _assert_closed(page)
    assert not _cookies(page)


def test_gate_admits_a_domain_and_every_page_asks_anew(
    guarded: Server, provider: Provider, newcomer: Newcomer
) -> None:
    provider.claims = {"email": "bob@TEAM.example", "email_verified": True}
    page = newcomer()
    _sign_in(page, guarded)
    expect(page.get_by_role("heading", name="Overview", exact=True)).to_be_visible()
    settle(page)
    # a new session begins with the cookie: one that was changed admits nobody
    good = _cookies(page)[0]
    page.context.add_cookies([{**good, "value": _flipped(good["value"])}])
    for place in ("", "layers", DEEP, "quality", "reports"):
        page.goto(f"{guarded.url}/{place}")
        _assert_closed(page)
    page.context.add_cookies([good])
    page.goto(f"{guarded.url}/layers")
    expect(page.get_by_role("heading", name="Layers", exact=True)).to_be_visible()
    settle(page)


@pytest.mark.parametrize(
    "claims",
    [
        {"email": "ann@example.com.evil.test", "email_verified": True},
        {"email": "eve@sub.team.example", "email_verified": True},
        {"email": "team.example@evil.test", "email_verified": True},
        {"email": "ann@example.com", "email_verified": False},
        {"email": "ann@example.com"},
    ],
    ids=["suffix", "subdomain", "local part", "unverified", "verified unsaid"],
)
def test_gate_refuses_and_says_whom(
    claims: dict[str, object], guarded: Server, provider: Provider, newcomer: Newcomer
) -> None:
    provider.claims = claims
    page = newcomer()
    _sign_in(page, guarded)
    expect(page.get_by_test_id("stText")).to_contain_text(str(claims["email"]))
    _assert_nothing_shown(page)
    for place in ("layers", DEEP):
        page.goto(f"{guarded.url}/{place}")
        settle(page)
        _assert_nothing_shown(page)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()


def test_gate_forgets_a_sign_in_after_its_hours(
    guarded: Server, provider: Provider, newcomer: Newcomer
) -> None:
    issued = int(time.time()) - 13 * 3600
    provider.claims = {"email": "ann@example.com", "email_verified": True, "iat": issued}
    page = newcomer()
    _sign_in(page, guarded)
    expect(page.get_by_test_id("stText")).to_contain_text("as long as one sign-in holds")
    _assert_closed(page)


def test_gate_believes_no_token_of_another_key(
    guarded: Server, provider: Provider, newcomer: Newcomer, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = RSAKey.generate_key(2048, {"kid": "one"}, auto_kid=False)
    monkeypatch.setattr(provider, "signing_key", stranger)
    provider.claims = {"email": "ann@example.com", "email_verified": True}
    page = newcomer()
    _sign_in(page, guarded)
    _assert_closed(page)
    written = guarded.log.read_text()
    assert "OAuth token exchange failed" in written
    assert not [one for one in (COOKIE_SECRET, CLIENT_SECRET, "ann@example.com") if one in written]


def test_gate_without_a_provider_shows_nothing(
    expected: Expected, serve: Callable[..., Server], newcomer: Newcomer, tmp_path: object
) -> None:
    path = tmp_path / "open.toml"
    path.write_text(expected.settings.read_text() + LIST)
    server = serve(path)
    page = newcomer()
    page.goto(f"{server.url}/{DEEP}")
    settle(page)
    expect(page.get_by_role("alert")).to_contain_text("[auth] is not")
    _assert_nothing_shown(page)


def _sign_in(page: Page, server: Server) -> None:
    page.goto(server.url)
    settle(page)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(re.compile(rf"{re.escape(server.url)}/(\?.*)?$"))
    settle(page)


def _assert_closed(page: Page) -> None:
    settle(page)
    expect(page.get_by_role("button")).to_have_count(1)
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    _assert_nothing_shown(page)


def _assert_nothing_shown(page: Page) -> None:
    """No widget that holds data, no campaign's name, no way to a page."""
    assert [name for name in DATA if page.get_by_test_id(name).count()] == []
    assert page.locator("a:not([data-testid=stSkipToContent])").count() == 0
    content = page.content()
    assert not [one for one in (NAME, "drop-08<", COOKIE_SECRET, CLIENT_SECRET) if one in content]


def _cookies(page: Page) -> list[dict[str, object]]:
    return [one for one in page.context.cookies() if one["name"] == COOKIE]


def _flipped(value: str) -> str:
    """Return a signed value with another payload and the old signature."""
    middle = len(value) // 2
    return value[:middle] + ("A" if value[middle] != "A" else "B") + value[middle + 1 :]
