"""Sound: what is in the tones, and how the real programs are called."""

import asyncio
import io
import os
import wave
from pathlib import Path

import numpy as np
import pytest

import firmware.sound
from firmware.errors import SoundUnavailable
from firmware.sound import RATE, TONES, AlsaSound, Cue, Silence, spoken_pin, wav


def program(folder: Path, name: str, script: str) -> str:
    """A real program that stands in for a player."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return os.fspath(path)


def loudest(data: bytes, start: float, seconds: float) -> float:
    """The strongest frequency in a part of a WAV file, in hertz."""
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, RATE)
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
    part = samples[round(start * RATE) : round((start + seconds) * RATE)]
    return float(np.argmax(np.abs(np.fft.rfft(part))) * RATE / len(part))


@pytest.mark.parametrize("cue", Cue)
def test_each_tone_of_a_cue_is_heard_at_its_time(cue: Cue) -> None:
    data, start = wav(TONES[cue], 80), 0.0
    for hertz, seconds in TONES[cue]:
        assert loudest(data, start, seconds) == pytest.approx(hertz, abs=8)
        start += seconds


def test_good_news_rises_and_bad_news_falls() -> None:
    for cue in (Cue.READY, Cue.SUCCESS):
        assert [tone[0] for tone in TONES[cue]] == sorted(tone[0] for tone in TONES[cue])
    assert TONES[Cue.ERROR][0][0] > TONES[Cue.ERROR][-1][0]


def test_a_tone_is_as_loud_as_the_volume_and_has_no_hard_edges() -> None:
    for volume in (10, 50, 100):
        samples = np.frombuffer(wav(((440.0, 0.2),), volume)[44:], dtype="<i2")
        assert np.abs(samples).max() == pytest.approx(32_767 * volume / 100, rel=0.02)
        assert abs(int(samples[0])) < 50
        assert abs(int(samples[-1])) < 600


@pytest.mark.parametrize(
    ("pin", "spoken"), [("493027", "4 9 3, 0 2 7"), ("000000", "0 0 0, 0 0 0"), ("12345", "1 2 3, 4 5")]
)
def test_a_pin_is_read_digit_by_digit(pin: str, spoken: str) -> None:
    assert spoken_pin(pin) == spoken


async def test_a_cue_reaches_the_player_as_a_wav_file(tmp_path: Path) -> None:
    sound = AlsaSound(
        70, player=program(tmp_path, "aplay", f'echo "$@" > {tmp_path}/args; cat > {tmp_path}/heard')
    )
    await sound.play(Cue.SUCCESS)
    assert (tmp_path / "heard").read_bytes() == wav(TONES[Cue.SUCCESS], 70)
    assert (tmp_path / "args").read_text() == "-q -\n"


async def test_a_spoken_text_never_stands_on_a_command_line(tmp_path: Path) -> None:
    speaker = program(tmp_path, "espeak", f'echo "$@" > {tmp_path}/args; cat > {tmp_path}/heard')
    await AlsaSound(speaker=speaker).speak(spoken_pin("493027"))
    assert (tmp_path / "heard").read_text() == "4 9 3, 0 2 7"
    assert "4 9 3" not in (tmp_path / "args").read_text()


async def test_two_sounds_at_once_are_heard_one_after_the_other(tmp_path: Path) -> None:
    player = program(
        tmp_path,
        "aplay",
        f"cat > /dev/null; echo on >> {tmp_path}/log; sleep 0.1; echo off >> {tmp_path}/log",
    )
    sound = AlsaSound(player=player)
    await asyncio.gather(sound.play(Cue.START), sound.play(Cue.READY))
    assert (tmp_path / "log").read_text().split() == ["on", "off", "on", "off"]


async def test_at_volume_zero_nothing_is_started() -> None:
    sound = AlsaSound(0, player="/nonexistent", speaker="/nonexistent")
    await sound.play(Cue.ERROR)
    await sound.speak("hello")


async def test_a_missing_player_is_named() -> None:
    with pytest.raises(SoundUnavailable, match="/nonexistent cannot be started: No such file") as refusal:
        await AlsaSound(player="/nonexistent").play(Cue.START)
    assert refusal.value.code == "HW-003"


async def test_a_player_that_fails_says_why(tmp_path: Path) -> None:
    player = program(tmp_path, "aplay", "cat > /dev/null; echo no sound card >&2; exit 1")
    with pytest.raises(SoundUnavailable, match="aplay failed: no sound card"):
        await AlsaSound(player=player).play(Cue.START)


async def test_a_player_that_hangs_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firmware.sound, "TIMEOUT", 0.2)
    player = program(tmp_path, "aplay", f"echo $$ > {tmp_path}/pid; exec sleep 600")
    with pytest.raises(SoundUnavailable, match="did not end within"):
        await AlsaSound(player=player).play(Cue.START)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


@pytest.mark.parametrize("volume", [-1, 101])
def test_a_volume_out_of_range_is_refused(volume: int) -> None:
    with pytest.raises(ValueError, match="0 to 100"):
        AlsaSound(volume)


async def test_silence_is_silent() -> None:
    silence = Silence()
    await silence.play(Cue.START)
    await silence.speak("hello")
    assert vars(silence) == {}
