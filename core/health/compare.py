"""Two saved runs beside each other: what was shown then, what is shown now."""

from __future__ import annotations

import pandas as pd

from core.errors import DataError
from core.health.frames import RUN_CHANGES
from core.health.records import Headline, HowMeasured, Record

_TEXTS = ("status", "verdict")
_NUMBERS = ("rel_effect_size", "rel_effect_size_ci_low", "rel_effect_size_ci_high")
_LAYERS = ("all", "1", "2", "3", "unclassified")


def compare(run: Record, other: Record) -> pd.DataFrame:
    """Return RUN_CHANGES of two runs: layers first, then campaigns, those that changed first.

    The change is "new" or "gone" where only one run has it, "status" where its status or verdict
    is another, "effect" where only its number is, else "same". Both runs largely rest on the same
    events and people, so no test of the difference is made.

    Args:
        run: The later one.
        other: The earlier one.

    Raises:
        DataError: One of them failed, so that it has nothing to compare.
    """
    for one in (run, other):
        if one.status == "failed":
            raise DataError(f"The run {one.run_id} failed and holds no numbers. Choose another.")
    now, before = _frame(run), _frame(other)
    both = now.merge(before, on=["level", "of"], how="outer", suffixes=("", "_b"))
    table = pd.DataFrame(
        {
            "level": both["level"],
            "of": both["of"],
            "name": both["name"].fillna(both["name_b"]),
            **{name: both[name] for name in _TEXTS},
            **{f"{name}_before": both[f"{name}_b"] for name in _TEXTS},
            **{name: both[name] for name in _NUMBERS},
            "rel_effect_size_before": both["rel_effect_size_b"],
            "rel_effect_size_before_ci_low": both["rel_effect_size_ci_low_b"],
            "rel_effect_size_before_ci_high": both["rel_effect_size_ci_high_b"],
            "difference": both["rel_effect_size"] - both["rel_effect_size_b"],
            "is_outside": _is_outside(both),
            "change": _changes(both),
        }
    )
    return RUN_CHANGES.checked(_sorted(table))


def settings_changes(run: Record, other: Record) -> tuple[str, ...]:
    """Return which settings, sources and periods differ, in sentences; nothing where none does.

    Args:
        run: The later one.
        other: The earlier one.
    """
    now, before = _facts(run), _facts(other)
    names = [name for name in now | before if now.get(name) != before.get(name)]
    return tuple(
        f"{name.replace('_', ' ').capitalize()}: {before.get(name, 'none')} before, "
        f"{now.get(name, 'none')} now."
        for name in names
    )


def _facts(run: Record) -> dict[str, str]:
    facts = {"version": run.version, "source": run.source, "database": run.database}
    for name in ("since", "until"):
        at = getattr(run, name)
        facts[name] = "none" if at is None else f"{at:%Y-%m-%d %H:%M} UTC"
    measured = run.settings
    if measured is None:
        return facts
    plain = {name: getattr(measured, name) for name in HowMeasured.__slots__ if name != "metrics"}
    events = {f"metric {name}": ", ".join(of) for name, of in measured.metrics.items()}
    return {**facts, **{name: str(value) for name, value in plain.items()}, **events}


def _frame(run: Record) -> pd.DataFrame:
    """Return the headlines of a run, one row each."""
    names = ("level", "of", "name", *_TEXTS, *_NUMBERS)
    return pd.DataFrame(
        {
            name: pd.Series(
                [_value(one, name) for one in run.headlines],
                dtype="float64" if name in _NUMBERS else "str",
            )
            for name in names
        }
    )


def _value(one: Headline, name: str) -> object:
    return getattr(one, name)


def _changes(both: pd.DataFrame) -> pd.Series:
    """Return the first that holds of new, gone, status, effect; else same."""
    change = pd.Series("same", index=both.index, dtype="str")
    ends = ("rel_effect_size", "rel_effect_size_ci_low", "rel_effect_size_ci_high")
    for name in ends:
        change = change.mask(_differ(both[name], both[f"{name}_b"]), "effect")
    for name in _TEXTS:
        change = change.mask(_differ(both[name], both[f"{name}_b"]), "status")
    return change.mask(both["status_b"].isna(), "new").mask(both["status"].isna(), "gone")


def _differ(one: pd.Series, other: pd.Series) -> pd.Series:
    """Return where two columns differ; two missing values do not."""
    return (one != other) & ~(one.isna() & other.isna())


def _is_outside(both: pd.DataFrame) -> pd.Series:
    """Return where the later number lies outside the earlier interval, whose open ends hold all."""
    now, had = both["rel_effect_size"], both["rel_effect_size_b"].notna()
    low = both["rel_effect_size_ci_low_b"].fillna(float("-inf"))
    high = both["rel_effect_size_ci_high_b"].fillna(float("inf"))
    return (now.notna() & had & ((now < low) | (now > high))).astype(bool)


def _sorted(table: pd.DataFrame) -> pd.DataFrame:
    order = ["new", "gone", "status", "effect", "same"]
    place = table["change"].map({name: i for i, name in enumerate(order)})
    layer = table["of"].map({name: i for i, name in enumerate(_LAYERS)})
    is_layer = table["level"] == "layer"
    keyed = table.assign(
        first=~is_layer, second=layer.where(is_layer, place), third=-table["difference"].abs()
    )
    keyed = keyed.sort_values(["first", "second", "third", "of"], ignore_index=True)
    return keyed[list(table.columns)]
