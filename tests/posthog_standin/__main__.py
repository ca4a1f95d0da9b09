"""Command line: load an export and serve it until told to stop."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import threading
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

from .limits import Limits


def _rate(text: str) -> tuple[int, float]:
    most, _, span = text.partition("/")
    return int(most), float(span)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.posthog_standin", description=__doc__)
    parser.add_argument("--events", required=True, help="glob of the events' Parquet files")
    parser.add_argument("--persons", help="glob of the persons' Parquet files")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any free port")
    parser.add_argument("--project-id", type=int, default=1)
    parser.add_argument("--timezone", default="UTC", help="the project's time zone")
    parser.add_argument(
        "--property-type",
        action="append",
        default=[],
        metavar="NAME=TYPE",
        help="a property definition: Numeric, Boolean, DateTime or String",
    )
    parser.add_argument("--data-dir", help="where chdb keeps its tables (default: temporary)")
    parser.add_argument(
        "--until-stdin-closes", action="store_true", help="end when the parent process does"
    )
    for limit in fields(Limits):
        _add_limit(parser, limit.name, limit.default)
    return parser


def _add_limit(parser: argparse.ArgumentParser, name: str, default: Any) -> None:
    flag = "--" + name.replace("_", "-")
    if name.endswith("rates"):
        parser.add_argument(flag, type=_rate, nargs="+", default=default, metavar="N/SECONDS")
    else:
        parser.add_argument(flag, type=type(default), default=default)


def _end_with_stdin(directory: Path) -> None:
    # Not by sys.stdin: a thread blocked in it holds its lock, and the interpreter cannot end.
    while os.read(0, 1 << 12):
        pass
    shutil.rmtree(directory, ignore_errors=True)
    os._exit(0)


def main() -> None:
    """Serve, after printing the address as one line of JSON."""
    # chdb takes the server's zone from the process; PostHog's ClickHouse runs in UTC.
    os.environ["TZ"] = "UTC"
    time.tzset()
    options = _parser().parse_args()
    directory = Path(options.data_dir or tempfile.mkdtemp(prefix="posthog-standin-"))
    if options.until_stdin_closes:
        threading.Thread(target=_end_with_stdin, args=(directory,), daemon=True).start()

    # Imported late: they load chdb, and only in the zone set above.
    from .engine import Engine
    from .service import Project, Service
    from .wire import Server
    from .world import Export

    export = Export(events=options.events, persons=options.persons, team_id=options.project_id)
    project = Project(
        id=options.project_id,
        timezone=options.timezone,
        property_types=dict(pair.split("=", 1) for pair in options.property_type),
    )
    limits = Limits(**{limit.name: getattr(options, limit.name) for limit in fields(Limits)})
    engine = Engine(export, timezone=options.timezone, directory=directory / "chdb")
    server = Server((options.host, options.port), Service(engine, project, limits))
    address = f"http://{options.host}:{server.server_port}"
    server.service.downloads.base_url = address
    line = {"url": address, "project_id": options.project_id, "pid": os.getpid()}
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
    try:
        server.serve_forever(poll_interval=0.1)
    except KeyboardInterrupt:
        engine.close()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
