"""The same world through the export and through PostHog's API gives the same bytes."""

import subprocess
import sys

import pandas as pd
import pytest

from tests.posthog_standin import PostHogStandIn
from tests.worlds import AS_OF, random_world, reckon

FILES = ("window_counts.parquet", "lifts.csv", "layers.csv", "campaigns.csv")


@pytest.fixture(scope="module")
def world():
    return random_world(4)


@pytest.fixture(scope="module")
def root(world, tmp_path_factory):
    return tmp_path_factory.mktemp("parity")


@pytest.fixture(scope="module")
def settings(world, root):
    return world.write(root)


@pytest.fixture(scope="module")
def posthog(settings, root):
    export = {"events": f"{root}/events/**/*.parquet", "persons": f"{root}/persons/*.parquet"}
    with PostHogStandIn(timezone="America/Los_Angeles", **export) as standin:
        yield standin


def analyze(settings, out):
    command = [
        sys.executable, "-m", "core", "analyze", "--settings", str(settings),
        "--as-of", AS_OF.isoformat(), "--since", "2026-08-20", "--out", str(out),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def by_export(settings, root):
    analyze(settings, root / "export")
    return root / "export"


@pytest.fixture(scope="module")
def api_settings(world, root, posthog):
    section = (
        f'[posthog]\nhost = "{posthog.url}"\nproject_id = {posthog.project_id}\n'
        f'api_key = "{posthog.api_key}"'
    )
    return world.write(root, database_url=f"sqlite:///{root}/pushes.sqlite", activity=section)


@pytest.fixture(scope="module")
def by_api(by_export, api_settings, root):
    analyze(api_settings, root / "api")
    return root / "api"


@pytest.mark.parametrize("name", FILES)
def test_export_and_api_give_the_same_bytes(by_export, by_api, name):
    assert (by_export / name).read_bytes() == (by_api / name).read_bytes()


def test_both_count_as_a_plain_reckoning_does(world, by_api):
    counts = pd.read_parquet(by_api / "window_counts.parquet")
    got = {
        (row.campaign_id, row.person_id, row.metric): (row.n_baseline, row.n_post)
        for row in counts.itertuples()
    }
    assert got == {key: (value[1], value[3]) for key, value in reckon(world).items()}


def test_requests_keep_to_the_rules(by_api, posthog):
    asked = [entry for entry in posthog.requests() if entry["query"]]
    starts = sorted(entry["started"] for entry in asked)
    # a busy engine keeps the server from reading a head at once: of single gaps the client's own
    # tests speak, here the whole row of requests has to take its time
    assert starts[-1] - starts[0] >= 0.5 * (len(starts) - 1) - 0.5
    assert len(asked) <= 20
    assert all("limit" in entry["query"].lower() for entry in asked)
    assert not any("offset" in entry["query"].lower() for entry in asked)
    assert {entry["status"] for entry in asked} == {200}


def test_another_campaign_window_or_metric_order_fetches_no_settled_slice_again(
    by_api, api_settings, posthog, root
):
    before = len(posthog.requests())
    command = [
        sys.executable, "-m", "core", "analyze", "--settings", str(api_settings),
        "--as-of", AS_OF.isoformat(), "--since", "2026-08-20", "--post-hours", "24",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert len(posthog.requests()) == before
