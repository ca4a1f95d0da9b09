"""What signing in rests on: half of it configured never leaves the dashboard open."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core import loading
from pages.parts import sign_in
from pages.parts.sign_in import Returns, fault, providers, secrets

APP = Path(__file__).resolve().parents[2] / "app.py"
WHOLE = {
    "redirect_uri": "https://push.example/oauth2callback",
    "cookie_secret": "x" * 32,
    "client_id": "id",
    "client_secret": "canary-secret",
    "server_metadata_url": "https://id.example/.well-known/openid-configuration",
}
NAMED = {
    "redirect_uri": WHOLE["redirect_uri"],
    "cookie_secret": WHOLE["cookie_secret"],
    "okta": {key: WHOLE[key] for key in ("client_id", "client_secret", "server_metadata_url")},
}


@pytest.fixture(autouse=True)
def _unlogged(monkeypatch):
    """Leave this process's own logging as it is."""
    monkeypatch.setattr("core.logs.configure", lambda *_, **__: None)


@pytest.mark.parametrize("auth", [WHOLE, NAMED])
def test_fault_finds_none_in_a_whole_section(auth):
    assert fault(auth, has_list=True) is None


def test_fault_finds_none_where_nothing_is_wanted():
    assert fault({}, has_list=False) is None


@pytest.mark.parametrize(
    ("auth", "has_list", "said"),
    [
        ({}, True, "[auth] is not"),
        (WHOLE, False, "[access] is not"),
        ({**WHOLE, "cookie_secret": "short"}, True, "cookie_secret is shorter"),
        ({**WHOLE, "server_metadata_url": "http://id.example/x"}, True, "https://"),
        ({**WHOLE, "redirect_uri": "http://push.example/oauth2callback"}, True, "https://"),
        ({"redirect_uri": "https://a.example", "cookie_secret": "x" * 40}, True, "no provider"),
        *(
            ({key: value for key, value in WHOLE.items() if key != gone}, True, gone)
            for gone in WHOLE
        ),
        ({**NAMED, "okta": {"client_id": "id"}}, True, "okta.client_secret"),
    ],
)
def test_fault_names_what_is_missing_and_no_secret(auth, has_list, said):
    words = fault(auth, has_list=has_list)
    assert said in words
    assert "canary" not in words


def test_fault_refuses_an_identity_from_headers():
    assert "trustedUserHeaders" in fault(WHOLE, has_list=True, headers={"X-User": "email"})


def test_fault_refuses_an_old_or_missing_authlib(monkeypatch):
    monkeypatch.setattr(sign_in, "version", lambda name: "1.6.8")
    assert "1.6.9" in fault(WHOLE, has_list=True)

    def missing(name):
        raise sign_in.PackageNotFoundError(name)

    monkeypatch.setattr(sign_in, "version", missing)
    assert "not installed" in fault(WHOLE, has_list=True)


def test_providers_and_secrets_know_named_ones():
    assert list(providers(WHOLE)) == [None]
    assert list(providers(NAMED)) == ["okta"]
    assert secrets(NAMED) == ["x" * 32, "canary-secret"]
    assert secrets({}) == []


def test_returns_tells_each_browser_its_own_place_once():
    now = [0.0]
    kept = Returns(most=2, seconds=10, clock=lambda: now[0])
    for name in (b"a", b"b", b"c"):
        kept.keep(name, (name.decode(), {"id": [name.decode()]}))
    assert kept.take(b"a") is None  # the oldest of three
    assert kept.take(b"b") == ("b", {"id": ["b"]})
    assert kept.take(b"b") is None
    now[0] = 11
    assert kept.take(b"c") is None


@pytest.mark.parametrize("section", ["", "[auth]\nclient_id = 'x'\n"])
@pytest.mark.parametrize("query", [{}, {"goto": "campaign", "id": "x"}])
def test_app_reads_nothing_for_who_is_not_admitted(section, query, monkeypatch, tmp_path):
    path = tmp_path / "settings.toml"
    path.write_text('[access]\nemails = ["ann@example.com"]\n')
    monkeypatch.setenv("PUSHLIFT_SETTINGS", str(path))
    asked = []
    monkeypatch.setattr(loading, "load", lambda *_, **__: asked.append("load"))
    monkeypatch.setattr("pages.parts.data.wire", lambda *_, **__: asked.append("wire"))
    app = AppTest.from_file(APP, default_timeout=30)
    if section:
        app.secrets["auth"] = {"client_id": "x"}
    app.query_params.update(query)
    app.run()
    assert not app.exception
    assert [len(part) for part in (app.selectbox, app.dataframe, app.metric, app.button)] == [0] * 4
    assert len(app.error) == 1
    assert asked == []


def test_app_lets_every_page_through_where_nobody_is_asked(monkeypatch, tmp_path):
    path = tmp_path / "settings.toml"
    path.write_text("[log]\nlevel = 'error'\n")
    monkeypatch.setenv("PUSHLIFT_SETTINGS", str(path))
    monkeypatch.setattr("pages.parts.data.wire", lambda *_, **__: None)
    app = AppTest.from_file(APP, default_timeout=30).run()
    assert not app.exception
    assert len(app.selectbox) >= 3


def test_settings_or_stop_stops_a_page_that_runs_without_app(monkeypatch, tmp_path):
    path = tmp_path / "settings.toml"
    path.write_text('[access]\nemails = ["ann@example.com"]\n')
    monkeypatch.setenv("PUSHLIFT_SETTINGS", str(path))

    def page():
        import streamlit as st

        from pages.parts import data

        data.settings_or_stop()
        st.text("what nobody may see")

    app = AppTest.from_function(page, default_timeout=30).run()
    assert not app.exception
    assert [len(app.error), len(app.text)] == [1, 0]
