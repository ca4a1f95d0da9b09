"""Pictures of every page: python -m tests.pages.screenshots OUT [--settings FILE]."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.pages.browser import PAGES, drawn, launch, serving, settle, visitor, window

_WIDTHS = {"wide": 1400, "narrow": 420}
_TALLEST = 12_000
_HEIGHT = "document.querySelector('[data-testid=stMain]').scrollHeight + 120"


def main() -> None:
    """Write one picture per page, theme and width."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--settings", type=Path)
    parser.add_argument("--pages", nargs="*", default=PAGES)
    parser.add_argument("--looks", nargs="*", default=("light", "dark"))
    parser.add_argument("--widths", nargs="*", default=tuple(_WIDTHS))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        settings = given.settings or _demo_settings(folder)
        browser = launch(playwright)
        with serving(settings.resolve(), folder) as server:
            for look in given.looks:
                for width in given.widths:
                    tabs = window(browser, width=_WIDTHS[width], dark=look == "dark")
                    page, _ = visitor(tabs)
                    for name in given.pages:
                        _shoot(page, server.url, name, given.out / f"{name}-{look}-{width}.png")
                    tabs.close()
        browser.close()


def _shoot(page: Page, url: str, name: str, out: Path) -> None:
    page.goto(f"{url}/{'' if name == 'overview' else name}")
    settle(page)
    if name == "campaign":
        page.get_by_role("combobox", name="Find a campaign").fill("drop")
        page.get_by_role("option").first.click()
        page.wait_for_url("**id=**")
        settle(page)
    size = page.viewport_size
    if size is None:
        raise RuntimeError("The browser has no window.")
    drawn(page)
    height = page.evaluate(_HEIGHT)
    page.set_viewport_size({"width": size["width"], "height": min(int(height), _TALLEST)})
    drawn(page)
    page.screenshot(path=out)
    page.set_viewport_size(size)


def _demo_settings(folder: Path) -> Path:
    settings = folder / "settings.toml"
    settings.write_text(f'[cache]\ndir = "{folder / "cache"}"\n', encoding="utf-8")
    return settings


if __name__ == "__main__":
    main()
