"""What the log of an HTTP server says of bytes that are not HTTP: one line, because anybody can send them."""

from __future__ import annotations

import logging


class NotHttp(logging.Filter):
    """For the logger `aiohttp.server`, which tells each such request as an error with a traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keeps every record; what only says that a request could not be read becomes a line at INFO."""
        error = record.exc_info[1] if record.exc_info else None
        kinds = {kind.__name__ for kind in type(error).__mro__}
        if "HttpProcessingError" in kinds and getattr(error, "code", 500) < 500:
            said = " ".join(str(error).split())[:200]
            record.msg, record.args = "a request was not HTTP: %s", (said,)
            record.levelno, record.levelname = logging.INFO, "INFO"
            record.exc_info = record.exc_text = None
        return True


_NOT_HTTP = NotHttp()


def tame() -> None:
    """Once for a process; again does no harm."""
    logging.getLogger("aiohttp.server").addFilter(_NOT_HTTP)
