"""Logging for people, for journald and for the status page's tail. Secrets must not reach a logger at all."""

from __future__ import annotations

import json
import logging
import sys
from collections import deque
from datetime import UTC, datetime

from protocol import server_log

TAIL = 60
"""Lines kept for the status page."""
HISTORY = 2000
"""Lines kept for the support bundle: about a night."""
LONGEST = 500


class Tail(logging.Handler):
    """The last lines in memory: `lines` for people, `history` with tracebacks for support."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: deque[str] = deque(maxlen=TAIL)
        self.history: deque[str] = deque(maxlen=HISTORY)
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))

    def emit(self, record: logging.LogRecord) -> None:
        """One line for one record, whatever it holds."""
        said = self.format(record)
        self.lines.append(said.splitlines()[0])
        self.history.extend(_shortened(line) for line in said.splitlines())


def _shortened(line: str) -> str:
    """Cut between two words: half a secret could not be recognised and hidden any more."""
    return line if len(line) <= LONGEST else line[:LONGEST].rpartition(" ")[0] + " …"


class Json(logging.Formatter):
    """One JSON object a line: timestamp (UTC), level, service, component, message, traceback if any."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON."""
        entry = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "service": "edge",
            "component": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


def configure(level: str, style: str) -> Tail:
    """Sends all logs to standard error, and the last ones to the returned tail. `style` is text or json."""
    handler = logging.StreamHandler(sys.stderr)
    text = logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%H:%M:%S")
    handler.setFormatter(Json() if style == "json" else text)
    tail = Tail()
    root = logging.getLogger()
    root.handlers[:] = [handler, tail]
    root.setLevel(level)
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    logging.getLogger("transitions").setLevel(logging.WARNING)
    server_log.tame()
    return tail
