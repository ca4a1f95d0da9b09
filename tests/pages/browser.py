"""A server of the dashboard and a browser that looks at it, both on this machine only."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import requests
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, Request

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("overview", "layers", "campaign", "quality", "reports", "method")
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
_PATIENCE_MS = 180_000
# Streamlit's frontend looks for its server below the page's path before it looks at the root.
_EXPECTED = re.compile(r"/_stcore/(health|host-config)")


@dataclass(slots=True)
class Seen:
    """What a browser met that it should not have."""

    foreign: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Server:
    """A running dashboard."""

    url: str
    log: Path


@contextmanager
def serving(
    settings: Path,
    folder: Path,
    *,
    as_of: datetime | None = None,
    config: Sequence[str] = (),
    script: str = "app.py",
) -> Iterator[Server]:
    """Run the dashboard in a fresh process until left.

    Args:
        settings: The TOML file it reads.
        folder: Where its log goes.
        as_of: What counts as now; the clock where left out.
        config: Further options of the server.
        script: What is run where the clock is not stopped.
    """
    port = _free_port()
    log = folder / f"server-{port}.log"
    variables = {name: value for name, value in os.environ.items() if not _is_ours(name)}
    module = ["streamlit", "run", script]
    if as_of is not None:
        module = ["tests.pages.frozen", as_of.isoformat()]
    options = ["--server.port", str(port), "--server.fileWatcherType", "none", *config]
    command = [sys.executable, "-m", *module, *options]
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=sink, stderr=subprocess.STDOUT,
            env={**variables, "PUSHLIFT_SETTINGS": str(settings)},
        )  # fmt: skip
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_until_up(url, process)
            yield Server(url=url, log=log)
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def launch(playwright: Playwright) -> Browser:
    """Start the system's Chromium."""
    program = shutil.which("chromium") or "/usr/bin/chromium"
    return playwright.chromium.launch(executable_path=program, args=list(_ARGUMENTS))


def window(
    browser: Browser, *, width: int = 1400, height: int = 900, dark: bool = False
) -> BrowserContext:
    """Return a browser window; its tabs share a cache, each is a visitor of its own."""
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if dark else "light",
        accept_downloads=True,
    )
    context.set_default_timeout(_PATIENCE_MS)
    return context


def visitor(context: BrowserContext) -> tuple[Page, Seen]:
    """Return a new visitor's tab, and what it meets that it should not."""
    seen, page = Seen(), context.new_page()
    _watch(page, seen)
    page.on("console", lambda said: _note(seen, said.type, said.text, said.location["url"]))
    page.on("pageerror", lambda error: seen.console.append(str(error)))
    page.on("dialog", lambda dialog: (seen.dialogs.append(dialog.message), dialog.dismiss()))
    return page, seen


def settle(page: Page) -> None:
    """Wait until everything is read and the script has run; figures may still be drawing."""
    page.wait_for_selector('[data-testid="stApp"]')
    page.wait_for_function(_IS_SETTLED, polling=100)


def drawn(page: Page) -> None:
    """Wait until nothing is left to be drawn."""
    settle(page)
    page.wait_for_function(_IS_DRAWN, polling=200)
    settle(page)


_IS_SETTLED = """() => {
  const app = document.querySelector('[data-testid="stApp"]');
  const isQuiet = app && app.dataset.testScriptState === 'notRunning'
    && app.dataset.testConnectionState === 'CONNECTED'
    && !document.querySelector('[data-stale="true"]')
    && document.querySelector('h1')
    && !document.body.innerText.includes('This page fills in by itself');
  if (!isQuiet) { window.quietSince = null; return false; }
  window.quietSince ??= performance.now();
  return performance.now() - window.quietSince > 300;
}"""
_IS_DRAWN = """() => !document.querySelector('[data-testid="stSkeleton"]')"""


def _watch(page: Page, seen: Seen) -> None:
    """Note requests to anywhere else; the browser cannot reach it, see _ARGUMENTS."""

    def note(request: Request) -> None:
        if not request.url.startswith(("http://127.0.0.1:", "data:", "blob:")):
            seen.foreign.append(request.url)

    page.on("request", note)


def _note(seen: Seen, kind: str, text: str, where: str) -> None:
    if kind == "error" and not _EXPECTED.search(where):
        seen.console.append(f"{text} {where}")


def _is_ours(name: str) -> bool:
    return name.startswith(("PUSHLIFT_", "STREAMLIT_"))


def _wait_until_up(url: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"The dashboard stopped with status {process.returncode}.")
        try:
            if requests.get(f"{url}/_stcore/health", timeout=2).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.1)
    raise RuntimeError("The dashboard did not start within a minute.")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
