"""Settings: what is configured, what is half configured, and how it is said."""

import pytest

from core.errors import ConfigError
from core.settings import DEFAULT_METRICS, read_settings

WHOLE = """
[database]
url = "postgresql+psycopg2://reader:hunter2@db.example/shop?sslmode=verify-full"
[posthog]
host = "https://us.posthog.com"
project_id = 1
api_key = "phx_secret123"
"""


@pytest.fixture(autouse=True)
def _alone(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def written(tmp_path):
    def write(text, name="settings.toml"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    return write


def test_read_settings_without_anything_means_the_demo():
    settings = read_settings()
    assert settings.is_demo
    assert settings.metrics == DEFAULT_METRICS
    assert next(iter(settings.metrics)) == "confirmed_trades"


def test_read_settings_reads_streamlits_file_and_leaves_its_other_sections(written):
    written(WHOLE + "[auth]\ncookie_secret = 'x'\n", ".streamlit/secrets.toml")
    settings = read_settings()
    assert not settings.is_demo
    assert settings.database_label == "shop on db.example"


def test_read_settings_puts_the_environment_above_the_file(written, monkeypatch):
    monkeypatch.setenv("PUSHLIFT_POSTHOG__PROJECT_ID", "7")
    monkeypatch.setenv("PUSHLIFT_METRICS__trades", '["Trade Confirmed"]')
    monkeypatch.setenv("PUSHLIFT_ANALYSIS__MIN_RECIPIENTS", "50")
    settings = read_settings(written(WHOLE))
    assert settings.posthog.project_id == 7
    assert settings.posthog.host == "https://us.posthog.com"
    assert settings.analysis.min_recipients == 50
    assert settings.metrics["trades"] == ["Trade Confirmed"]


def test_read_settings_finds_the_file_named_by_the_environment(written, monkeypatch):
    monkeypatch.setenv("PUSHLIFT_SETTINGS", str(written(WHOLE, "other.toml")))
    assert read_settings().posthog.project_id == 1


def test_settings_never_show_a_secret(written):
    text = repr(read_settings(written(WHOLE)))
    assert "hunter2" not in text
    assert "phx_secret123" not in text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[database]\nurl = 'sqlite:///x.db'", "neither posthog nor events"),
        ("[events]\npath = 'x'", "database.url is not"),
        ("[posthog]\nhost='https://eu.posthog.com'\nproject_id=1\napi_key='k'", "database.url"),
        ("[database]\n", "database.url is missing"),
        (WHOLE.replace("api_key", "apikey"), "posthog.api_key is missing"),
        (WHOLE.replace("api_key", "apikey"), "posthog.apikey is not a setting"),
        (WHOLE + "[events]\npath='x'", "both set"),
        (WHOLE.replace("https", "http"), "posthog.host must start with https"),
        (WHOLE.replace("us.posthog", "us.i.posthog"), "ingestion address"),
        (WHOLE.replace("project_id = 1", "project_id = 'one'"), "posthog.project_id"),
        (WHOLE.replace("postgresql+psycopg2://", ""), "database.url is not a database URL"),
        (WHOLE + "[analysis]\ntimezone='Mars/Olympus'", "analysis.timezone is not a time zone"),
        (WHOLE + "[analysis]\nconfidence_level=95", "analysis.confidence_level"),
        (WHOLE + "[analysis]\nbaseline_dayz=3", "analysis.baseline_dayz is not a setting"),
        (WHOLE + "[metrics]\ntrades=[]", "metrics"),
        (WHOLE + "[database.columns.users]\nmail='e'", "no column 'mail'"),
        ("[database\n", "not valid TOML"),
    ],
)
def test_read_settings_names_the_key_that_is_wrong(written, text, said):
    with pytest.raises(ConfigError) as error:
        read_settings(written(text))
    assert said in str(error.value)
    assert "hunter2" not in str(error.value)
    assert "phx_secret123" not in str(error.value)


def test_read_settings_half_configured_by_environment_is_not_the_demo(monkeypatch):
    monkeypatch.setenv("PUSHLIFT_DATABASE__URL", "")
    with pytest.raises(ConfigError, match=r"database\.url"):
        read_settings()


def test_read_settings_of_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read_settings(tmp_path / "none.toml")


def test_read_settings_accepts_loopback_without_tls(written):
    text = WHOLE.replace("https://us.posthog.com", "http://127.0.0.1:8123")
    assert read_settings(written(text)).posthog.host == "http://127.0.0.1:8123"


def test_read_settings_negative_control_must_be_another_metric(tmp_path):
    for name, fault in (("steps", "names no metric"), ("trades", "is the primary metric")):
        path = tmp_path / "settings.toml"
        path.write_text(
            f'[analysis]\nnegative_control = "{name}"\n'
            '[metrics]\ntrades = ["Trade"]\nlogins = ["Login"]\n'
        )
        with pytest.raises(ConfigError, match=fault):
            read_settings(path)
    path.write_text(
        '[analysis]\nnegative_control = "logins"\n[metrics]\ntrades = ["Trade"]\nlogins = ["L"]\n'
    )
    assert read_settings(path).analysis.negative_control == "logins"


@pytest.mark.parametrize(
    "host",
    ["https://ph.example.com", "https://us.posthog.com.example.com", "https://evil.com/",
     "https://xus.posthog.com", "https://us.posthog.com.", "https://posthog.com"],
)  # fmt: skip
def test_read_settings_refuses_hosts_nobody_listed(written, host):
    with pytest.raises(ConfigError, match=r"none of us\.posthog\.com.*add allowed_hosts = \["):
        read_settings(written(WHOLE.replace("https://us.posthog.com", host)))


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("https://us.posthog.com@evil.com", "bare address"),
        ("https://us.posthog.com#@evil.com", "bare address"),
        ("https://:pw@us.posthog.com", "bare address"),
        ("https://us.posthog.com:x", "port"),
        ("https://us.posthog.com:99999", "port"),
        (r"https://us.posthog.com\\@evil.com", "bare address"),
        (r"https://evil.com\\.us.posthog.com", "none of us.posthog.com"),
    ],
)
def test_read_settings_refuses_hosts_that_only_look_listed(written, host, said):
    with pytest.raises(ConfigError, match=said):
        read_settings(written(WHOLE.replace("https://us.posthog.com", host)))


def test_read_settings_accepts_a_host_of_ones_own_that_is_listed(written):
    text = WHOLE.replace("https://us.posthog.com", "https://ph.example.com:8443")
    text = text.replace("project_id", 'allowed_hosts = ["PH.example.com"]\nproject_id')
    assert read_settings(written(text)).posthog.host == "https://ph.example.com:8443"
