"""One HTML page with everything in it: it needs no network, and its policy lets it use none."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import pandas as pd
import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from core.publish import alttext, figures, figures_pages, formats, keys, words
from core.publish.reports import sentences, summaries, views
from core.publish.reports.markdown import Cell, Link
from core.publish.reports.material import Material
from core.publish.theme import THEMES, ThemeName
from core.quality.ledger import mapping_ledger

_ALL = "all"
_THEMES: tuple[ThemeName, ...] = ("light", "dark")
_LIVE = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A figure of the page in both looks.

    Attributes:
        name: Where it goes.
        title: The takeaway.
        alt: What it shows, in words.
        json: Both looks, harmless within a page.
    """

    name: str
    title: str
    alt: str
    json: Markup


def report_html(material: Material) -> bytes:
    """Return the whole report as one page, light and dark, figures included."""
    metric = material.setting.primary
    said = summaries.executive(material)
    scripts = {"plotly": _plotly(), "drawing": _resource("report.js")}
    layers = [_ALL, *material.shown_layers]
    context = {
        **said,
        "source": material.setting.source,
        "quiet": _quiet(material),
        "metric": words.label(metric),
        "policy": _policy(list(scripts.values())),
        "style": Markup(_style()),  # noqa: S704 - ours
        **{name: Markup(text) for name, text in scripts.items()},  # noqa: S704 - ours
        "figures": drawings(material),
        "figures_table": said["figures"],
        "metrics": views.metrics_of_layer_grid(material, _ALL),
        "campaigns": views.campaigns_grid(material, views.headlines(material, metric), base="."),
        "rankings": [
            {
                "table": views.rankings_grid(material, layer, metric, base="."),
                "title": f"{words.layer(layer)}: {words.label(metric)}",
                "sentence": summaries.clear_of(material, layer, metric),
            }
            for layer in layers
        ],
        "cadence_counts": sentences.cadence_counts(material),
        "cadence": sentences.cadence(material),
        "groups": views.groups_grid(material, [_ALL, "1", "2", "3"], metric),
        "ledger": views.ledger_grid(material.campaigns),
        "checks_table": views.checks_grid(material.checks),
        "grades": summaries.grades_grid(),
    }
    return _environment().get_template("report.html.j2").render(context).strip().encode() + b"\n"


def drawings(material: Material) -> list[Drawing]:
    """Return the figures of the page, those without anything to show left out."""
    made = [
        _layers_forest(material),
        _metrics_grid(material),
        _campaigns_forest(material),
        _patterns_forest(material),
        _ledger(material),
    ]
    return [one for one in made if one is not None]


def _layers_forest(material: Material) -> Drawing | None:
    metric = material.setting.primary
    rows = views.layer_rows(material, metric)
    rows = rows.assign(label=[words.layer(str(name)) for name in rows["layer"]])
    single = rows[rows["layer"] != _ALL]
    title = f"{_upper(words.label(metric))}: {figures_pages.takeaway(single, 'layers')}"
    return _drawing(
        "layers-forest", rows, title,
        lambda theme: figures.forest(rows, theme=theme, title="", order="given"),
        alttext.forest,
    )  # fmt: skip


def _metrics_grid(material: Material) -> Drawing | None:
    parts = [views.layer_rows(material, metric) for metric in material.setting.metrics]
    rows = pd.concat(parts, ignore_index=True)
    rows = rows.assign(label=[_short(str(name)) for name in rows["layer"]])
    return _drawing(
        "metrics-grid", rows, "Every metric in every layer",
        lambda theme: figures_pages.metric_layers(rows, theme=theme, title=""),
        figures_pages.metric_layers_alt,
    )  # fmt: skip


def _campaigns_forest(material: Material) -> Drawing | None:
    rows = views.headlines(material, material.setting.primary)
    rows = rows.sort_values("layer", kind="stable").reset_index(drop=True)
    rows = rows.assign(label=rows["name"])
    title = figures_pages.takeaway(rows, "campaigns")
    return _drawing(
        "campaigns-forest", rows, title,
        lambda theme: figures_pages.grouped_forest(rows, theme=theme, title=""),
        alttext.forest,
    )  # fmt: skip


def _patterns_forest(material: Material) -> Drawing | None:
    """Draw the kinds of sends that were compared; their effects are relative alone."""
    rows = material.rows("pattern_groups", metric=material.setting.primary)
    rows = rows[rows["status"] == "ok"].reset_index(drop=True)
    ends = {f"effect_size{end}": rows[f"rel_effect_size{end}"] for end in ("", *_ENDS)}
    label = [
        f"{keys.said(str(row['group']))} ({_short(str(row['layer']))})"
        for _, row in rows.iterrows()
    ]
    rows = rows.assign(**ends, label=label, n_users=rows["n_pushes"], method="headline")
    title = f"{_upper(words.label(material.setting.primary))} by kind of send, n in pushes"
    return _drawing(
        "patterns-forest", rows, title,
        lambda theme: figures.forest(rows, theme=theme, title="", order="given"),
        alttext.forest,
    )  # fmt: skip


_ENDS = ("_ci_low", "_ci_high")


def _ledger(material: Material) -> Drawing | None:
    steps = mapping_ledger(material.campaigns)
    rows = steps[steps["step"].isin(["delivered", "recipients", "measured"])]
    rows = rows.assign(step=rows["label"]).reset_index(drop=True)
    title = "From delivered rows to measured people"
    return _drawing(
        "ledger", rows, title,
        lambda theme: figures.ledger_bars(rows, theme=theme, title=""),
        alttext.ledger_bars,
    )  # fmt: skip


def _drawing(
    name: str,
    rows: pd.DataFrame,
    title: str,
    draw: Callable[[ThemeName], go.Figure],
    describe: Callable[..., str],
) -> Drawing | None:
    if rows.empty:
        return None
    looks = {theme: json.loads(figures_pages.untitled(draw(theme)).to_json()) for theme in _THEMES}
    text = json.dumps(looks, ensure_ascii=True, separators=(",", ":"))
    for sign, instead in _LIVE.items():
        text = text.replace(sign, instead)
    harmless = Markup(text)  # noqa: S704 - no sign of it ends the block it stands in
    return Drawing(name=name, title=title, alt=describe(rows, title=title), json=harmless)


@cache
def _plotly() -> str:
    text: str = get_plotlyjs()
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _resource(name: str) -> str:
    return files("core.publish.reports").joinpath("templates", name).read_text(encoding="utf-8")


def _style() -> str:
    text = _resource("report.css")
    for theme in _THEMES:
        look = THEMES[theme]
        for part in ("text", "muted", "grid", "surface"):
            text = text.replace(f"{theme.upper()}_{part.upper()}", getattr(look, part))
    return text


def _policy(scripts: list[str]) -> str:
    """Return a policy that runs our scripts alone and reaches no network."""
    hashes = [base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in scripts]
    ours = " ".join(f"'sha256-{one}'" for one in hashes)
    return (
        f"default-src 'none'; script-src {ours}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("core.publish.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["said"] = _said
    return made


def _said(cell: Cell) -> str:
    """Return a cell's text; what leads to other files leads nowhere from a single page."""
    return cell.text if isinstance(cell, Link) else cell


def _quiet(material: Material) -> str:
    setting = material.setting
    return (
        f"{setting.source}; data until {formats.instant(setting.as_of, setting.zone)}; sends "
        f"{formats.instant(setting.since, setting.zone)} to "
        f"{formats.instant(setting.until, setting.zone)}; "
        f"quality {sentences.combined(material)}"
    )


def _short(layer: str) -> str:
    return words.layer(layer).partition(",")[0]


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


__all__ = ["Drawing", "drawings", "report_html"]
