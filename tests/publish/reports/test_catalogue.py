from __future__ import annotations

import io
import zipfile

import openpyxl

from core.publish.files import write_all
from core.publish.reports.catalogue import FOLDERS, items, offers, sheets, writers
from core.publish.tables import declared_csv
from core.publish.users import USERS, users_table
from tests.publish import examples
from tests.publish.reports.materials import METRIC, material


def _items(of, calls=None):
    def counts():
        if calls is not None:
            calls.append(1)
        return examples.window_counts()

    return items(of, analysis=lambda: {"schema_version": 1}, counts=counts)


def test_items_are_made_when_asked_for_alone():
    calls = []
    every = {one.name: one for one in _items(material(), calls)}
    assert calls == []
    content = every["users.csv"].build()
    assert content == declared_csv(USERS, users_table(examples.window_counts(), METRIC))
    every["users.csv"].build()
    assert calls == [1]


def test_items_have_a_folder_a_layer_and_a_file_a_campaign():
    of = material()
    names = [one.name for one in _items(of)]
    assert len(set(names)) == len(names)
    for folder in FOLDERS:
        below = {name.split("/")[1] for name in names if name.startswith(f"{folder}/")}
        assert {"layer-1", "layer-2", "layer-3"} <= below
    per_campaign = [name for name in names if "/c0" in name]
    assert len(per_campaign) == 2 * len(of.campaigns)


def test_items_of_a_bare_run_leave_out_what_was_not_drawn():
    names = {one.name for one in _items(material(bare=True))}
    assert "decisions.csv" not in names
    assert {"lifts.csv", "users.csv", "excluded.csv", "report.html", "pushlift.xlsx"} <= names
    assert {"decisions.csv", "quality_scores.csv"} <= {one.name for one in _items(material())}


def test_items_can_all_be_written(tmp_path):
    every = _items(material())
    write_all(tmp_path / "out", writers(every), folders=FOLDERS)
    written = {
        path.relative_to(tmp_path / "out").as_posix()
        for path in (tmp_path / "out").rglob("*")
        if path.is_file()
    }
    assert written == {one.name for one in every}
    assert all(one.mime.count("/") == 1 and one.holds and one.label for one in every)


def test_offers_zip_the_folders_and_everything():
    every = _items(material())
    offered = {one.name: one for one in offers(every)}
    single = {one.name for one in every if "/" not in one.name}
    reports = {f"strategic-reports/{name}.md" for name in (
        "executive-summary", "top-performers", "recommendations", "methodology")}  # fmt: skip
    zips = {f"{name}.zip" for name in FOLDERS} | {"pushlift.zip"}
    assert set(offered) == single | reports | zips
    with zipfile.ZipFile(io.BytesIO(offered["pushlift.zip"].build())) as archive:
        assert archive.namelist() == [one.name for one in every]
        by_name = {one.name: one for one in every}
        for name in ("lifts.csv", "strategic-reports/methodology.md"):
            assert archive.read(name) == by_name[name].build()
    with zipfile.ZipFile(io.BytesIO(offered["json-data.zip"].build())) as archive:
        assert "json-data/layer-1/layer.json" in archive.namelist()


def test_sheets_hold_every_table_in_an_order_a_reader_can_use():
    of = material()
    users = users_table(examples.window_counts(), METRIC)
    names = [one.name for one in sheets(of, users)]
    assert names[:6] == ["Campaigns", "Layers", "Lifts", "Contrasts", "Checks", "Users"]
    assert names[6:8] == ["Quality", "Quality advice"]
    assert {"Decisions", "Rankings", "Patterns"} < set(names)
    assert names[-1] == "Excluded"
    (excel,) = (one for one in _items(of) if one.name == "pushlift.xlsx")
    book = openpyxl.load_workbook(io.BytesIO(excel.build()))
    assert book.sheetnames == ["README", *names]
    found = list(book["Users"].values)
    assert [row[0] for row in found[1:]] == users["person_id"].tolist()
    assert [row[6] for row in found[1:]] == users["n_baseline"].tolist()
    assert book["Decisions"]["D2"].value == of.insight.decisions["why"].iloc[0]
