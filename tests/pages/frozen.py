"""Runs the dashboard with the clock stopped: python -m tests.pages.frozen INSTANT [OPTIONS]."""

from __future__ import annotations

import sys
from datetime import datetime
from functools import partial

from streamlit.web import cli

from core import connect


def main() -> None:
    """Serve app.py; what counts as now is the instant given, whatever the time."""
    instant = datetime.fromisoformat(sys.argv[1])
    connect.wire = partial(connect.wire, clock=lambda: instant)  # type: ignore[assignment]
    cli.main(["run", "app.py", *sys.argv[2:]], prog_name="streamlit")


if __name__ == "__main__":
    main()
