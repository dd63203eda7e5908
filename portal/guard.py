"""What stands between a form and the station: token, origin and attempts; pure, with the clock passed in.

No cookies: the small browsers that phones open for captive portals forget them. A token is bound to the
client's address and signed with a secret that lives as long as the process.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import OrderedDict
from urllib.parse import urlsplit


class Tokens:
    """Makes and checks form tokens. Times are monotonic seconds.

    A token is good for its `purpose` alone, also where two purposes share the secret.
    """

    def __init__(self, secret: bytes, lifetime: float = 3600.0, purpose: str = "form") -> None:
        self._secret = secret
        self._lifetime = lifetime
        self._purpose = purpose

    def issue(self, client: str, now: float) -> str:
        """A token that this client may send back until `now` plus the lifetime."""
        expiry = str(int(now + self._lifetime))
        return f"{expiry}.{self._mac(client, expiry)}"

    def accept(self, token: str, client: str, now: float) -> bool:
        """Whether `token` was issued to this client by this process and is not yet old."""
        expiry, _, mac = token.partition(".")
        if not hmac.compare_digest(mac.encode(), self._mac(client, expiry).encode()):
            return False
        return now <= int(expiry)

    def _mac(self, client: str, expiry: str) -> str:
        text = f"{self._purpose}|{client}|{expiry}"
        return hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()


class Attempts:
    """A token bucket for each client: `burst` tries at once, then one every `interval` seconds."""

    MAX_CLIENTS = 256

    def __init__(self, burst: int = 10, interval: float = 15.0) -> None:
        self._burst = burst
        self._interval = interval
        self._empty_at: OrderedDict[str, float] = OrderedDict()

    def wait(self, client: str, now: float) -> float:
        """Count one try; 0 if it is allowed, else the seconds until the next one is."""
        # The bucket is kept as the moment at which all past tries are paid for.
        paid = max(self._empty_at.get(client, now), now)
        over = paid + self._interval - (now + self._burst * self._interval)
        if over > 0:
            return over
        self._empty_at[client] = paid + self._interval
        self._empty_at.move_to_end(client)
        if len(self._empty_at) > self.MAX_CLIENTS:
            self._empty_at.popitem(last=False)
        return 0.0


def same_origin(origin: str | None, host: str) -> bool:
    """Whether an Origin header names the host that was asked; old browsers send none (RFC 6454 §7.3)."""
    if origin is None:
        return True
    parts = urlsplit(origin)
    return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower()
