"""What a page shows as rows: results joined, judged, named and sorted. Knows no Streamlit."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from core.frames import LAYERS
from core.measure.pooling import ALL
from core.publish import formats, words
from core.publish.words import Verdict
from core.settings import Outliers

CLEAR = {"higher after": "above", "works": "above", "lower after": "below", "hurts": "below"}
"""Verdicts that say something clear -> on which side of zero."""
ORDERS = ("highest lower end", "highest effect", "newest")
"""How campaigns can be sorted within their layer."""
OUTLIER_RULES: dict[Outliers, str] = {
    "keep": "keep everybody",
    "winsorize": "cap extremes",
    "iqr": "drop by IQR, descriptive only",
    "zscore": "drop by z-score, descriptive only",
}


def headline(lifts: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return the rows the pages show for a metric, one a campaign."""
    return lifts[lifts["headline"] & (lifts["metric"] == metric)]


def judged(
    campaigns: pd.DataFrame,
    lifts: pd.DataFrame,
    metric: str,
    *,
    as_of: pd.Timestamp,
    min_recipients: int,
    zone: str,
) -> pd.DataFrame:
    """Return campaigns with their headline lift, its verdict and a label that tells sends apart.

    Args:
        campaigns: frames.CAMPAIGNS.
        lifts: frames.LIFTS of at least these campaigns.
        metric: The metric.
        as_of: The instant looked from.
        min_recipients: Measured users a campaign needs.
        zone: The zone dates are said in.

    Returns:
        One row per campaign, its columns and those of its lift (`lift_status` for the status of
        the lift), and `label`, `verdict`, `sentence`, `tone`.
    """
    found = headline(lifts, metric).drop(columns="layer").rename(columns={"status": "lift_status"})
    rows = campaigns.merge(found, on="campaign_id", how="inner")
    verdicts = [
        verdict(row, as_of=as_of, min_recipients=min_recipients) for _, row in rows.iterrows()
    ]
    return rows.assign(
        label=[label(row, zone) for _, row in rows.iterrows()],
        verdict=[said.word for said in verdicts],
        sentence=[said.sentence for said in verdicts],
        tone=[said.tone for said in verdicts],
    )


def verdict(row: pd.Series, *, as_of: pd.Timestamp, min_recipients: int) -> Verdict:
    """Return the verdict of one row of `judged`."""
    lift = row.rename({"status": "campaign_status", "lift_status": "status"})
    return words.verdict(lift, row, as_of=as_of, min_recipients=min_recipients)


def label(row: pd.Series, zone: str) -> str:
    """Return what tells one send from another, "Name, 2026-10-13"."""
    sent = formats.day(row["first_delivered_at"], zone)
    name = str(row["name"])
    return name if sent in name or sent == formats.MISSING else f"{name}, {sent}"


def as_lifts(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows of `judged` as figures take them, the status being that of the lift."""
    return rows.assign(status=rows["lift_status"])


def ranked(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows of `judged` by the lower end of their interval, those without a verdict last."""
    by = ["is_last", "rel_effect_size_ci_low", "effect_size_ci_low", "campaign_id"]
    marked = rows.assign(is_last=rows["tone"] == "missing")
    ordered = marked.sort_values(by, ascending=[True, False, False, True], na_position="last")
    return ordered.drop(columns="is_last")


def newest(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows of `judged`, the last sent first."""
    return rows.sort_values("first_delivered_at", ascending=False, na_position="last")


def standing_out(rows: pd.DataFrame, *, most: int = 5) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the campaigns with the highest lower end, and those with the lowest upper end.

    Only campaigns whose windows have closed and that qualify; none stands in both.
    """
    sound = rows[rows["window_complete"] & rows["qualifies"] & rows["rel_effect_size"].notna()]
    top = sound.sort_values("rel_effect_size_ci_low", ascending=False).head(most)
    rest = sound.drop(top.index)
    return top, rest.sort_values("rel_effect_size_ci_high").head(most)


def campaign_table(rows: pd.DataFrame, zone: str) -> pd.DataFrame:
    """Return rows of `judged` as a table to read and to sort, in the order given."""
    level = _level(rows)
    return pd.DataFrame(
        {
            "Sent": [moment(at, zone) for at in rows["first_delivered_at"]],
            "Campaign": rows["name"].to_numpy(),
            "Layer": [layer_name(name) for name in rows["layer"]],
            "Measured": rows["n_measured"].to_numpy(),
            "Lift": rows["rel_effect_size"].to_numpy(),
            f"{level} interval": [interval(row) for _, row in rows.iterrows()],
            "q": rows["qvalue"].to_numpy(),
            "Verdict": rows["verdict"].to_numpy(),
            "Evidence": [words.evidence(grade) for grade in rows["evidence"]],
        }
    )


def metric_table(lifts: pd.DataFrame, metrics: list[str]) -> pd.DataFrame:
    """Return every metric of one campaign: rates before and after, effect, interval, q."""
    rows = lifts[lifts["headline"]].set_index("metric").reindex(metrics).dropna(subset="method")
    level = _level(rows)
    return pd.DataFrame(
        {
            "Metric": [words.label(metric) for metric in rows.index],
            "Before": rows["baseline_rate"].to_numpy(),
            "After": rows["post_rate"].to_numpy(),
            "Lift": rows["rel_effect_size"].to_numpy(),
            f"{level} interval": [interval(row) for _, row in rows.iterrows()],
            "q": rows["qvalue"].to_numpy(),
            "Users": rows["n_users"].to_numpy(),
            "Events before": rows["n_events_baseline"].to_numpy(),
            "Events after": rows["n_events_post"].to_numpy(),
            "Evidence": [words.evidence(grade) for grade in rows["evidence"]],
        }
    )


def method_table(lifts: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return one metric of one campaign by every method that was computed."""
    rows = lifts[lifts["metric"] == metric].sort_values("evidence")
    return _effects(rows, {"Method": [words.method(name) for name in rows["method"]]})


def outlier_table(rules: dict[str, pd.Series]) -> pd.DataFrame:
    """Return one metric of one campaign under each outlier rule, `rule in words -> lift`."""
    rows = pd.DataFrame(list(rules.values()))
    touched = {"Touched users": rows["n_dropped"].to_numpy()}
    return _effects(rows, {"Extreme users": list(rules)}, touched)


def layer_table(layers: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the layers side by side: how much was sent, the pooled lift, how often it is clear.

    Args:
        layers: As `best_layers`.
        rows: As `judged`, the campaigns behind them.
    """
    level = _level(layers)
    return pd.DataFrame(
        {
            "Layer": layers["label"].to_numpy(),
            "Campaigns": [_of_layer(rows, name).shape[0] for name in layers["layer"]],
            "Pooled": layers["n_campaigns"].to_numpy(),
            "People": layers["n_users"].to_numpy(),
            "Pushes a person": (layers["n_pushes"] / layers["n_users"]).to_numpy(),
            "Lift": layers["rel_effect_size"].to_numpy(),
            f"{level} interval": [interval(row) for _, row in layers.iterrows()],
            "Extra events": [extra_events(row) for _, row in layers.iterrows()],
            "Clearly higher": [_clear(rows, name, "above") for name in layers["layer"]],
            "Clearly lower": [_clear(rows, name, "below") for name in layers["layer"]],
            "Evidence": [words.evidence(grade) for grade in layers["evidence"]],
        }
    )


def best_layers(layers: pd.DataFrame, metric: str, *, is_whole: bool) -> pd.DataFrame:
    """Return the pooled row of each layer that rests on the best evidence with a number.

    Args:
        layers: frames.LAYER_LIFTS.
        metric: The metric.
        is_whole: Whether the row of all layers is about all there are, not the chosen ones only.

    Returns:
        The rows, layers in their order, with a `label` each.
    """
    rows = layers[layers["metric"] == metric]
    rows = rows.assign(is_missing=rows["effect_size"].isna())
    best = rows.sort_values(["is_missing", "evidence"]).drop_duplicates("layer")
    order = {name: place for place, name in enumerate((*LAYERS, ALL))}
    best = best.sort_values("layer", key=lambda names: names.map(order))
    said = {ALL: words.layer(ALL) if is_whole else "The chosen layers"}
    labels = [said.get(name, words.layer(name)) for name in best["layer"]]
    return best.drop(columns="is_missing").assign(label=labels).reset_index(drop=True)


def interval(row: pd.Series) -> str:
    """Return the interval of a relative effect in percent, or why there is none."""
    status = "lift_status" if "lift_status" in row else "status"
    if formats.is_missing(row["rel_effect_size"]):
        why = row[status] if row[status] != "ok" else "no_data"
        return formats.missing(why)
    ends = (100 * row["rel_effect_size_ci_low"], 100 * row["rel_effect_size_ci_high"])
    return formats.interval(ends, decimals=1)


def extra_events(row: pd.Series) -> str:
    """Return a layer's extra events with their interval, whole numbers."""
    return " ".join(part for part in extra_parts(row) if part)


def extra_parts(row: pd.Series) -> tuple[str, str]:
    """Return a layer's extra events and their interval apart, whole numbers."""
    value = row["incremental_events"]
    if formats.is_missing(value):
        return formats.missing(row["status"] if row["status"] != "ok" else "no_data"), ""
    ends = (row["incremental_events_ci_low"], row["incremental_events_ci_high"])
    sign = "+" if value >= 0.5 else ""
    return f"{sign}{formats.count(value)}", formats.interval(ends, decimals=0)


def layer_name(name: str) -> str:
    """Return a layer as a cell shows it, "Layer 1"."""
    return "Unclassified" if name == "unclassified" else f"Layer {name}"


def moment(at: pd.Timestamp, zone: str) -> str:
    """Return an instant as a cell shows it, "2026-10-13 09:02"."""
    return formats.instant(at, zone)[:16] if pd.notna(at) else formats.MISSING


def weeks(frame: pd.DataFrame, metric: str, zone: str) -> pd.DataFrame:
    """Return the weekly lifts of a metric, the weeks said in a zone."""
    rows = frame[frame["metric"] == metric]
    return rows.assign(week=rows["week"].dt.tz_convert(zone)).reset_index(drop=True)


def grouped(rows: pd.DataFrame, order: str) -> pd.DataFrame:
    """Return rows of `judged` layer by layer, sorted within; labels name the layer.

    Provisional ones and those with too few users come last, unless sorted by date.

    Args:
        rows: The campaigns.
        order: One of ORDERS; another one counts as the first.
    """
    by = {"highest effect": "rel_effect_size", "newest": "first_delivered_at"}
    column = by.get(order, "rel_effect_size_ci_low")
    short = {name: "–" if name == "unclassified" else f"L{name}" for name in LAYERS}
    marked = rows.assign(
        label=rows["layer"].map(short) + " " + rows["label"],
        place=rows["layer"].map({name: at for at, name in enumerate(LAYERS)}),
        is_last=(rows["tone"] == "missing") & (order != "newest"),
    )
    ordered = marked.sort_values(
        ["place", "is_last", column], ascending=[True, True, False], kind="stable"
    )
    return ordered.drop(columns=["place", "is_last"]).reset_index(drop=True)


def in_order(lifts: pd.DataFrame, metrics: list[str]) -> pd.DataFrame:
    """Return the headline rows of one campaign, metrics in their order."""
    place = {metric: at for at, metric in enumerate(metrics)}
    rows = lifts[lifts["headline"]]
    return rows.sort_values("metric", key=lambda names: names.map(place)).reset_index(drop=True)


def pairs(said: Mapping[str, str]) -> pd.DataFrame:
    """Return names and what they are, as a table of two columns."""
    return pd.DataFrame({"What": list(said), "Value": list(said.values())})


def week_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return weekly lifts, rows of `weeks`, as they are read."""
    return pd.DataFrame(
        {
            "Week from": rows["week"].dt.strftime("%Y-%m-%d"),
            "Campaigns": rows["n_campaigns"],
            "Users": rows["n_users"],
            "Lift": rows["rel_effect_size"],
            f"{_level(rows)} interval": [interval(row) for _, row in rows.iterrows()],
            "Evidence": [words.evidence(grade) for grade in rows["evidence"]],
        }
    )


def around_table(bins: pd.DataFrame, unit: str) -> pd.DataFrame:
    """Return what happened around the push, a row a bin, as it is read."""
    return pd.DataFrame(
        {
            f"{unit.capitalize()} from the push": [f"{offset:+d}" for offset in bins["offset"]],
            "Users": bins["n_users"],
            "Events": bins["n_events"],
            "Rate": bins["rate"],
        }
    )


def example(rows: pd.DataFrame) -> pd.Series | None:
    """Return the campaign with the most measured users that has a verdict and a percentage."""
    sound = rows[rows["tone"].ne("missing") & rows["rel_effect_size"].notna()]
    return None if sound.empty else sound.iloc[int(sound["n_users"].argmax())]


def n_recipients(campaigns: pd.DataFrame) -> int:
    """Return how many pushes were delivered, each counted once per campaign and user."""
    return int((campaigns["n_delivered"] - campaigns["n_duplicates"]).sum())


def _effects(
    rows: pd.DataFrame, first: Mapping[str, list[str]], more: Mapping[str, object] | None = None
) -> pd.DataFrame:
    level = _level(rows)
    return pd.DataFrame(
        {
            **first,
            "Lift": rows["rel_effect_size"].to_numpy(),
            f"{level} interval": [interval(row) for _, row in rows.iterrows()],
            "p": rows["pvalue"].to_numpy(),
            "Users": rows["n_users"].to_numpy(),
            **(more or {}),
            "Evidence": [words.evidence(grade) for grade in rows["evidence"]],
        }
    )


def _of_layer(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    return rows if name == ALL else rows[rows["layer"] == name]


def _clear(rows: pd.DataFrame, name: str, side: str) -> str:
    of_layer = _of_layer(rows, name)
    clear = of_layer["verdict"].map(CLEAR).eq(side).sum()
    judged_ones = of_layer["tone"].ne("missing").sum()
    return f"{clear} of {judged_ones}" if judged_ones else formats.MISSING


def _level(rows: pd.DataFrame) -> str:
    return formats.confidence(rows["confidence_level"].iloc[0]) if len(rows) else "95 %"
