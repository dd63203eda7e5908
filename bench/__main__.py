"""`make bench`: runs every measurement of this folder in turn, on a machine that should be quiet."""

from __future__ import annotations

import runpy
from pathlib import Path


def main() -> None:
    """Each module says itself what it measures and against what."""
    for path in sorted(Path(__file__).parent.glob("*.py")):
        if not path.name.startswith("_"):
            print(f"\n== {path.stem.replace('_', ' ')} ==", flush=True)
            runpy.run_module(f"bench.{path.stem}", run_name="__main__")


if __name__ == "__main__":
    main()
