"""Sound: the cues, the port, and the driver that plays through ALSA; when a cue is due is decided elsewhere.

Cues belong to changes, never to waiting: a device that repeats itself is soon unplugged.
"""

import asyncio
import io
import math
import struct
import wave
from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol

from firmware.errors import SoundUnavailable

RATE = 16_000
"""Samples a second; enough for tones below 2 kHz and for speech."""
TIMEOUT = 20.0
"""Seconds after which a player that does not end is stopped."""


class Cue(StrEnum):
    """The things worth a sound."""

    START = "start"
    READY = "ready"
    SUCCESS = "success"
    ERROR = "error"


Tones = Sequence[tuple[float, float]]
"""Pairs of (frequency in hertz, seconds); 0 Hz is silence."""

TONES: Mapping[Cue, Tones] = MappingProxyType(
    {
        Cue.START: ((440.0, 0.15),),
        Cue.READY: ((440.0, 0.15), (660.0, 0.2)),
        Cue.SUCCESS: ((523.0, 0.12), (659.0, 0.12), (784.0, 0.3)),
        Cue.ERROR: ((330.0, 0.25), (0.0, 0.1), (220.0, 0.4)),
    }
)
"""Rising tones are good news, falling ones bad."""


class Sound(Protocol):
    """Something that people hear."""

    async def play(self, cue: Cue) -> None:
        """Play a cue to its end; raise `SoundUnavailable` if that fails."""

    async def speak(self, text: str) -> None:
        """Say a text to its end; raise `SoundUnavailable` if that fails."""


class Silence:
    """For a station without a loudspeaker, or with sound switched off."""

    async def play(self, cue: Cue) -> None:
        """Do nothing."""

    async def speak(self, text: str) -> None:
        """Do nothing."""


class AlsaSound:
    """Plays with `aplay` and speaks with `espeak-ng`, both of which a station may lack."""

    def __init__(self, volume: int = 60, *, player: str = "aplay", speaker: str = "espeak-ng") -> None:
        """`volume` is 0 to 100; 0 is silent."""
        if not 0 <= volume <= 100:
            raise ValueError(f"the volume is 0 to 100, not {volume}")
        self._volume = volume
        self._player = player
        self._speaker = speaker
        self._turn = asyncio.Lock()

    async def play(self, cue: Cue) -> None:
        """Play a cue to its end; raise `SoundUnavailable` if that fails."""
        if self._volume:
            await self._pipe(wav(TONES[cue], self._volume), self._player, "-q", "-")

    async def speak(self, text: str) -> None:
        """Say a text to its end; raise `SoundUnavailable` if that fails."""
        if self._volume:
            # the text goes in by stdin: a PIN must not stand in the list of processes
            await self._pipe(text.encode(), self._speaker, "--stdin", "-a", str(self._volume), "-s", "130")

    async def _pipe(self, data: bytes, *command: str) -> None:
        """Run one program at a time with `data` as its input."""
        async with self._turn:
            process = await _start(*command)
            try:
                async with asyncio.timeout(TIMEOUT):
                    _, complaint = await process.communicate(data)
            except TimeoutError as error:
                raise SoundUnavailable(f"{command[0]} did not end within {TIMEOUT:g} s.") from error
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
        if process.returncode:
            raise SoundUnavailable(f"{command[0]} failed: {complaint.decode(errors='replace').strip()}")


async def _start(*command: str) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        raise SoundUnavailable(f"{command[0]} cannot be started: {error.strerror}.") from error


def wav(tones: Tones, volume: int) -> bytes:
    """The tones as a WAV file: one channel, 16 bits, `RATE` samples a second."""
    samples = [sample for hertz, seconds in tones for sample in _tone(hertz, seconds, volume)]
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    return file.getvalue()


def spoken_pin(pin: str) -> str:
    """The PIN as it is read out: digit by digit, with a pause between groups of three."""
    groups = [" ".join(pin[start : start + 3]) for start in range(0, len(pin), 3)]
    return ", ".join(groups)


def _tone(hertz: float, seconds: float, volume: int) -> list[int]:
    """A sine that fades in and out within 10 ms, since a hard edge clicks."""
    count, fade = round(seconds * RATE), RATE // 100
    peak = 32_767 * volume / 100
    return [
        round(
            peak
            * min(1.0, place / fade, (count - place) / fade)
            * math.sin(2 * math.pi * hertz * place / RATE)
        )
        for place in range(count)
    ]
