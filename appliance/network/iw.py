"""The program `iw`, which tells and sets what NetworkManager does not: where it is and how it is run."""

from __future__ import annotations

import asyncio
import os
import shutil
from dataclasses import dataclass

_BESIDES = "/usr/sbin:/usr/bin:/sbin:/bin"
"""Where Debian puts it; not every user has all of them in the path."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the program left behind."""

    status: int
    output: str
    complaint: str


def program() -> str | None:
    """Its path; None where it is not installed. Looks at the disk."""
    return shutil.which("iw", path=os.pathsep.join([os.environ.get("PATH", ""), _BESIDES]))


async def run(path: str, *arguments: str) -> Answer:
    """Runs it to its end; it does not outlive its caller. Raises `OSError`."""
    child = await asyncio.create_subprocess_exec(
        path, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        output, complaint = await child.communicate()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    return Answer(
        child.returncode or 0, output.decode("utf-8", "replace"), complaint.decode("utf-8", "replace").strip()
    )
