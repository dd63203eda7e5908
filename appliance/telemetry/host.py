"""What the computer says of itself, by psutil. A sensor that is missing gives None, never a failure."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from protocol.messages import CpuUsage, DiskUsage, MemoryUsage

_CPU_SENSORS = ("cpu_thermal", "coretemp", "k10temp", "soc_thermal", "cpu-thermal")


@dataclass(frozen=True, slots=True)
class HostFacts:
    """One look. Bytes, per cent since the look before, °C, seconds since boot; `battery` from 0 to 1.

    `battery` is None without one, and while it is being charged.
    """

    memory: MemoryUsage
    cpu: CpuUsage
    disk: DiskUsage
    uptime: float
    battery: float | None = None

    @property
    def cpu_percent(self) -> float | None:
        """How busy the processor was."""
        return None if self.cpu.idle is None else round(100 - self.cpu.idle, 1)


class HostTelemetry:
    """Looks at the host. `folder` lies on the file system whose space matters."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._before = _cpu_times()

    async def facts(self) -> HostFacts:
        """The facts now; the reading happens in a thread."""
        return await asyncio.to_thread(self._read)

    def _read(self) -> HostFacts:
        uptime = time.clock_gettime(time.CLOCK_BOOTTIME)
        return HostFacts(_memory(), self._cpu(), _disk(self._folder), uptime, _battery())

    def _cpu(self) -> CpuUsage:
        # psutil.cpu_times_percent keeps one "look before" per thread, so in a pool of threads a look may have
        # none and would say 0 % idle. Ours belongs to this object.
        before, self._before = self._before, _cpu_times()
        user, system, idle = cpu_shares(before, self._before) or (None, None, None)
        return CpuUsage(
            user=user,
            system=system,
            idle=idle,
            load_average=[round(each, 2) for each in psutil.getloadavg()],
            temperature=_temperature(),
        )


def _memory() -> MemoryUsage:
    memory = psutil.virtual_memory()
    return MemoryUsage(
        total=memory.total,
        used=memory.total - memory.available,
        free=memory.available,
        cached=getattr(memory, "cached", None),
    )


CpuTimes = tuple[float, float, float, float]


def _cpu_times() -> CpuTimes:
    """Seconds of user (with nice), system (with interrupts), idle (with waiting for disks), and all of it."""
    times = psutil.cpu_times()._asdict()
    user = times["user"] + times.get("nice", 0.0)
    system = times["system"] + times.get("irq", 0.0) + times.get("softirq", 0.0)
    idle = times["idle"] + times.get("iowait", 0.0)
    return user, system, idle, user + system + idle + times.get("steal", 0.0)


def cpu_shares(before: CpuTimes, now: CpuTimes) -> tuple[float, float, float] | None:
    """Per cent of user, system and idle between two readings; None when no time passed between them."""
    passed = now[3] - before[3]
    if passed <= 0:
        return None
    shares = (100 * (now[part] - before[part]) / passed for part in range(3))
    user, system, idle = (round(min(100.0, max(0.0, share)), 1) for share in shares)
    return user, system, idle


def _temperature() -> float | None:
    try:
        sensors = psutil.sensors_temperatures()
    except (AttributeError, OSError):
        return None
    for name in (*_CPU_SENSORS, *sensors):
        if sensors.get(name):
            return round(float(sensors[name][0].current), 1)
    return None


def _battery() -> float | None:
    try:
        battery = psutil.sensors_battery()
    except (AttributeError, OSError):
        return None
    return None if battery is None or battery.power_plugged else battery.percent / 100


def _disk(folder: Path) -> DiskUsage:
    try:
        usage = psutil.disk_usage(str(folder))
    except OSError:
        return DiskUsage()
    return DiskUsage(total=usage.total, used=usage.used, free=usage.free)
