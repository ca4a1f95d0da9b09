"""What the pages show as rows and figures, on a measured marketplace."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from core.frames import CAMPAIGNS, LAYER_LIFTS, LIFTS
from core.measure.estimates import ORDER
from core.measure.panel import Rules
from core.publish import formats, words
from pages.parts import ledgers, measured, numbers, pools, tables
from pages.parts.choices import Method, choices_of, period_of
from pages.parts.measured import Measured
from tests.pages.conftest import Expected

METRIC = "confirmed_trades"


def judged(
    expected: Expected, part: Measured | None = None, method: Method = "headline"
) -> pd.DataFrame:
    shown = part or expected.results
    return tables.judged(
        shown.campaigns,
        shown.lifts,
        METRIC,
        as_of=pd.Timestamp(expected.loaded.span.as_of),
        min_recipients=30,
        zone=expected.zone,
        method=method,
    )


def pooled(expected: Expected, method: Method = "headline", *, is_whole: bool = True):
    return pools.pooled_layers(expected.results.layers, METRIC, method=method, is_whole=is_whole)


def narrowed(expected: Expected, layers: tuple[str, ...]) -> Measured:
    campaigns = expected.results.campaigns
    ids = pd.Index(campaigns["campaign_id"][campaigns["layer"].isin(layers)])
    part = measured.measure(expected.read, Rules(), ids, key="part")
    return measured.narrowed(expected.results, part, layers)


def test_judged_is_one_row_a_campaign_with_its_verdict(expected: Expected) -> None:
    rows = judged(expected)
    assert rows["campaign_id"].tolist() == expected.results.campaigns["campaign_id"].tolist()
    assert rows["label"].is_unique
    lift = expected.lift("drop-08", METRIC)
    campaign = expected.results.campaigns.set_index("campaign_id").loc["drop-08"]
    said = words.verdict(lift, campaign, as_of=expected.loaded.span.as_of)
    row = rows.set_index("campaign_id").loc["drop-08"]
    assert (row["verdict"], row["sentence"], row["tone"]) == (said.word, said.sentence, said.tone)
    is_open = ~rows["window_complete"]
    assert set(rows.loc[is_open & rows["qualifies"], "verdict"]) == {"too early"}


def test_standing_out_has_nobody_twice_and_no_open_window(expected: Expected) -> None:
    rows = judged(expected)
    top, bottom = tables.standing_out(rows)
    both = pd.concat([top, bottom])
    assert len(both) == 10
    assert both["campaign_id"].is_unique
    assert both["window_complete"].all()
    assert set(both["evidence"]) <= set("ABC")
    rest = rows[rows["rank"].notna()].drop(both.index)
    assert top["rank"].max() <= rest["rank"].min()
    assert bottom["rank"].min() >= rest["rank"].max()


def test_standing_out_of_plain_before_and_after_goes_by_the_nearer_end(expected: Expected) -> None:
    rows = judged(expected, method="classic")
    top, bottom = tables.standing_out(rows)
    rest = rows[rows["window_complete"] & rows["qualifies"]].drop([*top.index, *bottom.index])
    assert top["rel_effect_size_ci_low"].min() >= rest["rel_effect_size_ci_low"].max()
    assert bottom["rel_effect_size_ci_high"].max() <= rest["rel_effect_size_ci_high"].min()
    assert "Rank" not in tables.standing_table(top, expected.zone)


def test_standing_table_shows_best_guess_rank_and_chance_of_the_top(expected: Expected) -> None:
    top, _ = tables.standing_out(judged(expected))
    table, first = tables.standing_table(top, expected.zone), top.iloc[0]
    assert table["Best guess"].iloc[0] == first["shrunk_rel_effect_size"]
    assert table["In top ten"].iloc[0] == first["p_top10"]
    ends = (first["rank_low"], first["rank_high"])
    said = f"{formats.count(first['rank'])} {formats.interval(ends, decimals=0)}"
    assert table["Rank"].iloc[0] == said
    assert table["Evidence"].iloc[0] == words.basis(first)


def test_judged_by_plain_before_and_after_never_says_what_a_push_did(expected: Expected) -> None:
    rows = judged(expected, method="classic")
    assert set(rows["method"]) == {"classic"}
    said = {"higher after", "lower after", "no clear change", "too early", "too few", "can't tell"}
    assert set(rows["verdict"]) <= said
    known = rows[rows["tone"] != "missing"]
    assert known["sentence"].str.contains("associated with the push").all()


def test_standing_out_of_few_does_not_repeat_them(expected: Expected) -> None:
    rows = judged(expected)
    for few in (rows[rows["rank"].notna()].head(3), judged(expected, method="classic").head(3)):
        top, bottom = tables.standing_out(few)
        assert (len(top), len(bottom)) == (3, 0)


def test_narrowed_keeps_single_numbers_and_sums_over_the_part(expected: Expected) -> None:
    part = narrowed(expected, ("1", "2"))
    for table, frame in ((CAMPAIGNS, part.campaigns), (LIFTS, part.lifts)):
        table.checked(frame)
    LAYER_LIFTS.checked(part.layers)
    whole = expected.results.lifts
    pd.testing.assert_frame_equal(
        part.lifts, whole[whole["layer"].isin(["1", "2"])].reset_index(drop=True)
    )
    assert set(part.layers["layer"]) == {"1", "2", "all"}
    heads = part.layers[part.layers["method"] == "headline"]
    every = heads[heads["layer"] == "all"].set_index("metric")
    single = heads[heads["layer"] != "all"].groupby("metric")
    assert every["n_pushes"].to_dict() == single["n_pushes"].sum().to_dict()
    clear = part.lifts[part.lifts["headline"] & (part.lifts["qvalue"] <= 0.05)]
    above = clear[clear["effect_size"] > 0]["metric"].value_counts()
    assert every["n_above"].to_dict() == {m: int(above.get(m, 0)) for m in every.index}
    assert set(zip(part.contrasts["layer"], part.contrasts["other_layer"], strict=True)) == {
        ("1", "2")
    }
    assert set(part.checks["layer"]) <= {"1", "2"}


def test_pooled_layers_are_in_order_and_named(expected: Expected) -> None:
    rows = pooled(expected)
    assert rows["layer"].tolist() == ["1", "2", "3", "all"]
    assert rows["label"].iloc[-1] == "All layers"
    assert set(rows["method"]) == {"headline"}
    assert pooled(expected, is_whole=False)["label"].iloc[-1] == "The chosen layers"
    assert set(pooled(expected, "classic")["method"]) == {"classic"}


def test_layer_table_says_the_next_campaign_and_extra_events_a_week(expected: Expected) -> None:
    rows = pooled(expected)
    table = pools.layer_table(rows, judged(expected), weeks=8.0)
    last = rows.iloc[-1]
    ends = (100 * last["prediction_low"], 100 * last["prediction_high"])
    assert table["Next campaign may land"].iloc[-1] == f"{formats.interval(ends, decimals=0)} %"
    weekly = formats.count(last["incremental_events"] / 8)
    assert table["Extra events a week"].iloc[-1].removeprefix("+").startswith(weekly)
    assert table["Evidence"].tolist() == [words.basis(row) for _, row in rows.iterrows()]


def test_contrast_table_has_every_pair_of_the_metric(expected: Expected) -> None:
    table = pools.contrast_table(expected.results.contrasts, METRIC)
    assert table["Layers"].tolist() == [
        "Layer 1 less layer 2", "Layer 1 less layer 3", "Layer 2 less layer 3",
    ]  # fmt: skip
    assert table.iloc[:, 1].str.contains(" pp ").all()


def test_method_table_has_all_six_and_says_why_one_is_missing(expected: Expected) -> None:
    lifts = expected.results.lifts.query("campaign_id == 'drop-08'")
    table = tables.method_table(lifts, METRIC)
    assert table["Method"].tolist() == [words.method(name) for name in ORDER]
    by_method = table.set_index("Method")
    row = by_method.loc[words.method("self_control")]
    assert (np.isnan(row["Lift"]), row["Note"]) == (True, formats.reason("not_triggered"))
    head = expected.lift("drop-08", METRIC)
    assert "the headline" in by_method.loc[words.method(head["method"]), "Note"]


def test_check_table_reads_as_the_checks(expected: Expected) -> None:
    checks = expected.results.checks
    table = ledgers.check_table(checks)
    assert sorted(table["False alarms"]) == sorted(checks["false_positive_share"])
    widened = table["Result"].str.contains("widened")
    assert widened.tolist() == table["Widened x"].gt(1).tolist()


def test_weeks_by_best_evidence_add_up_to_the_pool(expected: Expected) -> None:
    found = tables.weeks(expected.results.weeks, METRIC, expected.zone, "headline")
    row = expected.pooled("all", METRIC)
    assert found["n_campaigns"].sum() == row["n_campaigns"]
    assert found["week"].dt.day_of_week.eq(0).all()
    plain = tables.weeks(expected.results.weeks, METRIC, expected.zone, "classic")
    assert set(plain["week"]) >= set(found["week"])
    one = measured.measure(expected.read, Rules(), pd.Index(["drop-08"]), key="one")
    alone = tables.weeks(one.weeks, METRIC, expected.zone, "headline").iloc[0]
    lift = expected.lift("drop-08", METRIC)
    for name in ("effect_size", "rel_effect_size"):
        assert alone[name] == pytest.approx(lift[name], rel=1e-5)


def test_alone_holds_one_campaign_as_among_the_others(expected: Expected) -> None:
    part = measured.alone(expected.results, "drop-08")
    LIFTS.checked(part.lifts)
    assert set(part.lifts["campaign_id"]) == {"drop-08"}
    assert len(part.lifts) == len(ORDER) * expected.results.lifts["metric"].nunique()
    lift = part.lifts[part.lifts["headline"] & (part.lifts["metric"] == METRIC)].iloc[0]
    assert lift["qvalue"] == expected.lift("drop-08", METRIC)["qvalue"]


def test_campaign_table_reads_as_the_rows(expected: Expected) -> None:
    rows = judged(expected)
    table = tables.campaign_table(rows, expected.zone)
    assert table["Lift"].tolist() == pytest.approx(rows["rel_effect_size"].tolist(), nan_ok=True)
    row = rows.iloc[3]
    ends = (100 * row["rel_effect_size_ci_low"], 100 * row["rel_effect_size_ci_high"])
    assert table["95 % interval"].iloc[3] == formats.interval(ends, decimals=1)
    assert table["Sent"].iloc[3] == formats.instant(row["first_delivered_at"], expected.zone)[:16]


def test_interval_without_a_number_says_why(expected: Expected) -> None:
    row = judged(expected).iloc[0].copy()
    row["rel_effect_size"], row["lift_status"] = np.nan, "too_few_users"
    assert tables.interval(row) == "— too few users"


@pytest.mark.parametrize("order", [*tables.ORDERS, "nonsense"])
def test_grouped_sorts_within_layers(expected: Expected, order: str) -> None:
    rows = tables.grouped(judged(expected), order)
    assert rows["layer"].is_monotonic_increasing
    column = {"highest effect": "rel_effect_size", "newest": "first_delivered_at"}
    for _, part in rows.groupby("layer"):
        ranked = part if order == "newest" else part[part["tone"] != "missing"]
        values = ranked[column.get(order, "rel_effect_size_ci_low")].dropna()
        assert values.is_monotonic_decreasing
        assert ranked.index.tolist() == part.index[: len(ranked)].tolist()
    assert rows["label"].str.match(r"L[123] ").all()


def test_ledger_tables_add_up(expected: Expected) -> None:
    campaigns = expected.results.campaigns
    by_layer = ledgers.ledger_by_layer(campaigns).set_index("Step")
    parts = by_layer.drop(columns="All").sum(axis=1)
    assert parts.tolist() == by_layer["All"].tolist()
    ledger = ledgers.ledger_table(campaigns).set_index("Step")
    assert ledger["n"].to_dict() == by_layer["All"].to_dict()
    steps = ledgers.ledger_steps(campaigns)
    assert steps["n"].is_monotonic_decreasing
    assert steps["n"].iloc[-1] == campaigns["n_measured"].sum()


def test_not_measured_lists_exactly_those_without_a_verdict(expected: Expected) -> None:
    rows = judged(expected)
    left_out = ledgers.not_measured(rows, expected.zone)
    assert len(left_out) == rows["tone"].eq("missing").sum() > 0
    assert left_out["Why"].str.len().gt(10).all()


def test_overview_numbers_compare_only_where_there_is_something_to_compare(
    expected: Expected,
) -> None:
    now, rows = expected.results, judged(expected)
    row = expected.pooled("all", METRIC)
    alone = numbers.overview(
        now, rows, row, before=None, before_rows=None, days="the 60 days before"
    )
    assert [card.beside for card in alone[:3]] == ["", "", ""]
    less = narrowed(expected, ("3",))
    both = numbers.overview(
        now,
        rows,
        row,
        before=less,
        before_rows=judged(expected, less),
        days="the 60 days before",
    )
    more = len(now.campaigns) - len(less.campaigns)
    assert (both[0].beside, both[0].note) == (f"+{more}", "to the 60 days before")
    ends = (row["incremental_events_ci_low"], row["incremental_events_ci_high"])
    assert both[3].beside == formats.interval(ends, decimals=0)


def test_campaign_numbers_of_an_open_window_do_not_count_extra_events(expected: Expected) -> None:
    rows = judged(expected)
    still_open = rows[~rows["window_complete"] & rows["qualifies"]].iloc[0]
    cards = {card.label: card for card in numbers.campaign(still_open, post_hours=48)}
    extra = cards["Extra confirmed trades in 48 h"]
    assert (extra.value, extra.beside) == ("—", "window still open")


def test_campaign_numbers_scale_the_effect_to_users_and_days(expected: Expected) -> None:
    row = judged(expected).set_index("campaign_id").loc["drop-08"]
    cards = {card.label: card for card in numbers.campaign(row, post_hours=48)}
    extra = row["effect_size"] * row["n_measured"] * 2
    assert cards["Extra confirmed trades in 48 h"].value == f"+{formats.count(extra)}"


def test_ids_in_takes_whole_campaigns_by_their_first_delivery(expected: Expected) -> None:
    loaded, settings = expected.loaded, expected.loaded.wiring.settings
    choices = choices_of({"period": "30 days", "layers": ["1"]}, settings)
    period = period_of(choices, as_of=loaded.span.as_of, timezone=expected.zone)
    ids = measured.ids_in(loaded, period, choices.layers)
    campaigns = loaded.campaigns.set_index("campaign_id").loc[ids]
    assert len(campaigns) > 0
    assert set(campaigns["layer"]) == {"1"}
    assert campaigns["first_delivered_at"].min() >= period.since
    before = measured.ids_in(loaded, period.before(), choices.layers)
    assert not set(before) & set(ids)
    layer = loaded.campaigns["campaign_id"][loaded.campaigns["layer"] == "1"]
    assert set(before) | set(ids) == set(layer)


def test_ids_in_shows_a_campaign_without_delivery_where_everything_is_shown(
    expected: Expected,
) -> None:
    loaded, settings = expected.loaded, expected.loaded.wiring.settings
    campaigns = loaded.campaigns.copy()
    campaigns.loc[0, ["first_delivered_at", "last_delivered_at"]] = pd.NaT
    changed = expected.with_campaigns(campaigns)
    everything = period_of(
        choices_of({}, settings), as_of=loaded.span.as_of, timezone=expected.zone
    )
    some = period_of(
        choices_of({"period": "30 days"}, settings),
        as_of=loaded.span.as_of,
        timezone=expected.zone,
    )
    first = campaigns["campaign_id"].iloc[0]
    layers = tuple(campaigns["layer"].unique())
    assert first in measured.ids_in(changed, everything, layers)
    assert first not in measured.ids_in(changed, some, layers)


def test_measure_of_no_campaigns_is_empty(expected: Expected) -> None:
    nothing = measured.measure(expected.read, Rules(), pd.Index([], dtype="str"), key="none")
    assert (len(nothing.campaigns), len(nothing.lifts), nothing.n_people) == (0, 0, 0)


def test_around_adds_up_to_the_window_counts(expected: Expected) -> None:
    bins = measured.around(expected.read, Rules(), "drop-08", METRIC, bin_hours=24)
    lift = expected.lift("drop-08", METRIC, "classic")
    after = bins[bins["offset"] >= 0]
    assert bins["offset"].tolist() == list(range(-7, 2))
    assert after["n_events"].sum() == lift["n_events_post"]
    assert set(after["n_users"]) == {lift["n_users"]}
