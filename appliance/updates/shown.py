"""The update as pages and `status` show it: read from the agent's job, which belongs to another process."""

from __future__ import annotations

from pathlib import Path

from firmware.update.jobs import read_job
from portal.view import NOTHING, Sentence, Update


def shown_update(folder: Path) -> Update:
    """The update that goes on, or the last one. Blocks for one small file."""
    job = read_job(folder)
    if job is None:
        return Update()
    reason = job.reason
    return Update(
        version=job.version,
        former=job.former,
        step=Sentence(job.sentence),
        percent=job.percent,
        reason=Sentence(reason.cause.text, dict(reason.fields)) if reason else NOTHING,
        action=Sentence(reason.cause.action) if reason else NOTHING,
        code=reason.code if reason else "",
        result=job.result,
        job=job.id,
    )
