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
    """One look. Bytes, per cent since the look before, °C, seconds since boot."""

    memory: MemoryUsage
    cpu: CpuUsage
    disk: DiskUsage
    uptime: float

    @property
    def cpu_percent(self) -> float | None:
        """How busy the processor was."""
        return None if self.cpu.idle is None else round(100 - self.cpu.idle, 1)


class HostTelemetry:
    """Looks at the host. `folder` lies on the file system whose space matters."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        psutil.cpu_times_percent()  # the first call only starts the measurement

    async def facts(self) -> HostFacts:
        """The facts now; the reading happens in a thread."""
        return await asyncio.to_thread(self._read)

    def _read(self) -> HostFacts:
        return HostFacts(_memory(), _cpu(), _disk(self._folder), time.clock_gettime(time.CLOCK_BOOTTIME))


def _memory() -> MemoryUsage:
    memory = psutil.virtual_memory()
    return MemoryUsage(
        total=memory.total,
        used=memory.total - memory.available,
        free=memory.available,
        cached=getattr(memory, "cached", None),
    )


def _cpu() -> CpuUsage:
    times = psutil.cpu_times_percent()
    return CpuUsage(
        user=round(times.user, 1),
        system=round(times.system, 1),
        idle=round(times.idle, 1),
        load_average=[round(each, 2) for each in psutil.getloadavg()],
        temperature=_temperature(),
    )


def _temperature() -> float | None:
    try:
        sensors = psutil.sensors_temperatures()
    except (AttributeError, OSError):
        return None
    for name in (*_CPU_SENSORS, *sensors):
        if sensors.get(name):
            return round(float(sensors[name][0].current), 1)
    return None


def _disk(folder: Path) -> DiskUsage:
    try:
        usage = psutil.disk_usage(str(folder))
    except OSError:
        return DiskUsage()
    return DiskUsage(total=usage.total, used=usage.used, free=usage.free)
