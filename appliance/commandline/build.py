"""Which build this is: the commit of a checkout, or the package's own date."""

from __future__ import annotations

import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

_HERE = Path(__file__).resolve().parent.parent


def build_text() -> str:
    """For `version`: where the code comes from, and the Python that runs it."""
    return f"{_source()}, Python {platform.python_version()}"


def _source() -> str:
    if (_HERE.parent / ".git").exists():
        try:
            command = ["git", "-C", str(_HERE.parent), "rev-parse", "--short", "HEAD"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)  # noqa: S603
            return f"commit {done.stdout.strip()}"
        except (OSError, subprocess.SubprocessError):
            pass
    made = datetime.fromtimestamp((_HERE / "__init__.py").stat().st_mtime, UTC)
    return f"of {made:%Y-%m-%d}"
