"""A download read as an export gives the bytes that asking PostHog's query API gives."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta

import pytest

from core.activity.source import silent
from core.downloading import Dates, download
from core.settings import read_settings
from tests.posthog_standin import PostHogStandIn
from tests.worlds import AS_OF, random_world

FILES = ("window_counts.parquet", "lifts.csv", "layers.csv", "campaigns.csv")
SINCE = date(2026, 8, 20)


def python_m_core(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "core", *map(str, arguments)],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


def analyze(settings, out):
    arguments = ("--settings", settings, "--as-of", AS_OF.isoformat(), "--since", SINCE)
    done = python_m_core("analyze", *arguments, "--out", out)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("download-parity")


@pytest.fixture(scope="module")
def world(root):
    world = random_world(6)
    world.write(root)
    return world


@pytest.fixture(scope="module")
def posthog(world, root):
    export = {"events": f"{root}/events/**/*.parquet", "persons": f"{root}/persons/*.parquet"}
    with PostHogStandIn(timezone="America/Los_Angeles", **export) as standin:
        yield standin


@pytest.fixture(scope="module")
def by_api(world, root, posthog):
    section = (
        f'[posthog]\nhost = "{posthog.url}"\nproject_id = {posthog.project_id}\n'
        f'api_key = "{posthog.api_key}"'
    )
    url = f"sqlite:///{root}/pushes.sqlite"
    settings = world.write(root, database_url=url, activity=section)
    return settings, analyze(settings, root / "api")


@pytest.fixture(scope="module")
def folder(by_api, root):
    dates = Dates(since=SINCE, persons_since=date(2026, 6, 29))
    done = download(
        read_settings(by_api[0]),
        root / "downloaded",
        dates,
        on_progress=silent,
        now=lambda: AS_OF + timedelta(minutes=1),
        sleep=lambda _seconds: None,
    )
    assert done.failed == ()
    assert done.reach == AS_OF
    return root / "downloaded"


@pytest.fixture(scope="module")
def by_download(world, by_api, folder, root):
    section = (
        f'[events]\npath = "{folder}/events/*.parquet"\npersons = "{folder}/persons/*.parquet"'
    )
    url = f"sqlite:///{root}/pushes.sqlite"
    settings = world.write(root, database_url=url, activity=section)
    return analyze(settings, root / "download")


@pytest.mark.parametrize("name", FILES)
def test_download_and_api_give_the_same_bytes(by_api, by_download, name):
    assert (by_download / name).read_bytes() == (by_api[1] / name).read_bytes()


def test_download_command_says_what_it_did_and_how_to_read_it(world, posthog, tmp_path):
    posthog.reset()
    section = f'[posthog]\nhost = "{posthog.url}"\nproject_id = 1\napi_key = "{posthog.api_key}"'
    settings = world.write(tmp_path, database_url="sqlite:///none.sqlite", activity=section)
    text = settings.read_text().replace("[analysis]\n", "[analysis]\nbaseline_days = 1\n")
    settings.write_text(text)
    posthog.script_exports({"statuses": ["Failed"], "error": "Cluster on fire"})
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    arguments = ("--settings", settings, "--out", tmp_path / "dl", "--since", yesterday)
    done = python_m_core("download", *arguments)
    assert done.returncode == 1, done.stderr
    assert "Missing: The events of" in done.stdout
    assert "Cluster on fire" in done.stdout
    assert f'path = "{tmp_path}/dl/events/*.parquet"' in done.stdout
    assert "Weeks of events and persons" in done.stderr
    again = python_m_core("download", *arguments)
    assert again.returncode == 0, again.stderr
    assert "1 were fetched now" in again.stdout
