"""The table of all scenarios: by name, the saved moment from which each starts, and what it does."""

from __future__ import annotations

from collections.abc import Callable

from tests.wifi.guest.world import World

Scenario = Callable[[World], None]
SCENARIOS: dict[str, tuple[str, Scenario]] = {}


def scenario(base: str) -> Callable[[Scenario], Scenario]:
    """Puts a function into the table under its own name."""

    def enter(function: Scenario) -> Scenario:
        SCENARIOS[function.__name__] = base, function
        return function

    return enter
