"""Answers of PostHog that are cut, malformed, or not the truth."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

from core.sources import posthog_client
from tests.faults.oracle import DECLARED, EXACT
from tests.faults.posthog_scenarios import EMAILS, ENOUGH, IDS, POSTHOG, SLICE, somewhere
from tests.faults.rig import Asked, Rig
from tests.faults.scenario import Wanted, scenario

Row = list[Any]
Change = Callable[[random.Random, list[Row]], list[Row]]
_FOREIGN = "01900000-0000-7000-8000-00000000ffff"


# --- bodies ----------------------------------------------------------------------------------


@scenario(POSTHOG, EXACT)
def answer_is_truncated(rng: random.Random, rig: Rig) -> None:
    somewhere(rng, rig, {"truncate": rng.randrange(5_000), "repeat": rng.randint(1, ENOUGH)})


@scenario(POSTHOG, EXACT)
def answer_is_truncated_without_a_length(rng: random.Random, rig: Rig) -> None:
    fault = {"truncate": rng.randrange(5_000), "no_length": True}
    somewhere(rng, rig, {**fault, "repeat": rng.randint(1, ENOUGH)})


@scenario(POSTHOG, EXACT)
def compressed_answer_is_truncated(rng: random.Random, rig: Rig) -> None:
    fault = {"truncate": rng.randrange(1_500), "gzip": True, "no_length": rng.random() < 0.5}
    somewhere(rng, rig, {**fault, "repeat": rng.randint(1, ENOUGH)})


@scenario(POSTHOG, EXACT)
def answer_says_it_is_compressed_and_is_not(rng: random.Random, rig: Rig) -> None:
    headers = {"Content-Encoding": rng.choice(["gzip", "deflate"])}
    somewhere(rng, rig, {"headers": headers, "repeat": rng.randint(1, ENOUGH)})


@scenario(POSTHOG, EXACT)
def small_answer_unpacks_to_a_huge_one(rng: random.Random, rig: Rig) -> None:
    rig.patch("core.sources.posthog_answers.BODY_LIMIT", 2_000_000)
    fault = {"gzip": True, "pad": rng.randrange(3_000_000, 60_000_000)}
    rig.script(fault, skip=rng.randrange(rig.count(SLICE)), match=SLICE)


@scenario(POSTHOG)
def every_answer_unpacks_to_a_huge_one(rng: random.Random, rig: Rig) -> Wanted:
    rig.patch("core.sources.posthog_answers.BODY_LIMIT", 2_000_000)
    fault = {"gzip": True, "pad": 3_000_000, "repeat": 0}
    rig.script(fault, match=rng.choice([IDS, EMAILS]))
    return DECLARED


@scenario(POSTHOG, EXACT)
def page_instead_of_an_answer(rng: random.Random, rig: Rig) -> None:
    body = "<!doctype html><title>Sign in</title><p>Please sign in."
    somewhere(rng, rig, {"status": 200, "body": body, "repeat": rng.randint(1, ENOUGH)})


@scenario(POSTHOG, DECLARED)
def page_instead_of_every_answer(rng: random.Random, rig: Rig) -> None:
    body = rng.choice(["<!doctype html><title>Sign in</title>", "", "null", "[]", '"ok"', "{}"])
    somewhere(rng, rig, {"status": 200, "body": body, "repeat": 0})


@scenario(POSTHOG, EXACT)
def answer_is_odd_json(rng: random.Random, rig: Rig) -> None:
    odd = ["[" * 100_000, '{"results": NaN}', "9" * 10_000, '{"a": 1', "\x00", '{"results": [[']
    somewhere(rng, rig, {"status": 200, "body": rng.choice(odd), "repeat": rng.randint(1, ENOUGH)})


@scenario(POSTHOG, EXACT)
def answer_reports_an_error(rng: random.Random, rig: Rig) -> None:
    fields = {"error": f"Failed for {rig.an_email}", "results": rng.choice([None, []])}
    somewhere(rng, rig, {"set_fields": fields, "repeat": rng.randint(1, ENOUGH)})


@scenario(POSTHOG, EXACT)
def answer_lacks_fields(rng: random.Random, rig: Rig) -> None:
    fields = rng.choice([["results"], ["columns"], ["results", "columns", "types"]])
    somewhere(rng, rig, {"drop_fields": fields, "repeat": rng.randint(1, ENOUGH)})


@scenario(POSTHOG, EXACT)
def answer_says_that_there_is_more(rng: random.Random, rig: Rig) -> None:
    """Every row is there: what `hasMore` says of a query with a LIMIT of its own is not asked."""
    somewhere(rng, rig, {"set_fields": {"hasMore": True, "limit": 50_000, "offset": 0}})


# --- rows ------------------------------------------------------------------------------------


@scenario(POSTHOG, EXACT)
def rows_are_clamped(rng: random.Random, rig: Rig) -> None:
    fault = {"rows_clamp": rng.randint(1, 60), "repeat": rng.randint(1, 4)}
    rig.script(fault, skip=rng.randrange(rig.count(SLICE)), match=SLICE)


@scenario(POSTHOG, EXACT)
def every_row_is_lost(rng: random.Random, rig: Rig) -> None:
    somewhere(rng, rig, {"rows_clamp": 0, "repeat": rng.randint(1, ENOUGH)})


@scenario(POSTHOG, EXACT)
def rows_are_dropped(rng: random.Random, rig: Rig) -> None:
    somewhere(rng, rig, {"drop_rows": rng.randint(1, 30)})


@scenario(POSTHOG, EXACT)
def rows_come_twice(rng: random.Random, rig: Rig) -> None:
    somewhere(rng, rig, {"duplicate_rows": rng.randint(1, 30), "repeat": rng.randint(1, ENOUGH)})


@scenario(POSTHOG, EXACT, seconds=90)
def answer_is_as_long_as_it_may_be(rng: random.Random, rig: Rig) -> None:
    """The server's own limit cuts every slice, until slices are short enough."""
    most = rng.randint(130, 170)
    rig.patch("core.sources.posthog_answers.ROW_LIMIT", most)
    rig.posthog.set_limits(rates=((10_000, 60.0),), budget_per_hour=0, max_rows=most)


def _lie(rng: random.Random, rig: Rig, question: str, change: Change) -> Wanted:
    """Let one question be answered with changed rows, once or for good."""
    rig.plan.posthog = {"max_in_flight": 1}
    places = [i for i, one in enumerate(rig.asked) if question in one.text]
    place = rng.choice(places)
    body = rig.true_answer(rig.asked[place])
    body["results"] = change(rng, [list(row) for row in body["results"]])
    is_for_good = rng.random() < 0.3
    times = posthog_client.TRIES if is_for_good else rng.randint(1, ENOUGH)
    rig.script({"status": 200, "body": body, "repeat": times}, skip=place)
    return DECLARED if is_for_good else EXACT


def _recounted(rows: list[Row]) -> list[Row]:
    return [[*row[:-1], len(rows)] for row in rows]


def _any_of(rng: random.Random, rows: list[Row]) -> Row:
    """Return one of the rows that stand for somebody."""
    return rng.choice([row for row in rows if row[0]])


@scenario(POSTHOG)
def rows_come_twice_and_are_counted_so(rng: random.Random, rig: Rig) -> Wanted:
    question = rng.choice([SLICE, SLICE, IDS])
    return _lie(rng, rig, question, lambda r, rows: _recounted([*rows, _any_of(r, rows)]))


@scenario(POSTHOG)
def row_count_lies(rng: random.Random, rig: Rig) -> Wanted:
    def change(rng: random.Random, rows: list[Row]) -> list[Row]:
        wrong = rng.choice([0, -1, len(rows) - 1, str(len(rows)), None, True, 1.5])
        if rng.random() < 0.5:
            return [[*row[:-1], wrong] for row in rows]
        _any_of(rng, rows)[-1] = wrong
        return rows

    return _lie(rng, rig, rng.choice([SLICE, IDS, EMAILS]), change)


@scenario(POSTHOG)
def values_have_wrong_types(rng: random.Random, rig: Rig) -> Wanted:
    def change(rng: random.Random, rows: list[Row]) -> list[Row]:
        row, place = _any_of(rng, rows), rng.randrange(len(rows[0]) - 1)
        values = [None, 7, 1.5, {}, [None], [[1]], "7", True, [{}], "", [], 10**30]
        fitting = {str: (str,), list: (list,)}.get(type(row[place]), ())
        row[place] = rng.choice([v for v in values if not isinstance(v, fitting)])
        return rows

    return _lie(rng, rig, rng.choice([SLICE, SLICE, IDS]), change)


@scenario(POSTHOG)
def codes_have_wrong_types(rng: random.Random, rig: Rig) -> Wanted:
    def change(rng: random.Random, rows: list[Row]) -> list[Row]:
        codes = _any_of(rng, rows)[2]
        wrong = [None, str(codes[0]), codes[0] + 0.5, [codes[0]], {}, 10**25, True]
        codes[rng.randrange(len(codes))] = rng.choice(wrong)
        return rows

    return _lie(rng, rig, SLICE, change)


@scenario(POSTHOG)
def columns_differ(rng: random.Random, rig: Rig) -> Wanted:
    question = rng.choice([SLICE, IDS, EMAILS])
    rig.plan.posthog = {"max_in_flight": 1}
    place = rng.choice([i for i, one in enumerate(rig.asked) if question in one.text])
    body = rig.true_answer(rig.asked[place])
    how = rng.choice(["extra", "missing", "renamed", "swapped", "ragged"])
    columns, rows = body["columns"], body["results"]
    if how == "extra":
        columns.append("more")
        body["results"] = [[*row, 1] for row in rows]
    elif how == "missing":
        del columns[0]
        body["results"] = [row[1:] for row in rows]
    elif how == "renamed":
        columns[rng.randrange(len(columns))] = "other"
    elif how == "swapped":
        columns[0], columns[1] = columns[1], columns[0]
    else:
        rows[rng.randrange(len(rows))].pop()
    times = rng.randint(1, ENOUGH)
    rig.script({"status": 200, "body": body, "repeat": times}, skip=place)
    return EXACT


@scenario(POSTHOG)
def events_lie_outside_the_slice(rng: random.Random, rig: Rig) -> Wanted:
    def change(rng: random.Random, rows: list[Row]) -> list[Row]:
        codes = _any_of(rng, rows)[2]
        codes.append(rng.choice([-1, -(10**9), 14 * 86_400_000 * 4, 10**15]))
        return rows

    return _lie(rng, rig, SLICE, change)


@scenario(POSTHOG)
def persons_nobody_asked_for(rng: random.Random, rig: Rig) -> Wanted:
    def change(rng: random.Random, rows: list[Row]) -> list[Row]:
        return _recounted([*rows, [_FOREIGN, ["nobody-knows"], 0]])

    return _lie(rng, rig, IDS, change)


@scenario(POSTHOG)
def one_distinct_id_belongs_to_two_persons(rng: random.Random, rig: Rig) -> Wanted:
    def change(rng: random.Random, rows: list[Row]) -> list[Row]:
        return _recounted([*rows, [_FOREIGN, list(_any_of(rng, rows)[1]), 0]])

    return _lie(rng, rig, IDS, change)


@scenario(POSTHOG)
def emails_nobody_asked_for(rng: random.Random, rig: Rig) -> Wanted:
    def change(rng: random.Random, rows: list[Row]) -> list[Row]:
        return _recounted([*rows, [f"stranger-{rig.an_email}", _FOREIGN, 0]])

    return _lie(rng, rig, EMAILS, change)


@scenario(POSTHOG)
def answer_to_another_question(rng: random.Random, rig: Rig) -> Wanted:
    """Two answers change places: persons come instead of events, or the other way round."""
    question, other = rng.sample([SLICE, IDS, EMAILS], 2)
    rig.plan.posthog = {"max_in_flight": 1}
    place = rng.choice([i for i, one in enumerate(rig.asked) if question in one.text])
    body = rig.true_answer(_first(rig, other))
    times = rng.randint(1, ENOUGH)
    rig.script({"status": 200, "body": body, "repeat": times}, skip=place)
    return EXACT


@scenario(POSTHOG)
def stale_answer_from_a_cache(rng: random.Random, rig: Rig) -> Wanted:
    """What a cache kept from before the last events came; it says so in `is_cached`."""

    def change(rng: random.Random, rows: list[Row]) -> list[Row]:
        return _recounted(rows[: -rng.randint(1, len(rows) // 2)])

    rig.plan.posthog = {"max_in_flight": 1}
    place = rng.randrange(rig.count(SLICE))
    body = rig.true_answer(rig.asked[place])
    body["results"] = change(rng, body["results"])
    body |= {"is_cached": True, "last_refresh": "2026-09-10T00:00:00Z"}
    times = rng.randint(1, ENOUGH)
    rig.script({"status": 200, "body": body, "repeat": times}, skip=place)
    return EXACT


def _first(rig: Rig, question: str) -> Asked:
    return next(one for one in rig.asked if question in one.text)


@scenario(POSTHOG, EXACT)
def answer_comes_with_strange_headers(rng: random.Random, rig: Rig) -> None:
    headers = {
        "X-PostHog-Query-Bytes-Read": rng.choice(["many", "-1", "1e9", "", "9" * 400]),
        "X-PostHog-Query-Budget-Remaining-Bytes": rng.choice(["none", "", "³"]),
        "Content-Type": rng.choice(["text/html", "application/json; charset=utf-16", "x"]),
        "Set-Cookie": f"session={json.dumps(rig.an_email)}",
    }  # fmt: skip
    somewhere(rng, rig, {"headers": headers, "repeat": 0})
