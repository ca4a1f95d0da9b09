"""`python -m tests.faults`: everything that is done to the data layer on purpose, as one table."""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.faults.areas import AREAS, Area
from tests.faults.keeping import tally_of
from tests.faults.tally import Tally

Tallies = Sequence[tuple[Area, Tally]]
_MOST_SHOWN = 10
_PAGE = """\
# The data layer under faults

Written by `python -m tests.faults --write docs/faults.md` (`make faults`); see `tests/faults/`.

**A result equals the ledger of true events, or it is declared partial and names what is missing.**
Everything else counts as broken: events lost or counted twice, a part given as the whole, an error
without a name, a secret in a message, no end in time.

{when}

| What is done | Trials | Exact | Declared | Broken | Seconds | Further |
|---|---:|---:|---:|---:|---:|---|
{lines}

Exact: the result is the ledger's, or the attack had no effect. Declared: a typed error that names
the source and what to do, or a result that withholds what it touches and gives the rest exactly.
Each declared run of a scenario is tried again on the same cache once the fault is over, and must be
exact then.
"""


def main(arguments: Sequence[str]) -> int:
    """Run what is asked for, print the table, and return 1 where anything is broken."""
    options = _parser().parse_args(arguments)
    tallies: list[tuple[Area, Tally]] = []
    for area in AREAS:
        if options.only and area.name not in options.only:
            continue
        if not area.is_there:
            sys.stderr.write(f"{area.name}: not there\n")
            continue
        size = area.quick if options.quick else area.size
        size = size if options.size is None else options.size
        sys.stderr.write(f"{area.name}: {area.what}\n")
        tally = tally_of(
            area, size=size, seed=options.seed, workers=options.workers, folder=options.keep
        )
        tallies.append((area, tally))
        _complain(tally)
    page = _page(tallies, arguments)
    sys.stdout.write(page)
    if options.write:
        options.write.write_text(page)
    return 0 if tallies and all(tally.is_good for _, tally in tallies) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument(
        "--only", action="append", metavar="NAME", choices=[area.name for area in AREAS],
        help="run this area; may be given several times",
    )  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="a few trials of each kind")
    parser.add_argument("--size", type=int, help="trials (seeds of each scenario)")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--workers", type=int, default=2, help="processes that share scenarios")
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="keep tallies there, and make only what is missing"
    )
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table there too")
    return parser


def _complain(tally: Tally) -> None:
    for complaint in tally.broken[:_MOST_SHOWN]:
        sys.stderr.write(f"BROKEN {complaint}\n")
    if len(tally.broken) > _MOST_SHOWN:
        sys.stderr.write(f"BROKEN and {len(tally.broken) - _MOST_SHOWN} more\n")


def _page(tallies: Tallies, arguments: Sequence[str]) -> str:
    when = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, Python {platform.python_version()}"
    paths = {"--write", "--keep"}
    shown = [
        one
        for before, one in zip(["", *arguments], arguments, strict=False)
        if one not in paths and before not in paths
    ]
    options = f", options `{' '.join(shown)}`" if shown else ""
    lines = [*(_line(area.what, [tally]) for area, tally in tallies)]
    lines.append(_line("**All**", [tally for _, tally in tallies]))
    page = _PAGE.format(when=f"{when}{options}.", lines="\n".join(lines))
    broken = [f"- {one.splitlines()[0]}" for _, tally in tallies for one in tally.broken]
    return "\n".join([page, "## Broken", "", *broken, ""]) if broken else page


def _line(what: str, tallies: Sequence[Tally]) -> str:
    alone = tallies[0].figures if len(tallies) == 1 else {}
    figures = "; ".join(f"{name}: {value}" for name, value in alone.items())
    return (
        f"| {what} | {sum(t.runs for t in tallies):,} | {sum(t.exact for t in tallies):,} | "
        f"{sum(t.declared for t in tallies):,} | {sum(len(t.broken) for t in tallies):,} | "
        f"{sum(t.seconds for t in tallies):,.0f} | {figures} |"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
