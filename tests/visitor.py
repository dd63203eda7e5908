"""A phone's network stack inside a namespace: DHCP, DNS questions, knocks, a browser without scripts."""

from __future__ import annotations

import http.client
import secrets
import socket
import struct
import time
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from scripts.people import Page
from tests.namespaces import Namespace

A, AAAA, HTTPS = 1, 28, 65
NOERROR, REFUSED = 0, 5
PATIENCE_S = 30.0

_SCRIPT = """#!/bin/sh
[ "$1" = bound ] || [ "$1" = renew ] || exit 0
ip addr flush dev $interface
ip addr add $ip/$mask dev $interface
ip route replace default via $router
env | grep -E '^(ip|router|dns|lease|serverid|opt[0-9]+)=' > "$LEASE"
"""


@dataclass(frozen=True, slots=True)
class DnsAnswer:
    """A response code (RFC 1035) and the addresses of type A or AAAA in it."""

    code: int
    addresses: tuple[str, ...]


@dataclass
class Visitor:
    """One phone at `interface` inside `space`."""

    space: Namespace
    interface: str
    folder: Path
    lease: dict[str, str] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)

    def ask_for_address(self) -> dict[str, str]:
        """A DHCP lease, applied as phones do; what the server said."""
        script, told = self.folder / "udhcpc.sh", self.folder / f"{self.interface}.lease"
        script.write_text(_SCRIPT)
        script.chmod(0o755)
        told.unlink(missing_ok=True)
        client = ("busybox", "udhcpc", "-i", self.interface, "-n", "-q", "-t", "20", "-T", "1", "-O", "114")
        said = self.space.run("env", f"LEASE={told}", *client, "-s", script, check=False)
        assert told.exists(), f"no lease: {said}"
        self.lease = dict(line.split("=", 1) for line in told.read_text().splitlines())
        return self.lease

    @property
    def address(self) -> str:
        """What DHCP gave."""
        return self.lease["ip"]

    # --- names ----------------------------------------------------------------------------------------------

    def resolve(self, name: str, kind: int = A, *, tcp: bool = False) -> DnsAnswer:
        """Asks the server that DHCP named."""
        server = self.lease["dns"].split()[0]
        return self.space.do(lambda: _ask(server, name, kind, tcp))

    # --- knocks ---------------------------------------------------------------------------------------------

    def knock(self, address: str, port: int, seconds: float = 3.0) -> str:
        """`open`, `refused`, or `silent` when nothing came back in so many seconds."""
        found: str = self.space.do(lambda: _knock(address, port, seconds))
        return found

    def pings(self, address: str) -> bool:
        """Whether an echo comes back."""
        said = self.space.run("busybox", "ping", "-c", "2", "-W", "2", address, check=False)
        return " 0% packet loss" in said or " 50% packet loss" in said

    # --- pages ----------------------------------------------------------------------------------------------

    def fetch(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> tuple[http.client.HTTPMessage, int, bytes]:
        """One request, its name resolved by the hotspot; no redirect is followed."""
        parts = urllib.parse.urlsplit(url)
        host = parts.hostname or ""
        address = host if _is_literal(host) else self.resolve(host).addresses[0]
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        sent = {"Host": parts.netloc, "Cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items())}
        sent |= dict(headers)

        def exchange() -> tuple[http.client.HTTPMessage, int, bytes]:
            connection = http.client.HTTPConnection(address, parts.port or 80, timeout=PATIENCE_S)
            try:
                connection.request(method, path, body, {k: v for k, v in sent.items() if v})
                answer = connection.getresponse()
                return answer.headers, answer.status, answer.read()
            finally:
                connection.close()

        headers_back, status, content = self.space.do(exchange)
        for line in headers_back.get_all("Set-Cookie", []):
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
        return headers_back, status, content

    def open(self, url: str) -> Page:
        """A page, redirects followed as browsers do."""
        for _ in range(10):
            back, status, content = self.fetch(url)
            if status not in (301, 302, 303, 307):
                return Page(url, status, content.decode(errors="replace"))
            url = urllib.parse.urljoin(url, back["Location"])
        raise AssertionError(f"redirects without end at {url}")

    def send(self, page: Page, action: str, **typed: str) -> Page:
        """Fills in the page's form for `action`, sends it, and follows where it leads."""
        return self.open(self.send_only(page, action, **typed))

    def send_only(self, page: Page, action: str, **typed: str) -> str:
        """Sends the form; the address that the answer leads to."""
        form = page.form(action)
        target = urllib.parse.urljoin(page.url, form.action)
        origin = "{0.scheme}://{0.netloc}".format(urllib.parse.urlsplit(target))
        body = urllib.parse.urlencode(form.values | typed).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": origin}
        back, status, content = self.fetch(target, "POST", body, headers)
        assert status in (302, 303), f"{status}: {Page(target, status, content.decode()).text[:500]}"
        return str(urllib.parse.urljoin(target, back["Location"]))


def eventually(look: Callable[[], object], what: str, seconds: float = 60.0, every: float = 0.5) -> None:
    """Looks until it is so; fails with `what` after so many seconds."""
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(every)


def _is_literal(host: str) -> bool:
    try:
        socket.inet_aton(host)
    except OSError:
        return False
    return True


def _knock(address: str, port: int, seconds: float) -> str:
    with socket.socket() as probe:
        probe.settimeout(seconds)
        try:
            probe.connect((address, port))
        except ConnectionRefusedError:
            return "refused"
        except OSError:
            return "silent"
    return "open"


def _ask(server: str, name: str, kind: int, tcp: bool) -> DnsAnswer:
    """One question (RFC 1035 §4.1), asked again while nothing comes back."""
    number = secrets.token_bytes(2)
    labels = b"".join(bytes([len(part)]) + part for part in name.encode("idna").split(b"."))
    question = labels + b"\0" + struct.pack(">HH", kind, 1)
    message = number + struct.pack(">HHHHH", 0x0100, 1, 0, 0, 0) + question
    deadline = time.monotonic() + PATIENCE_S
    while True:
        with socket.socket(type=socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as asker:
            asker.settimeout(3)
            try:
                asker.connect((server, 53))
                asker.sendall(struct.pack(">H", len(message)) + message if tcp else message)
                answer = asker.recv(4096)[2 if tcp else 0 :]
            except OSError:
                assert time.monotonic() < deadline, f"no answer to {name} from {server}"
                continue
        if answer[:2] == number:
            return _read(answer, 12 + len(question))


def _read(answer: bytes, at: int) -> DnsAnswer:
    found = []
    for _ in range(int.from_bytes(answer[6:8], "big")):
        while answer[at] & 0xC0 != 0xC0 and answer[at]:
            at += answer[at] + 1
        at += 2 if answer[at] & 0xC0 == 0xC0 else 1
        kind, _, _, length = struct.unpack(">HHIH", answer[at : at + 10])
        data, at = answer[at + 10 : at + 10 + length], at + 10 + length
        if kind in (A, AAAA):
            found.append(socket.inet_ntop(socket.AF_INET if kind == A else socket.AF_INET6, data))
    return DnsAnswer(answer[3] & 0x0F, tuple(found))
