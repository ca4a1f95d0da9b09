"""The demo marketplace: a simulated sneaker-trading marketplace with known effects of its pushes.

`write_demo` writes it as the sources live data comes from: a push database, PostHog exports and
automation files. Equal parameters give equal files. The truth stands beside them, for tests and
benchmarks only.
"""

from core.demo.files import DEMO_VERSION, DemoFiles, read_demo, write_demo
from core.demo.world import World

__all__ = ["DEMO_VERSION", "DemoFiles", "World", "read_demo", "write_demo"]
