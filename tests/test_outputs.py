"""What a run leaves behind, held against window_counts.parquet and against the pages' formats."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from datetime import date

import jsonschema
import numpy as np
import openpyxl
import pandas as pd
import pytest

from core import outputs
from core.activity.source import silent
from core.connect import wire
from core.loading import load
from core.measure.panel import Rules
from core.pipeline import measure
from core.publish import formats, words
from core.publish.files import write_all
from core.publish.reports.catalogue import offers
from core.publish.reports.material import stems
from core.publish.reports.schemas import FOLDER
from core.settings import read_settings
from core.span import span_of
from tests.worlds import AS_OF, METRICS, random_world

RULES = Rules(min_recipients=5)
PRIMARY = next(iter(METRICS))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    settings = random_world(2).write(tmp_path_factory.mktemp("world"))
    wiring = wire(read_settings(settings), silent, clock=lambda: AS_OF)
    span = span_of(since=date(2026, 8, 2), until=None, as_of=AS_OF, timezone="UTC")
    loaded = load(wiring, span, RULES.lengths)
    return loaded, measure(loaded, RULES)


@pytest.fixture(scope="module")
def out(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("files") / "out"
    write_all(folder, outputs.files(*run), folders=outputs.FOLDERS)
    return folder


@pytest.fixture(scope="module")
def counts(out):
    return pd.read_parquet(out / "window_counts.parquet").astype(
        dict.fromkeys(["campaign_id", "person_id", "metric"], "str")
    )


def _rates(rows):
    """Return the classic rates and effect of some pushes, from their counts alone."""
    base = rows["n_baseline_aligned"] / rows["baseline_aligned_days"].where(
        rows["baseline_aligned_days"] > 0
    )
    post = rows["n_post"] / (rows["post_hours"] / 24)
    used = (rows["baseline_aligned_days"] > 0) & (rows["post_hours"] >= 1)
    return base[used].mean(), post[used].mean(), int(used.sum())


def _lifts(out):
    return pd.read_csv(out / "lifts.csv", dtype={"campaign_id": str, "layer": str})


def _classic(out):
    frame = _lifts(out)
    return frame[(frame["method"] == "classic") & frame["effect_size"].notna()]


def test_lifts_csv_classic_rows_follow_from_the_counts(out, counts):
    rows = _classic(out)
    assert len(rows) > 10
    for _, row in rows.iterrows():
        own = (counts["campaign_id"] == row["campaign_id"]) & (counts["metric"] == row["metric"])
        base, post, n = _rates(counts[own])
        assert n == row["n_users"]
        assert base == pytest.approx(row["baseline_rate"], rel=1e-9)
        assert post == pytest.approx(row["post_rate"], rel=1e-9)
        assert post - base == pytest.approx(row["effect_size"], rel=1e-9, abs=1e-12)
        assert post / base - 1 == pytest.approx(row["rel_effect_size"], rel=1e-7)


def test_every_table_file_holds_the_numbers_of_lifts_csv(out):
    expected = _lifts(out).set_index(["campaign_id", "metric", "method"])["effect_size"]
    sheet = openpyxl.load_workbook(out / "pushlift.xlsx", read_only=True)["Lifts"]
    header, *rows = sheet.values
    excel = pd.DataFrame(rows, columns=header)
    analysis = json.loads((out / "analysis.json").read_bytes())
    per_campaign = [
        row
        for path in (out / "json-data").rglob("*.json")
        if path.name != "layer.json"
        for row in json.loads(path.read_bytes())["lifts"]
    ]
    for found in (excel, pd.DataFrame(analysis["lifts"]), pd.DataFrame(per_campaign)):
        found = found.set_index(["campaign_id", "metric", "method"])["effect_size"]
        values = found.reindex(expected.index).to_numpy(dtype=float)
        assert len(found) == len(expected)
        np.testing.assert_allclose(values, expected.to_numpy(), rtol=1e-12)


def test_markdown_and_html_show_what_the_pages_show(run, out, counts):
    _, results = run
    names = stems(list(results.campaigns["campaign_id"]))
    page = (out / "report.html").read_text()
    n_shown = 0
    for _, row in _classic(out).iterrows():
        if row["metric"] != PRIMARY:
            continue
        own = (counts["campaign_id"] == row["campaign_id"]) & (counts["metric"] == PRIMARY)
        base, post, _ = _rates(counts[own])
        (path,) = (out / "markdown-summaries").rglob(f"{names[row['campaign_id']]}.md")
        said = path.read_text().replace("\u2060", "")
        lifts = results.lifts[results.lifts["campaign_id"] == row["campaign_id"]]
        shown = lifts[(lifts["metric"] == PRIMARY) & (lifts["method"] == "classic")].iloc[0]
        assert words.effect(shown) in said
        ends = shown["rel_effect_size_ci_low"], shown["rel_effect_size_ci_high"]
        assert words.effect(shown) == formats.percent(post / base - 1, ends)
        n_shown += 1
        head = lifts[lifts["headline"] & (lifts["metric"] == PRIMARY)].iloc[0]
        if head["method"] == "classic":
            assert f"{formats.rate(post)} events per user per day after" in said
        assert f">{words.effect(head)}</td>" in page.replace("&#39;", "'")
    assert n_shown > 3


def test_users_csv_and_sheet_follow_from_the_counts(out, counts):
    rows = counts[counts["metric"] == PRIMARY]
    expected = rows.groupby("person_id")[["n_baseline", "n_post", "baseline_days"]].sum()
    users = pd.read_csv(out / "users.csv", dtype={"person_id": str}).set_index("person_id")
    assert list(users.index) == list(expected.index)
    assert (users["n_pushes"] == rows.groupby("person_id").size()).all()
    assert (users["n_baseline"] == expected["n_baseline"]).all()
    assert (users["n_post"] == expected["n_post"]).all()
    np.testing.assert_allclose(users["baseline_days"], expected["baseline_days"], rtol=1e-12)
    sheet = openpyxl.load_workbook(out / "pushlift.xlsx", read_only=True)["Users"]
    header, *cells = sheet.values
    found = pd.DataFrame(cells, columns=header).set_index("person_id")
    assert found["n_post"].tolist() == users["n_post"].tolist()
    first = pd.to_datetime(found["first_delivered_at (UTC)"]).dt.round("ms")
    assert (
        first.tolist()
        == rows.groupby("person_id")["delivered_at"].min().dt.tz_localize(None).tolist()
    )


def test_campaigns_measured_and_left_out_add_up(run, out, counts):
    _, results = run
    campaigns, rows = results.campaigns, counts[counts["metric"] == PRIMARY]
    measured = rows.groupby("campaign_id").size()
    expected = campaigns.set_index("campaign_id")["n_measured"]
    assert measured.reindex(expected.index, fill_value=0).tolist() == expected.tolist()
    excluded = pd.read_csv(out / "excluded.csv", dtype={"campaign_id": str, "layer": str})
    n = excluded[excluded["what"] != "campaign"].groupby("step")["n"].sum()
    totals = campaigns.select_dtypes("integer").sum()
    assert totals["n_sent"] == totals["n_delivered"] + n["failed"] + n.get("not_delivered", 0)
    recipients = totals["n_delivered"] - n["duplicates"]
    assert recipients == totals["n_measured"] + n["unmapped"] + n.get("same_person", 0)
    left = excluded[excluded["what"] == "campaign"]
    assert set(left["campaign_id"]) == set(campaigns["campaign_id"][campaigns["status"] != "ok"])


def test_json_files_are_as_their_schemas_say(out):
    checks = {
        name: jsonschema.Draft202012Validator(
            json.loads((FOLDER / f"{name}.schema.json").read_bytes())
        )
        for name in ("analysis", "campaign", "layer")
    }
    checks["analysis"].validate(json.loads((out / "analysis.json").read_bytes()))
    found = list((out / "json-data").rglob("*.json"))
    assert len(found) > 9
    for path in found:
        kind = "layer" if path.name == "layer.json" else "campaign"
        checks[kind].validate(json.loads(path.read_bytes()))


def test_links_between_markdown_files_lead_somewhere(out):

    found = 0
    for path in out.rglob("*.md"):
        for target in re.findall(r"(?<!\\)\]\(([^)]+)\)", path.read_text()):
            assert (path.parent / target).resolve().is_file(), (path.name, target)
            found += 1
    assert found >= 18


def test_csv_files_have_no_formula(out):
    for path in out.glob("*.csv"):
        for row in csv.reader(io.StringIO(path.read_text(), newline="")):
            for cell in row:
                assert not cell.startswith(("=", "@", "\t")), (path.name, cell)


def test_files_of_a_later_run_replace_the_folders(run, tmp_path):
    stale = tmp_path / "json-data" / "layer-9" / "old.json"
    stale.parent.mkdir(parents=True)
    stale.write_text("{}")
    (tmp_path / "mine.txt").write_text("mine")
    every = outputs.files(*run)
    some = {name: every[name] for name in every if "json" in name}
    write_all(tmp_path, some, folders=outputs.FOLDERS)
    assert not stale.exists()
    assert (tmp_path / "mine.txt").read_text() == "mine"
    assert (tmp_path / "json-data" / "layer-1" / "layer.json").is_file()


def test_bundle_is_what_the_folder_is_to_the_last_byte(run, out, tmp_path):
    outputs.bundle(tmp_path / "all.zip", *run)
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        assert len(archive.namelist()) == sum(path.is_file() for path in out.rglob("*"))
        differ = [n for n in archive.namelist() if archive.read(n) != (out / n).read_bytes()]
    assert differ == []


def test_items_of_some_campaigns_count_those_alone(run):
    loaded, results = run
    ids = results.campaigns["campaign_id"].iloc[[0, 3]]
    part = measure(loaded, RULES, campaign_ids=pd.Index(ids))

    class Shown:
        campaigns, lifts, layers = part.campaigns, part.lifts, part.layers
        contrasts, checks = part.contrasts, part.checks

    every = {one.name: one for one in outputs.items(loaded, Shown(), RULES, layers=("1", "2"))}
    counts = pd.read_parquet(io.BytesIO(every["window_counts.parquet"].build()))
    assert set(counts["campaign_id"]) == set(ids)
    said = json.loads(every["analysis.json"].build())
    assert said["settings"]["layers"] == ["1", "2"]
    assert {one["campaign_id"] for one in said["campaigns"]} == set(ids)
    users = pd.read_csv(io.BytesIO(every["users.csv"].build()))
    assert users["n_pushes"].sum() == part.campaigns["n_measured"].sum()
    names = {one.name for one in offers(list(every.values()))}
    assert {"report.html", "pushlift.zip", "users.csv", "json-data.zip"} <= names


def test_files_hold_no_address_where_ids_are_addresses(run, tmp_path):
    loaded, results = run
    pushes = loaded.pushes
    ids = pushes["person_id"].iloc[0]
    renamed = pushes["person_id"].where(pushes["person_id"] != ids, "someone@example.test")
    with_address = {**{name: getattr(loaded, name) for name in loaded.__dataclass_fields__}}
    with_address["pushes"] = pushes.assign(person_id=renamed.astype("str"))
    files = outputs.files(type(loaded)(**with_address), results)
    for name in ("users.csv", "window_counts.parquet", "pushlift.xlsx"):
        files[name](tmp_path / name)
    assert b"someone@example.test" not in (tmp_path / "users.csv").read_bytes()
    assert "h_" in (tmp_path / "users.csv").read_text()
    people = pd.read_parquet(tmp_path / "window_counts.parquet")["person_id"].unique()
    assert not [one for one in people if "@" in one]
    sheet = openpyxl.load_workbook(tmp_path / "pushlift.xlsx", read_only=True)["Users"]
    assert not [row[0] for row in sheet.values if "@" in str(row[0])]
