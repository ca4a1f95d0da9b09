"""The command line end to end, in its own process, against a plain reckoning of small worlds."""

import json
import os
import subprocess
import sys
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from core import frames
from core.health.records import read_records
from tests.posthog_standin import PostHogStandIn
from tests.worlds import AS_OF, METRICS, random_world, reckon

ANALYZE = ("analyze", "--as-of", AS_OF.isoformat(), "--since", "2026-08-20")
LATER = (AS_OF + timedelta(days=4)).isoformat()
FILES = (
    "analysis.json", "automation_trends.csv", "cadence.csv", "campaigns.csv", "checks.csv",
    "correlations.csv", "decisions.csv", "event_days.csv", "excluded.csv", "history.csv",
    "json-data", "layer_contrasts.csv", "layers.csv", "lifts.csv", "markdown-summaries",
    "pattern_groups.csv", "patterns.csv", "push_days.csv", "pushlift.xlsx",
    "quality_advice.csv", "quality_scores.csv", "rankings.csv", "report.html",
    "strategic-reports", "users.csv", "what_if.csv", "window_counts.parquet",
)  # fmt: skip
LIFTS_HEADER = (
    "campaign_id,layer,metric,method,evidence,headline,n_users,n_comparison,baseline_rate,"
    "post_rate,expected_rate,effect_size,effect_size_ci_low,effect_size_ci_high,rel_effect_size,"
    "rel_effect_size_ci_low,rel_effect_size_ci_high,statistic,df,pvalue,qvalue,effect_size_std,"
    "mean_user_effect,median_user_effect,sd_user_effect,confidence_level,status"
)


def run(*arguments, cwd=None, env=None):
    return subprocess.run(
        [sys.executable, "-m", "core", *map(str, arguments)],
        capture_output=True, text=True, check=False, cwd=cwd, env=env, timeout=300,
    )  # fmt: skip


@pytest.fixture(scope="module")
def world():
    return random_world(1)


@pytest.fixture(scope="module")
def done(world, tmp_path_factory):
    root = tmp_path_factory.mktemp("world")
    settings = world.write(root)
    result = run(*ANALYZE, "--settings", settings, "--out", root / "out")
    assert result.returncode == 0, result.stderr
    return root, result


@pytest.fixture(scope="module")
def counts(done):
    return pd.read_parquet(done[0] / "out" / "window_counts.parquet")


def test_analyze_writes_exactly_the_contracted_files(done):
    assert sorted(p.name for p in (done[0] / "out").iterdir()) == sorted(FILES)


def test_analyze_counts_as_a_plain_reckoning_does(world, counts):
    expected = reckon(world)
    got = {
        (row.campaign_id, row.person_id, row.metric): (
            row.delivered_at.to_pydatetime(), row.n_baseline, pytest.approx(row.baseline_days),
            row.n_post, pytest.approx(row.post_hours),
        )
        for row in counts.itertuples()
    }  # fmt: skip
    assert got == expected


def test_window_counts_have_the_declared_columns_and_no_duplicates(counts):
    assert counts.columns[: len(frames.WINDOW_COUNTS.names)].tolist() == frames.WINDOW_COUNTS.names
    assert not counts.duplicated(list(frames.WINDOW_COUNTS.key)).any()
    assert counts["person_id"].notna().all()


def test_lifts_follow_from_the_window_counts(done, counts):
    path = done[0] / "out" / "lifts.csv"
    assert path.read_text().splitlines()[0].replace('"', "").startswith(LIFTS_HEADER)
    lifts = pd.read_csv(path)
    assert set(lifts["metric"]) == set(METRICS)
    ok = lifts[(lifts["status"] == "ok") & (lifts["method"] == "classic")]
    assert len(ok) >= 6
    for lift in ok.itertuples():
        rows = counts[
            (counts["campaign_id"] == lift.campaign_id) & (counts["metric"] == lift.metric)
        ]
        rows = rows[rows["baseline_days"] > 0]  # nobody has a rate before they signed up
        base = rows["n_baseline"] / rows["baseline_days"]
        post = rows["n_post"] / (rows["post_hours"] / 24)
        test = stats.ttest_rel(post, base)
        assert lift.n_users == len(rows)
        assert lift.pvalue == pytest.approx(test.pvalue)
        assert lift.effect_size == pytest.approx((post - base).mean())
        assert lift.rel_effect_size == pytest.approx(post.mean() / base.mean() - 1)


def test_campaigns_add_up_to_the_rows(world, done):
    table = pd.read_csv(done[0] / "out" / "campaigns.csv").set_index("campaign_id")
    statuses = pd.Series([p["status"].strip().lower() for p in world.pushes]).value_counts()
    assert table["n_delivered"].sum() == statuses["delivered"]
    assert table["n_failed"].sum() == statuses["failed"]
    assert table["n_sent"].sum() == statuses["delivered"] + statuses["failed"]
    recipients = table["n_delivered"] - table["n_duplicates"]
    assert (table["n_mapped"] + table["n_unmapped"] == recipients).all()
    assert set(table["layer"].astype(str)) == {"1", "2", "3", "unclassified"}
    last = table.loc[table["last_delivered_at"].idxmax()]
    assert (last["status"], bool(last["window_complete"])) == ("window_open", False)


def test_analysis_json_is_strict_and_whole(done):
    def refuse(name):
        raise AssertionError(name)

    text = (done[0] / "out" / "analysis.json").read_text()
    content = json.loads(text, parse_constant=refuse)
    assert next(iter(content)) == "schema_version"
    lifts = pd.read_csv(done[0] / "out" / "lifts.csv")
    assert len(content["lifts"]) == len(lifts)
    assert {"settings", "sources", "quality", "versions", "campaigns", "layers"} <= set(content)
    assert "@" not in text.replace("@lid", "")


def test_analyze_reports_progress_and_a_summary_apart(done):
    _, result = done
    assert "Matching users to persons" in result.stderr
    assert "campaigns" in result.stdout
    assert "Reading exported events" not in result.stdout


def test_analyze_leaves_a_record(done):
    records, notices = read_records(done[0] / "cache" / "runs")
    assert notices == ()
    first = records[0]
    assert (first.what, first.status, first.as_of) == ("analyze", "done", AS_OF)
    assert "Writing files" in {step.name for step in first.steps}


def test_analyze_says_its_alerts_and_why_an_export_is_not_cross_checked(done):
    root, _ = done
    strict = {**os.environ, "PUSHLIFT_ALERTS__MAPPED_SHARE": "1"}
    result = run(*ANALYZE, "--settings", root / "settings.toml", "--cross-check", env=strict)
    assert result.returncode == 0, result.stderr
    said = [line for line in result.stdout.splitlines() if line.startswith("Alert: ")]
    kept = [one for one in read_records(root / "cache" / "runs")[0] if one.alerts][-1]
    assert said == [f"Alert: {one.words}" for one in kept.alerts]
    assert "mapping" in {one.kind for one in kept.alerts}
    assert "Cross-check with PostHog: not compared." in result.stdout
    assert "read from an export" in result.stdout


def test_analyze_cross_checks_with_posthog(world, tmp_path):
    world.write_export(tmp_path)
    files = {"events": f"{tmp_path}/events/**/*.parquet",
             "persons": f"{tmp_path}/persons/*.parquet"}  # fmt: skip
    with PostHogStandIn(timezone="America/Los_Angeles", **files) as posthog:
        section = (
            f'[posthog]\nhost = "{posthog.url}"\nproject_id = {posthog.project_id}\n'
            f'api_key = "{posthog.api_key}"\nslice_days = 31'
        )
        settings = world.write(tmp_path, activity=section)
        result = run(*ANALYZE, "--settings", settings, "--cross-check")
        kinds = [one["kind"] for one in posthog.requests()]
    assert result.returncode == 0, result.stderr
    assert "Cross-check with PostHog: " in result.stdout
    assert "agree within the tolerance" in result.stdout
    assert kinds.count("TrendsQuery") == 1
    [kept] = read_records(tmp_path / "cache" / "runs")[0]
    assert kept.cost.requests == len(kinds)


def test_analyze_gives_the_same_bytes_again(world, done, tmp_path):
    settings = done[0] / "settings.toml"
    again = run(*ANALYZE, "--settings", settings, "--out", tmp_path / "again")
    assert again.returncode == 0
    for name in ("lifts.csv", "campaigns.csv", "layers.csv", "window_counts.parquet"):
        first, second = done[0] / "out" / name, tmp_path / "again" / name
        assert first.read_bytes() == second.read_bytes(), name


@pytest.mark.parametrize(
    ("arguments", "column", "value"),
    [
        (("--confidence-level", "0.9"), "confidence_level", 0.9),
        (("--min-recipients", "1000"), "status", "too_few_users"),
    ],
)
def test_analyze_takes_rules_as_arguments(done, tmp_path, arguments, column, value):
    settings = done[0] / "settings.toml"
    result = run(*ANALYZE, "--settings", settings, *arguments, "--out", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    assert set(pd.read_csv(tmp_path / "out" / "lifts.csv")[column]) == {value}


def test_analyze_takes_windows_as_arguments(done, tmp_path, counts):
    result = run(
        *ANALYZE, "--settings", done[0] / "settings.toml", "--baseline-days", "7",
        "--post-hours", "24", "--out", tmp_path / "out",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    other = pd.read_parquet(tmp_path / "out" / "window_counts.parquet")
    assert other["post_hours"].max() == 24
    assert other["baseline_days"].max() == 7
    assert (other["n_post"] <= counts["n_post"]).all()
    assert np.any(other["n_post"] < counts["n_post"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("analyze", "--settings", "none.toml"), "none.toml cannot be read"),
        (("analyze", "--since", "yesterday"), "not a date"),
        (("analyze", "--as-of", "noon"), "not an instant"),
        (("analyze", "--outliers", "all"), "outliers"),
        (("analyze", "--confidence-level", "95"), "--confidence-level"),
        (("analyze", "--min-recipients", "0"), "--min-recipients"),
        (("analyze", "--baseline-days", "x"), "baseline-days"),
        (("watch", "--every", "0"), "--every"),
        (("watch", "--times", "0"), "--times"),
        (("watch", "--settings", "none.toml"), "none.toml cannot be read"),
        (("demo",), "--out"),
        (("nonsense",), "nonsense"),
    ],
)
def test_bad_arguments_are_said_and_nothing_is_written(tmp_path, arguments, said):
    result = run(*arguments, cwd=None, env=None)
    assert result.returncode == 2
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert not list(tmp_path.iterdir())


BROKEN = {
    "no database file": ("pushes.sqlite", "gone.sqlite", "gone.sqlite"),
    "no events": ("events/**", "elsewhere/**", "events.path"),
    "no database": ("[database]", "[databass]", "[database]"),
    "unknown zone": ("min_recipients = 5", 'timezone = "Moon"', "analysis.timezone"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_sources_are_said_and_nothing_is_written(done, tmp_path, case):
    old, new, said = BROKEN[case]
    settings = tmp_path / "settings.toml"
    settings.write_text((done[0] / "settings.toml").read_text().replace(old, new))
    result = run(*ANALYZE, "--settings", settings, "--out", tmp_path / "out")
    assert result.returncode == 2
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out").exists()


def test_analyze_of_a_period_without_pushes_says_so(done, tmp_path):
    result = run(
        "analyze", "--settings", done[0] / "settings.toml", "--as-of", AS_OF.isoformat(),
        "--since", "2025-01-01", "--until", "2025-02-01", "--out", tmp_path / "out",
    )  # fmt: skip
    assert result.returncode == 2
    assert "No push was sent" in result.stderr
    assert "python -m core check" in result.stderr
    assert not (tmp_path / "out").exists()


def test_check_says_what_is_right(done):
    result = run("check", "--settings", done[0] / "settings.toml")
    assert result.returncode in {0, 1}
    assert "FAIL" not in result.stdout
    assert "Trade Confirmed" in result.stdout
    assert "No event is named 'Offer Created'" in result.stdout  # an automation's trigger


def test_check_says_what_is_not(done, tmp_path):
    settings = tmp_path / "settings.toml"
    text = (done[0] / "settings.toml").read_text()
    settings.write_text(text.replace("events/**", "elsewhere/**").replace("$pageview", "$oops"))
    result = run("check", "--settings", settings)
    assert result.returncode == 2
    assert "FAIL" in result.stdout
    assert "events.path" in result.stdout


def test_demo_writes_the_marketplace(tmp_path):
    result = run(
        "demo", "--out", tmp_path / "demo", "--users", "300", "--days", "10", "--seed", "3"
    )
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "demo" / ".automations").is_dir()
    assert "100" in result.stderr


def test_analyze_of_an_export_that_ended_early_is_partial_and_names_what_is_missing(done, tmp_path):
    result = run(
        "analyze", "--settings", done[0] / "settings.toml", "--as-of", LATER, "--out",
        tmp_path / "out",
    )  # fmt: skip
    assert result.returncode == 1, result.stderr
    assert "PARTIAL: Activity from 2026-10-02" in result.stdout
    analysis = json.loads((tmp_path / "out" / "analysis.json").read_text())
    withheld = set(analysis["missing"]["campaigns"])
    campaigns = pd.read_csv(tmp_path / "out" / "campaigns.csv")
    lifts = pd.read_csv(tmp_path / "out" / "lifts.csv")
    assert withheld
    assert withheld == set(campaigns["campaign_id"][campaigns["status"] == "incomplete"])
    own = lifts["campaign_id"].isin(withheld)
    assert lifts["effect_size"][own].isna().all()
    assert lifts["effect_size"][~own].notna().any()


def test_crash_ends_as_nothing_computed_with_an_incident_that_the_log_names():
    crashing = (
        "import core.__main__ as program\n"
        "def crash(file): raise ZeroDivisionError('row of ann@example.com')\n"
        "program._settings = crash\n"
        "import sys; sys.argv = ['core', 'check']; sys.exit(program.main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", crashing], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 2
    logged, said = done.stderr.splitlines()
    incident = json.loads(logged)["message"].removeprefix("Incident ")
    assert "ZeroDivisionError" in json.loads(logged)["exception"]
    assert incident in said
    assert "ann@" not in done.stderr
