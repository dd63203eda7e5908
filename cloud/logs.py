"""How the cloud logs: one line per record, plain or JSON, with the id of its request. Pass no secrets."""

from __future__ import annotations

import logging
import sys
from typing import Any

import msgspec

from cloud.api.middleware import current_request
from protocol import server_log
from protocol.clock import from_unix

SERVICE = "meteor-cloud"


class _WithRequest(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = current_request.get()
        return True


class JsonFormatter(logging.Formatter):
    """One JSON object per record."""

    def format(self, record: logging.LogRecord) -> str:
        """The members are stable: timestamp, level, service, component, correlation_id, message."""
        entry: dict[str, Any] = {
            "timestamp": from_unix(record.created),
            "level": record.levelname,
            "service": SERVICE,
            "component": record.name,
            "correlation_id": getattr(record, "request_id", "-"),
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(entry).decode()


def configure(style: str, level: str) -> None:
    """Sends all records to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_WithRequest())
    plain = logging.Formatter("%(asctime)s %(levelname)-7s %(name)s [%(request_id)s] %(message)s")
    handler.setFormatter(JsonFormatter() if style == "json" else plain)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    server_log.tame()
