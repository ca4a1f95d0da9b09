"""Layers as rows: pooled lifts, where the next campaign may land, differences, extra events."""

from __future__ import annotations

import pandas as pd

from core.frames import LAYERS
from core.measure.pooling import ALL
from core.publish import beside, formats, words
from pages.parts.choices import Method
from pages.parts.tables import CLEAR, evidences, interval, layer_name, level


def layer_table(layers: pd.DataFrame, rows: pd.DataFrame, *, weeks: float) -> pd.DataFrame:
    """Return the layers side by side: how much was sent, the pooled lift, how often it is clear.

    Args:
        layers: As `pooled_layers`.
        rows: As `judged`, the campaigns behind them.
        weeks: Length of the period.
    """
    of = level(layers)
    return pd.DataFrame(
        {
            "Layer": layers["label"].to_numpy(),
            "Campaigns": [_of_layer(rows, name).shape[0] for name in layers["layer"]],
            "Pooled": layers["n_campaigns"].to_numpy(),
            "People": layers["n_users"].to_numpy(),
            "Lift": layers["rel_effect_size"].to_numpy(),
            f"{of} interval": [interval(row) for _, row in layers.iterrows()],
            "Next campaign may land": [prediction(row) for _, row in layers.iterrows()],
            "Clearly higher": [_clear(rows, name, "above") for name in layers["layer"]],
            "Clearly lower": [_clear(rows, name, "below") for name in layers["layer"]],
            "Extra events a week": [extra_events(row, weeks) for _, row in layers.iterrows()],
            "Evidence": evidences(layers),
        }
    )


def pooled_layers(
    layers: pd.DataFrame, metric: str, *, method: Method, is_whole: bool
) -> pd.DataFrame:
    """Return the pooled row of each layer for a metric, layers in their order, with a `label`.

    Args:
        layers: frames.LAYER_LIFTS.
        metric: The metric.
        method: Each campaign's best evidence, or plain before and after.
        is_whole: Whether the row of all layers is about all there are, not the chosen ones only.
    """
    rows = layers[(layers["metric"] == metric) & (layers["method"] == method)]
    order = {name: place for place, name in enumerate((*LAYERS, ALL))}
    rows = rows.sort_values("layer", key=lambda names: names.map(order))
    said = {ALL: words.layer(ALL) if is_whole else "The chosen layers"}
    labels = [said.get(name, words.layer(name)) for name in rows["layer"]]
    return rows.assign(label=labels).reset_index(drop=True)


def contrast_table(contrasts: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return the differences of each two layers' lifts for a metric."""
    rows = contrasts[contrasts["metric"] == metric]
    return pd.DataFrame(
        {
            "Layers": [
                f"{layer_name(one)} less {layer_name(other).lower()}"
                for one, other in zip(rows["layer"], rows["other_layer"], strict=True)
            ],
            f"Difference [{level(rows)} interval]": [
                beside.difference(row) for _, row in rows.iterrows()
            ],
            "p": rows["pvalue"].to_numpy(),
        }
    )


def prediction(row: pd.Series) -> str:
    """Return where the next campaign of a layer may land, in percent."""
    ends = (100 * row["prediction_low"], 100 * row["prediction_high"])
    if all(map(formats.is_missing, ends)):
        return formats.MISSING
    return f"{formats.interval(ends, decimals=0)} %"


def extra_events(row: pd.Series, weeks: float = 1.0) -> str:
    """Return a layer's extra events, of all or of a week, with their interval."""
    return " ".join(part for part in extra_parts(row, weeks) if part)


def extra_parts(row: pd.Series, weeks: float = 1.0) -> tuple[str, str]:
    """Return a layer's extra events and their interval apart, whole numbers."""
    value = row["incremental_events"] / weeks
    if formats.is_missing(value):
        return formats.missing(row["status"] if row["status"] != "ok" else "no_data"), ""
    ends = tuple(row[f"incremental_events_ci_{side}"] / weeks for side in ("low", "high"))
    sign = "+" if value >= 0.5 else ""
    return f"{sign}{formats.count(value)}", formats.interval((ends[0], ends[1]), decimals=0)


def _of_layer(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    return rows if name == ALL else rows[rows["layer"] == name]


def _clear(rows: pd.DataFrame, name: str, side: str) -> str:
    of_layer = _of_layer(rows, name)
    clear = of_layer["verdict"].map(CLEAR).eq(side).sum()
    judged_ones = of_layer["tone"].ne("missing").sum()
    return f"{clear} of {judged_ones}" if judged_ones else formats.MISSING
