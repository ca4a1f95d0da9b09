"""What a store does on a disk that fills up under it: run in a process of its own."""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

from core.activity.store import Store

LARGE = bytes(range(256)) * 400
SMALL = b"x" * 2000


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            return


def _no_more(home: Path, how: str) -> None:
    """Leave no room: fill the file system, or let no file of this process grow."""
    if how == "fill":
        _fill(home / "everything")
    else:
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, hard))


def _look(folder: Path, store: Store) -> dict[str, object]:
    return {
        "large": store.get("before large") == LARGE,
        "small": store.get("before small") == SMALL,
        "keys": store.keys("before"),
        "new": store.get("new large") is None,
        "files": len(list(folder.rglob("*.val"))),
        "notices": list(store.notices),
    }


def main(home: Path, how: str) -> None:
    folder = home / "cache"
    store = Store(folder)
    store.put("before large", LARGE)
    store.put("before small", SMALL)
    _no_more(home, how)
    store.put("new large", LARGE)
    for number in range(60):
        store.put(f"new {number}", b"y" * 20_000)
    seen = {"first": _look(folder, store)}
    another = Store(folder)
    seen["another"] = _look(folder, another)
    store.close()
    another.close()
    seen["later"] = _look(folder, Store(folder))
    if how == "fill":
        (home / "everything").unlink()
        recovered = Store(folder)
        recovered.put("after", SMALL)
        seen["recovered"] = _look(folder, recovered) | {"after": recovered.get("after") == SMALL}
        recovered.close()
    sys.stdout.write(json.dumps(seen))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
