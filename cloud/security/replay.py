"""Remembers, per key, which nonces were used, so that a signed request counts once, over restarts too."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, insert, select, update

from cloud.store.schema import replay
from protocol.errors import BAD_SIGNATURE, REPLAYED_NONCE, Refusal
from protocol.signature import ReplayWindow

_LARGEST = 2**63 - 1
"""What the store's integers hold."""
_WINDOW = select(replay).where(replay.c.keyid == bindparam("key"))
_MOVE = update(replay).where(replay.c.keyid == bindparam("key"))


def spend(connection: Connection, keyid: str, boot: int, sequence: int, now_ms: int) -> Refusal | None:
    """Marks a nonce as used in the caller's transaction. Returns the refusal when it was used before.

    The refusal names the boot counter from which on nonces are new: a station whose card went back to an old
    image adopts it. Only call this for a request whose signature held.
    """
    if max(boot, sequence) > _LARGEST:
        return Refusal("REG-004", BAD_SIGNATURE, "The nonce's numbers are too large.")
    row = connection.execute(_WINDOW, {"key": keyid}).first()
    window = ReplayWindow(row.boot, row.highest, int(row.bits, 16)) if row else ReplayWindow()
    accepted = window.accept(boot, sequence)
    if accepted is None:
        return Refusal(
            "REG-004", REPLAYED_NONCE, "This request was received before.", min_boot_ctr=window.boot + 1
        )
    values = {
        "boot": accepted.boot,
        "highest": accepted.highest,
        "bits": f"{accepted.bits:016x}",
        "used": now_ms,
    }
    if row:
        connection.execute(_MOVE, {"key": keyid} | values)
    else:
        connection.execute(insert(replay).values(keyid=keyid, **values))
    return None
