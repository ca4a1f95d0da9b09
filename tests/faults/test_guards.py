"""The register of guards names what is there, and the switch really switches."""

from __future__ import annotations

import re

import pytest

from core.errors import DataError
from core.sources import posthog_queries
from tests.faults.guard import Guard, blind_to, instead, unchanged, without
from tests.faults.guards import _ROOT as ROOT
from tests.faults.guards import GUARDS, missed
from tests.faults.switch import attribute_of, switch_off


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_guard_names_an_attribute_and_tests_that_are_there(guard: Guard) -> None:
    holder, name = attribute_of(guard.target)
    assert guard.disabled(getattr(holder, name)) is not getattr(holder, name)
    assert guard.tests
    for test in guard.tests:
        file, *names = test.partition("[")[0].split("::")
        source = (ROOT / file).read_text()
        for name_of_test in names:
            assert re.search(rf"^ *(def|class) {name_of_test}\b", source, re.MULTILINE)


def test_guards_have_names_of_their_own() -> None:
    assert len({guard.name for guard in GUARDS}) == len(GUARDS)


def test_switch_off_replaces_the_attribute_for_those_who_imported_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from core.publish import tables, workbook

    for module in (tables, workbook):  # put back afterwards
        monkeypatch.setattr(module, "PROBE", tables.defused, raising=False)
    one = Guard(name="x", target="core.publish.tables:PROBE", disabled=unchanged, tests=())
    switch_off(one)
    assert tables.PROBE("=1") == "=1"
    assert workbook.PROBE is tables.PROBE is not tables.defused


def test_blind_to_overlooks_one_complaint_alone() -> None:
    require = blind_to("repeats a person")(posthog_queries._require)
    require(is_right=False, what="repeats a person")
    with pytest.raises(DataError, match="miscounts"):
        require(is_right=False, what="miscounts its rows")


def test_without_refuses_a_text_that_does_not_hold_the_part() -> None:
    assert without(" READ ONLY")("BEGIN READ ONLY") == "BEGIN"
    with pytest.raises(LookupError):
        without(" READ ONLY")("BEGIN")


def test_missed_is_a_complaint_only_where_no_test_fails() -> None:
    tests = ("tests/sources/test_posthog_queries.py::test_read_slice_rejects_other_columns",)
    guard = next(guard for guard in GUARDS if guard.name == "columns-that-were-asked-for")
    assert missed(guard) == ""
    assert guard.tests == tests
    assert instead(1)(2) == 1
