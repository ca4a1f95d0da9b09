"""A pytest plugin that switches one guard off before anything else is imported.

PUSHLIFT_GUARD_OFF=formulas-are-defused python -m pytest -p tests.faults.switch ...
"""

from __future__ import annotations

import importlib
import os
import sys

import pytest

from tests.faults.guards import GUARDS, Guard

VARIABLE = "PUSHLIFT_GUARD_OFF"


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    name = os.environ.get(VARIABLE)
    if name:
        switch_off(next(guard for guard in GUARDS if guard.name == name))


def attribute_of(target: str) -> tuple[object, str]:
    """Return what holds a "module:attribute" or "module:Class.attribute", and its last name."""
    module, _, path = target.partition(":")
    holder: object = importlib.import_module(module)
    *outer, last = path.split(".")
    for name in outer:
        holder = getattr(holder, name)
    return holder, last


def switch_off(guard: Guard) -> None:
    """Replace what the guard names, in every module that imported it under this name too."""
    holder, name = attribute_of(guard.target)
    original = getattr(holder, name)
    replaced = guard.disabled(original)
    setattr(holder, name, replaced)
    if isinstance(original, (int, float)):
        return  # equal numbers are one object, and may stand for something else elsewhere
    for module, loaded in list(sys.modules.items()):
        is_ours = module.partition(".")[0] in {"core", "pages"}
        if is_ours and getattr(loaded, name, None) is original:
            setattr(loaded, name, replaced)
