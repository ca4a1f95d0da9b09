"""The pages where part of the data could not be read: said first, withheld, and offered again."""

from datetime import timedelta
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core.connect import wire
from core.settings import read_settings
from pages.parts import data
from tests.worlds import AS_OF, random_world

APP = Path(__file__).parents[2] / "app.py"
LATER = AS_OF + timedelta(days=4)


@pytest.fixture
def app(tmp_path, monkeypatch):
    """Return the dashboard over an export that ended four days ago, once it has been read."""
    settings = random_world(1).write(tmp_path)
    monkeypatch.setenv("PUSHLIFT_SETTINGS", str(settings))
    monkeypatch.setattr(
        data, "wire", lambda found, report: wire(found, report, clock=lambda: LATER)
    )
    st.cache_resource.clear()
    app = AppTest.from_file(APP, default_timeout=120).run()
    key = ("recent", data.fingerprint(read_settings(settings)))
    assert data._jobs().wait(key, timeout=120)
    yield app
    st.cache_resource.clear()


def test_every_page_says_what_is_missing_before_any_number(app):
    app.run()
    assert not app.exception
    said = app.warning[0].value
    assert said.startswith("**Partial")
    assert "2026\\-10\\-02" in said or "2026-10-02" in said
    assert "Withheld for that reason" in said
    kinds = [element.type for element in app.main]
    assert kinds.index("warning") < kinds.index("subheader")
    for page in ("layers", "campaign", "quality", "reports"):
        app.switch_page(f"pages/{page}.py").run()
        assert not app.exception
        assert app.warning[0].value == said
