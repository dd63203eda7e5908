"""`make bench`: runs every measurement of this folder in turn, on a machine that should be quiet."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def benches() -> list[str]:
    """The modules and packages of this folder that can be run."""
    modules = [path.stem for path in HERE.glob("*.py") if not path.name.startswith("_")]
    packages = [path.parent.name for path in HERE.glob("*/__main__.py")]
    return sorted(modules + packages)


def main() -> int:
    """Each in a process of its own, with our arguments; 1 when one of them failed."""
    failed = []
    for name in benches():
        print(f"\n== {name.replace('_', ' ')} ==\n", flush=True)
        if subprocess.run([sys.executable, "-m", f"bench.{name}", *sys.argv[1:]]).returncode:
            failed.append(name)
    if failed:
        print(f"\nFailed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
