"""A station and a cloud whose secrets are known to the test, a life with all of them, and what it left."""

from __future__ import annotations

import base64
import json
import re
import socketserver
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from scripts.processes import BIN, SCENARIO, Cloud, Station

WIFI, WRONG = "canary-horse wifi", "canary-horse wrong"
SMTP_PASSWORD = "canary-smtp+password/1"


def aside(command: list[str], file: Path) -> list[str]:
    """The command with its standard output in a file: what is shown there on purpose is no log."""
    return ["sh", "-c", 'file=$1; shift; exec "$@" > "$file"', "sh", str(file), *command]


class LoudCloud(Cloud):
    """A cloud that logs everything, and sends its mails through a server with a password."""

    def __init__(self, folder: Path, smtp_port: int) -> None:
        password = folder / "smtp-password"
        password.write_text(SMTP_PASSWORD + "\n")
        super().__init__(
            folder,
            log_level="debug",
            smtp_host="127.0.0.1",
            smtp_port=str(smtp_port),
            smtp_security="none",
            smtp_user="canary",
            smtp_password_file=str(password),
        )

    def command(self) -> list[str]:
        return aside(super().command(), self.folder / "cloud.out")

    def cli(self, *words: str) -> list[str]:
        return [str(BIN / "meteor-cloud"), *words, "--config", str(self.config), "--data-dir", str(self.data)]


class LoudStation(Station):
    """A station that logs everything. What its display shows has a file of its own: codes belong there."""

    def __init__(self, folder: Path, cloud: Cloud) -> None:
        super().__init__(folder, cloud, "station", **{"log.level": "DEBUG"})
        self.scenario.write_text(SCENARIO.replace("correct horse", WIFI))

    def command(self) -> list[str]:
        return aside(super().command(), self.shown)

    @property
    def shown(self) -> Path:
        return self.folder / "display.txt"


class _Suspicious(socketserver.StreamRequestHandler):
    """Refuses the password, and repeats it in the refusal as bad servers do."""

    def handle(self) -> None:
        self.wfile.write(b"220 test\r\n")
        while line := self.rfile.readline():
            word = line[:4].upper()
            if word == b"EHLO":
                self.wfile.write(b"250-test\r\n250 AUTH PLAIN LOGIN\r\n")
            elif word == b"AUTH":
                self.server.tried.set()  # type: ignore[attr-defined]
                self.wfile.write(b"535 this is wrong: " + line.strip() + b"\r\n")
            else:
                self.wfile.write(b"250 test\r\n")


@contextmanager
def suspicious_mail_server() -> Iterator[tuple[int, threading.Event]]:
    """Its port, and whether somebody showed it a password."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Suspicious) as server:
        server.daemon_threads = True
        tried = server.tried = threading.Event()  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_address[1], tried
        server.shutdown()
        thread.join()


class Secrets:
    """Every secret by its name, and where it was found."""

    def __init__(self) -> None:
        self._known: dict[str, re.Pattern[str]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def text(self, name: str, secret: str) -> str:
        """One that is long enough to be found wherever it stands, in the usual forms."""
        assert len(secret) >= 12, name
        raw = secret.encode()
        forms = {secret, quote(secret, safe=""), json.dumps(secret)[1:-1], raw.hex(), *_base64(raw)}
        self._known[name] = re.compile("|".join(map(re.escape, forms)), re.IGNORECASE)
        return secret

    def pin(self, name: str, secret: str) -> str:
        """Six digits, also in groups; other digits, letters or a point around them are another number."""
        assert re.fullmatch(r"\d{6}", secret), name
        self._known[name] = re.compile(rf"(?<![\w.:-]){secret[:3]}[ \u202f\xa0-]?{secret[3:]}(?![\w-])")
        return secret

    def pem(self, name: str, pem: str) -> None:
        """A private key: each of its lines is too much, without what only says the kind of key."""
        body = "".join(pem.splitlines()[1:-1])
        lines = [
            body[start : start + 24] for start in range(40 if len(body) > 64 else 24, len(body) - 24, 24)
        ]
        lines.append(body[-36:])
        self._known[name] = re.compile("|".join(map(re.escape, lines)))

    def found_in(self, text: str, allowed: Iterable[str] = ()) -> list[str]:
        """The names of those that are in a text and may not be."""
        return [name for name, form in self._known.items() if name not in set(allowed) and form.search(text)]


def _base64(raw: bytes) -> Iterator[str]:
    """What is certain of a text inside of something longer in base64, at each of three offsets."""
    for offset in range(3):
        whole = base64.b64encode(bytes(offset) + raw).decode()
        certain = whole[-(-offset * 8 // 6) : len(whole.rstrip("=")) - (1 if whole.endswith("=") else 0)]
        yield certain
        yield certain.replace("+", "-").replace("/", "_")
