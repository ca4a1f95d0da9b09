"""What a run leaves behind, on a small world read from an export."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from pydantic import SecretStr

from core import frames, logs
from core.activity.source import Hole
from core.errors import DatabaseError
from core.health.frames import ALERTS, VERDICTS
from core.health.recorder import Recorder
from core.health.records import read_records, read_runs
from core.loading import Loaded
from core.measure.panel import Rules
from core.pipeline import Results, measure
from core.quality.frames import SCORES
from core.quality.ledger import mapped_share
from core.runs import Left, failed_record, leave, record_of, runs_folder, verdicts_of
from core.sections import Alerts, Cache
from core.settings import Settings
from tests.health.receiver import receiving
from tests.test_loading import loaded_from, world_with_triggers
from tests.worlds import AS_OF

RULES = Rules(min_recipients=5)
BEGAN = datetime(2026, 10, 1, 0, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    return loaded_from(world_with_triggers().write(tmp_path_factory.mktemp("runs")))


@pytest.fixture(scope="module")
def results(loaded: Loaded) -> Results:
    return measure(loaded, RULES)


@pytest.fixture
def settings(loaded: Loaded, tmp_path: Path) -> Settings:
    return loaded.wiring.settings.model_copy(update={"cache": Cache(dir=tmp_path / "cache")})


def recorder(began: datetime = BEGAN) -> Recorder:
    ticks = iter(range(1000))
    made = Recorder("watch", now=lambda: began, clock=lambda: float(next(ticks)))
    made("Reading pushes", 0, 1)
    made("Measuring", 0, 1)
    return made


def scores(combined: float | None) -> pd.DataFrame:
    rows = [
        ("all", "all", "combined", "total", combined),
        ("layer", "1", "combined", "total", 0.5),
        ("all", "all", "database", "mapping", 0.9),
        ("campaign", "c1", "combined", "total", 1.0),
    ]
    frame = pd.DataFrame(rows, columns=["level", "of", "side", "part", "score"])
    frame = frame.assign(weight=1.0, threshold=0.95, n=1, n_of=1, inputs="i", status="ok")
    texts = ["level", "of", "side", "part", "inputs", "status"]
    return SCORES.checked(frame.astype({**dict.fromkeys(texts, "str"), "score": "float64"}))


def left_by(settings: Settings, loaded: Loaded, results: Results, began: datetime = BEGAN) -> Left:
    made = record_of(recorder(began), loaded, results, scores=scores(0.97))
    return leave(
        made, settings, campaigns=results.campaigns, scores=scores(0.97),
        verdicts=verdicts_of(loaded, results), sleep=lambda _: None,
    )  # fmt: skip


def test_record_of_a_run_says_what_it_came_to(loaded: Loaded, results: Results) -> None:
    found = record_of(recorder(), loaded, results, scores=scores(0.97))
    assert (found.what, found.status, found.started_at) == ("watch", "done", BEGAN)
    assert (found.since, found.until, found.as_of) == (
        loaded.span.since, loaded.span.until, AS_OF,
    )  # fmt: skip
    assert found.n_campaigns == len(results.campaigns) == sum(found.campaigns_by_status.values())
    assert found.mapped_share == pytest.approx(mapped_share(results.campaigns))
    assert found.newest_event_at == datetime.fromtimestamp(
        int(loaded.timelines.instants.max()) / 1000, UTC
    )
    assert [one.name for one in found.steps] == ["Reading pushes", "Measuring"]
    assert found.reading_seconds == loaded.seconds
    assert (found.quality, len(found.scores)) == (0.97, 2)
    assert found.settings is not None
    assert (found.settings.min_recipients, found.settings.primary_metric) == (5, "trades")
    assert found.peak_mb is not None
    assert found.peak_mb > 50


def test_record_of_a_run_has_the_headlines_of_layers_and_campaigns(
    loaded: Loaded, results: Results
) -> None:
    found = record_of(recorder(), loaded, results)
    lifts = results.lifts[results.lifts["headline"] & (results.lifts["metric"] == "trades")]
    kept = {one.of: one for one in found.headlines if one.level == "campaign"}
    assert set(kept) == set(lifts["campaign_id"])
    ok = lifts[lifts["rel_effect_size"].notna()]
    assert len(ok)
    for _, lift in ok.iterrows():
        one = kept[lift["campaign_id"]]
        assert one.rel_effect_size == lift["rel_effect_size"]
        assert one.effect_size_ci_low == lift["effect_size_ci_low"]
    layers = results.layers
    pooled = layers[(layers["method"] == "headline") & (layers["metric"] == "trades")]
    assert {one.of for one in found.headlines if one.level == "layer"} == set(pooled["layer"])
    status = results.campaigns.set_index("campaign_id")["status"]
    assert all(one.status == status[name] for name, one in kept.items())


def test_record_holds_no_secret_and_no_person(loaded: Loaded, results: Results) -> None:
    wiring = loaded.wiring
    secret = wiring.settings.model_copy(
        update={"alerts": Alerts(webhook=SecretStr("https://hooks.example/canary"))}
    )
    found = record_of(recorder(), replace(loaded, wiring=replace(wiring, settings=secret)), results)
    text = str(found)
    assert "canary" not in text
    assert "@" not in text
    assert not any(person in text for person in loaded.person_ids[:50])


def test_record_of_part_of_the_data_is_partial(loaded: Loaded) -> None:
    end = loaded.span.as_of_ms
    torn = replace(loaded, holes=(Hole(start=end - 86_400_000, end=end, why="It broke."),))
    assert record_of(recorder(), torn, measure(torn, RULES)).status == "partial"


def test_verdicts_of_a_run_are_one_a_campaign(loaded: Loaded, results: Results) -> None:
    found = verdicts_of(loaded, results)
    pd.testing.assert_frame_equal(found, VERDICTS.checked(found))
    assert found["campaign_id"].tolist() == results.campaigns["campaign_id"].tolist()
    status = results.campaigns["status"]
    assert (found["word"][status == "window_open"] == "too early").all()
    assert (status == "window_open").any()


def test_failed_record_keeps_our_words_but_no_others(settings: Settings) -> None:
    ours = failed_record(recorder(), settings, DatabaseError("The database is away. Start it."))
    assert (ours.status, ours.error) == ("failed", "The database is away. Start it.")
    other = failed_record(recorder(), settings, KeyError("ann@example.com of row 7"))
    assert "KeyError" in str(other.error)
    assert "ann" not in str(other)


def test_leave_keeps_the_record_where_runs_are_kept(
    settings: Settings, loaded: Loaded, results: Results
) -> None:
    left = left_by(settings, loaded, results)
    assert left.notices == ()
    table, notices = read_runs(runs_folder(settings))
    assert (len(table), notices) == (1, ())
    assert read_records(runs_folder(settings))[0] == [left.record]
    assert [one.kind for one in left.record.alerts] == left.alerts["kind"].tolist()
    pd.testing.assert_frame_equal(left.alerts, ALERTS.checked(left.alerts))


def with_alerts(settings: Settings, **changed: object) -> Settings:
    return settings.model_copy(update={"alerts": Alerts(**changed)})


def test_leave_tells_the_webhook_once(settings: Settings, loaded: Loaded, results: Results) -> None:
    with receiving() as receiver:
        hooked = with_alerts(settings, webhook=receiver.url, mapped_share=1.0)
        first = left_by(hooked, loaded, results)
        assert "mapping" in {one.kind for one in first.record.alerts}
        assert all(one.is_told for one in first.record.alerts)
        second = left_by(hooked, loaded, results, BEGAN + timedelta(hours=6))
        assert [one.kind for one in second.record.alerts] == [
            one.kind for one in first.record.alerts
        ]
    [(_, _, content)] = receiver.got
    assert "were found in PostHog" in json.loads(content)["text"]


def test_leave_tells_the_webhook_next_time_where_it_could_not(
    settings: Settings, loaded: Loaded, results: Results
) -> None:
    with receiving(404) as receiver:
        hooked = with_alerts(settings, webhook=receiver.url, mapped_share=1.0)
        first = left_by(hooked, loaded, results)
        assert not any(one.is_told for one in first.record.alerts)
        assert "was not told" in first.notices[0]
        second = left_by(hooked, loaded, results, BEGAN + timedelta(hours=6))
        assert all(one.is_told for one in second.record.alerts)
        assert len(receiver.got) == 2


def test_leave_tells_of_a_window_that_closed_since(
    settings: Settings, loaded: Loaded, results: Results
) -> None:
    table = results.campaigns
    closed = table[table["window_complete"]]
    last = closed.loc[closed["window_closes_at"].idxmax()]
    before = last["window_closes_at"].to_pydatetime() - timedelta(hours=1)
    earlier = replace(loaded, span=replace(loaded.span, as_of=before))
    left_by(settings, earlier, results)
    left = left_by(settings, loaded, results, BEGAN + timedelta(hours=6))
    told = left.alerts[left.alerts["kind"] == "window_closed"]
    assert told["about"].tolist() == [last["campaign_id"]]
    again = left_by(settings, loaded, results, BEGAN + timedelta(hours=12))
    assert "window_closed" not in set(again.alerts["kind"])


def test_leave_of_a_failed_run_is_an_alert(settings: Settings) -> None:
    made = failed_record(recorder(), settings, DatabaseError("The database is away."))
    left = leave(made, settings)
    assert left.alerts["kind"].tolist() == ["failed"]
    assert read_records(runs_folder(settings))[0] == [left.record]


def test_leave_logs_alerts_without_words(
    settings: Settings, loaded: Loaded, results: Results, caplog: pytest.LogCaptureFixture
) -> None:
    logs.configure(settings)
    with caplog.at_level(logging.INFO):
        left_by(with_alerts(settings, mapped_share=1.0), loaded, results)
    alerts = [one for one in caplog.records if one.getMessage() == "Alert"]
    assert len(alerts) >= 1
    assert {one.fields["kind"] for one in alerts} >= {"mapping"}
    assert not any("Lowest" in str(vars(one)) for one in alerts)


def test_leave_that_can_keep_nothing_is_a_notice(
    settings: Settings, loaded: Loaded, results: Results
) -> None:
    settings.cache.dir.parent.mkdir(exist_ok=True)
    settings.cache.dir.write_text("a file in the way")
    left = left_by(settings, loaded, results)
    assert any("could not be kept" in notice for notice in left.notices)


def test_leave_compares_only_runs_of_the_same_database(
    settings: Settings, loaded: Loaded, results: Results
) -> None:
    with receiving() as receiver:
        hooked = with_alerts(settings, webhook=receiver.url, mapped_share=1.0)
        for hours, database in ((0, "one"), (6, "another"), (12, "one")):
            made = record_of(recorder(BEGAN + timedelta(hours=hours)), loaded, results)
            leave(replace(made, database=database), hooked, campaigns=results.campaigns)
        assert len(receiver.got) == 2


def test_leave_of_a_run_without_campaigns_reads_the_declared_tables(settings: Settings) -> None:
    made = failed_record(recorder(), settings, DatabaseError("Away."))
    left = leave(made, settings, campaigns=frames.CAMPAIGNS.empty(), scores=SCORES.empty())
    assert len(left.alerts) == 1
