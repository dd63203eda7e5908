"""A name server with one name, which can be told to fail. IPv4 and UDP only (RFC 1035).

Usage: python -m tests.netfaults.names CONTROL ADDRESS NAME
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from typing import Any

from tests.netfaults.control import serve

PORT = 53
A, IN = 1, 1
CODES = {"answer": 0, "servfail": 2, "nxdomain": 3}
QR_AA_RA = 0x8480


class Names:
    """Answers with `address` for `name`. `mode` is answer, servfail, nxdomain, silent, or gone.

    Gone means that nobody listens, so that the kernel says so (ICMP port unreachable).
    """

    def __init__(self, address: str, name: str) -> None:
        self._address = address
        self._name = name.encode()
        self._mode = "answer"
        self._asked = 0
        self._socket: socket.socket | None = None

    async def start(self) -> None:
        """Listens."""
        self._listen()

    def obey(self, wish: dict[str, Any]) -> dict[str, Any]:
        """Changes the mode, which begins a new count of the questions."""
        if "mode" in wish:
            self._mode, self._asked = wish["mode"], 0
            self._hang_up()
            if self._mode != "gone":
                self._listen()
        return {"mode": self._mode, "asked": self._asked}

    def _listen(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind((self._address, PORT))
        asyncio.get_running_loop().add_reader(self._socket, self._take, self._socket)

    def _hang_up(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def _take(self, door: socket.socket) -> None:
        data, address = door.recvfrom(512)
        self._asked += 1
        if self._mode != "silent":
            door.sendto(reply(data, self._name, self._address, CODES[self._mode]), address)


def reply(question: bytes, name: bytes, address: str, code: int) -> bytes:
    """The answer to one question: the address of `name`, nothing for other types, NXDOMAIN for others."""
    end = question.index(b"\0", 12) + 5
    asked, kind = _name_in(question), struct.unpack_from("!H", question, end - 4)[0]
    code = code or (0 if asked.lower() == name.lower() else CODES["nxdomain"])
    found = code == 0 and kind == A
    head = question[:2] + struct.pack("!HHHHH", QR_AA_RA | code, 1, int(found), 0, 0)
    record = struct.pack("!HHHIH", 0xC00C, A, IN, 1, 4) + socket.inet_aton(address) if found else b""
    return head + question[12:end] + record


def _name_in(question: bytes) -> bytes:
    labels, at = [], 12
    while length := question[at]:
        labels.append(question[at + 1 : at + 1 + length])
        at += 1 + length
    return b".".join(labels)


if __name__ == "__main__":
    names = Names(sys.argv[2], sys.argv[3])
    asyncio.run(serve(sys.argv[1], names.obey, names.start))
