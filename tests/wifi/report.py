"""Prints the times of all Wi-Fi runs that were kept, as the table of docs/onboarding.md."""

from __future__ import annotations

import json
import statistics
import sys
from collections import defaultdict

from tests.wifi.vm.guest import RESULTS


def main() -> int:
    """One row for each step of each scenario, over all runs in the file."""
    if not RESULTS.exists():
        print(f"{RESULTS}: no run was kept yet")
        return 1
    steps: dict[tuple[str, str], list[float]] = defaultdict(list)
    machines = set()
    for line in RESULTS.read_text().splitlines():
        run = json.loads(line)
        machines.add(run["on"])
        for step, took in run["seconds"].items():
            steps[run["scenario"], step].append(took)
    print("\n".join(f"On: {machine}" for machine in sorted(machines)))
    print("\n| Scenario | Step | Runs | p50 | p95 |\n| --- | --- | --- | --- | --- |")
    for (scenario, step), times in steps.items():
        p50, p95 = statistics.median(times), percentile_95(times)
        print(f"| {scenario.replace('_', ' ')} | {step} | {len(times)} | {p50:.1f} s | {p95:.1f} s |")
    return 0


def percentile_95(times: list[float]) -> float:
    """The smallest time that at least 95 of 100 runs kept; with few runs the longest."""
    ordered = sorted(times)
    return ordered[max(0, -(-len(ordered) * 95 // 100) - 1)]


if __name__ == "__main__":
    sys.exit(main())
