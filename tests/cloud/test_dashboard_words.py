"""What pages say: numbers, times, codes, states. Tables, because each line is a promise to a reader."""

from __future__ import annotations

import pytest

from cloud.dashboard import measures, station_view, words
from cloud.dashboard.claim_view import claim_page
from cloud.dashboard.forms import from_refusal
from cloud.dashboard.stations import counts, picture, tile
from cloud.fleet.models import DeviceSummary, EventSummary, MediaItem
from cloud.qr import QUIET, qr_code
from protocol.errors import Refusal
from protocol.messages import (
    Backlog,
    BufferState,
    CameraInfo,
    CameraStatus,
    Clock,
    CpuUsage,
    DeviceInfo,
    DiskUsage,
    HeartbeatRequest,
    Location,
    NetworkInfo,
    NetworkQuality,
)
from statemachine.lifecycle import State

NB = "\u00a0"


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1.0 kB"),
        (9_949, "9.9 kB"),
        (9_950, "10 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (2_104_332, "2.1 MB"),
        (64_000_000_000, "64 GB"),
        (5e16, "50,000 TB"),
    ],
)
def test_sizes_have_at_most_three_digits(count: float, said: str) -> None:
    assert measures.size(count) == said.replace(" ", NB)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-5, "0_s"),
        (0, "0_s"),
        (59.9, "59_s"),
        (60, "1_min"),
        (61, "1_min 1_s"),
        (600, "10_min"),
        (3_600, "1_h"),
        (11_520, "3_h 12_min"),
        (86_399, "23_h"),
        (90_000, "1_d 1_h"),
        (31_536_000, "365_d"),
    ],
)
def test_durations_are_as_exact_as_they_need_to_be(seconds: float, said: str) -> None:
    assert measures.duration(seconds) == said.replace("_", NB)


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-01-01T00:00:00.250+01:00", 1_767_222_000_250),
        ("1969-12-31T23:59:59Z", -1_000),
        ("2026-01-01T00:00:00", None),
        ("yesterday", None),
        ("", None),
        (None, None),
    ],
)
def test_a_time_without_a_zone_is_no_time(text: str | None, ms: int | None) -> None:
    assert words.text_to_ms(text) == ms


@pytest.mark.parametrize("ms", [0, -86_400_000, 1_790_000_000_123, 253_402_300_799_000])
def test_times_in_pages_come_back_the_same(ms: int) -> None:
    assert words.text_to_ms(words.iso(ms)) == ms
    assert words.utc(ms).endswith(" UTC")


@pytest.mark.parametrize("ms", [10**18, -(10**18)])
def test_an_impossible_time_breaks_no_page(ms: int) -> None:
    assert words.utc(ms).startswith("1970")


@pytest.mark.parametrize(
    ("code", "shown"),
    [("BCDFGH", f"BCD{NB}FGH"), ("123456", f"123{NB}456"), ("", ""), (None, ""), ("A-B", "A-B")],
)
def test_codes_are_grouped_for_reading_aloud(code: str | None, shown: str) -> None:
    assert words.grouped(code) == shown


@pytest.mark.parametrize("state", [state.value for state in State])
def test_every_state_of_the_machine_has_words(state: str) -> None:
    assert words.station_label(state, online=True) != "Unknown state"
    assert words.station_label(state, online=False) == "Offline"


def test_a_state_from_a_newer_station_is_admitted_to_be_unknown() -> None:
    assert words.station_label("dreaming", online=True) == "Unknown state"


# --- the progress of a claim --------------------------------------------------------------------------------

STEPS = [
    ("pending", False, "Waiting for your station", "waiting unknown unknown unknown unknown", True),
    ("scanning", False, "Station found", "running working unknown unknown unknown", True),
    ("claiming", False, "Issuing its certificate", "running running working unknown unknown", True),
    ("success", False, "Starting", "running running running working unknown", True),
    ("success", True, "Running", "running running running running running", False),
]


@pytest.mark.parametrize(("status", "operational", "headline", "tones", "is_open"), STEPS)
def test_the_steps_of_a_claim(
    status: str, operational: bool, headline: str, tones: str, is_open: bool
) -> None:
    page = claim_page("clm_1", status, operational=operational)
    assert page.headline == headline
    assert " ".join(step.tone for step in page.steps) == tones
    assert page.open is is_open


def test_progress_only_grows() -> None:
    shown = [claim_page("clm_1", status, operational=done).progress for status, done, *_ in STEPS]
    assert shown == sorted(set(shown))


@pytest.mark.parametrize(
    ("error", "headline", "retry"),
    [
        ("wrong_code", "The PIN was not right", "pin"),
        ("too_many_attempts", "Too many wrong PINs", "pin"),
        ("claim_expired", "The station did not come", "start"),
        (None, "The station did not come", "start"),
        ("claim_denied", "Cancelled", "start"),
        ("already_registered", "This station belongs to somebody already", "start"),
        ("something_new", "The station could not be added", "start"),
    ],
)
def test_an_ended_claim_says_why_and_what_to_do(error: str | None, headline: str, retry: str) -> None:
    page = claim_page("clm_1", "expired", error=error, error_code="REG-004", short_id="BCDFGH", name="Roof")
    assert (page.headline, page.retry, page.tone) == (headline, retry, "failed")
    assert not page.open
    assert page.sentence


def test_a_claim_without_a_short_id_offers_no_form_that_could_not_be_filled() -> None:
    assert claim_page("clm_1", "expired", error="too_many_attempts").retry == "start"


# --- a station ----------------------------------------------------------------------------------------------


def beat(**changes: object) -> HeartbeatRequest:
    values: dict[str, object] = {"uptime": 4.0, "boot_id": "b", "seq": 1, "state": "operational"}
    return HeartbeatRequest(**(values | changes))  # type: ignore[arg-type]


def said(facts: list[station_view.Fact]) -> dict[str, tuple[str, str, str]]:
    return {fact.label: (fact.value, fact.tone, fact.detail) for fact in facts}


def test_a_station_that_never_spoke_has_no_facts() -> None:
    assert station_view.facts(None, None, online=False) == []
    assert station_view.host_facts(None) == []
    assert station_view.backlog(None) == []


def test_unknown_values_are_left_out_and_never_invented() -> None:
    assert said(station_view.facts(beat(), None, online=True)) == {"Uplink": ("Sending", "running", "")}
    assert said(station_view.host_facts(beat())) == {"Up for": (f"4{NB}s", "", "")}


def test_what_a_heartbeat_says_in_words() -> None:
    told = beat(
        network_info=NetworkInfo(connection_type="wifi", local_ip="10.0.0.7"),
        network_quality=NetworkQuality(signal_strength=-61.4),
        clock=Clock(synced=True, source="ntp", utc="", mono_ms=1, est_error_ms=2.6),
        camera_status=CameraStatus(connected=True, recording=True),
        buffer=BufferState(breaker="open"),
    )
    assert said(station_view.facts(told, None, online=True)) == {
        "Network": ("Wi-Fi", "", f"\u221261{NB}dBm, 10.0.0.7"),
        "Uplink": ("Paused after failures", "failed", ""),
        "Clock": ("Right", "running", f"ntp, ±3{NB}ms"),
        "Camera": ("Recording", "running", ""),
    }


def test_what_an_offline_station_said_last_has_no_colour_any_more() -> None:
    told = beat(clock=Clock(synced=True, source="ntp", utc="", mono_ms=1))
    assert {fact.tone for fact in station_view.facts(told, None, online=False)} == {"unknown"}


@pytest.mark.parametrize(
    ("camera", "value", "tone"),
    [
        (CameraStatus(error="no frames"), "Reports an error", "failed"),
        (CameraStatus(connected=False, recording=True), "Not connected", "failed"),
        (CameraStatus(recording=False), "Idle", "unknown"),
        (CameraStatus(connected=True), "Connected", "running"),
    ],
)
def test_the_camera_in_words(camera: CameraStatus, value: str, tone: str) -> None:
    shown = said(station_view.facts(beat(camera_status=camera), None, online=True))
    assert shown["Camera"][:2] == (value, tone)


def test_a_clock_that_is_not_synchronised_is_told() -> None:
    told = beat(clock=Clock(synced=False, source="none", utc="", mono_ms=1))
    assert said(station_view.facts(told, None, online=True))["Clock"] == (
        "Not synchronised",
        "working",
        "none",
    )


@pytest.mark.parametrize(("used", "tone"), [(89, ""), (90, "working"), (100, "working")])
def test_a_disk_that_is_nearly_full_is_marked(used: int, tone: str) -> None:
    shown = said(station_view.host_facts(beat(disk_usage=DiskUsage(total=100, used=used))))
    assert shown["Storage"][:2] == (f"{used}{NB}%", tone)


@pytest.mark.parametrize(("heat", "tone"), [(79.9, ""), (80.0, "working")])
def test_a_hot_processor_is_marked(heat: float, tone: str) -> None:
    shown = said(station_view.host_facts(beat(cpu_usage=CpuUsage(temperature=heat))))
    assert shown["Processor"][:2] == (f"80{NB}°C", tone)


def test_a_disk_of_size_zero_is_unknown() -> None:
    assert "Storage" not in said(station_view.host_facts(beat(disk_usage=DiskUsage(total=0, used=0))))


def test_the_backlog_is_a_table_most_urgent_first() -> None:
    told = beat(buffer=BufferState(normal=Backlog(count=12, bytes=2_800_000, oldest_s=11_520)))
    rows = station_view.backlog(told)
    assert [row.label for row in rows] == ["Critical", "High", "Normal", "Low"]
    assert (rows[2].count, rows[2].size, rows[2].oldest) == (12, f"2.8{NB}MB", f"3{NB}h 12{NB}min")
    assert (rows[0].count, rows[0].size, rows[0].oldest) == (0, "–", "–")


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        (Location(latitude=50.1, longitude=8.45, altitude=412), f"50.1000°{NB}N, 8.4500°{NB}E, 412{NB}m"),
        (Location(latitude=-33.9, longitude=-70.2), f"33.9000°{NB}S, 70.2000°{NB}W"),
    ],
)
def test_a_place_in_words(location: Location, shown: str) -> None:
    assert said(station_view.about_facts(None, location, None)) == {"Place": (shown, "", "")}


def test_what_a_station_told_of_its_machine_is_on_its_page() -> None:
    info = DeviceInfo(
        model="Raspberry Pi 4",
        firmware_version="1.0",
        hardware_revision="c03114",
        capabilities=["events", "media"],
        total_memory=3_884_000_000,
        total_storage=31_900_000_000,
        camera_info=CameraInfo(model="imx290", resolution="1920x1080", frame_rate=25.0),
    )
    network = NetworkInfo(mac_address="dc:a6:32:0a:0b:0c")
    shown = said(station_view.about_facts(info, None, None, network, "tpm2"))
    assert {label: value for label, (value, _, _) in shown.items()} == {
        "Software": "1.0",
        "Model": "Raspberry Pi 4",
        "Revision": "c03114",
        "Memory": f"3.9{NB}GB",
        "Storage": f"32{NB}GB",
        "Can do": "events, media",
        "Camera": "imx290",
        "Resolution": "1920x1080",
        "Frame rate": f"25{NB}fps",
        "Network address": "dc:a6:32:0a:0b:0c",
        "Key": "In the TPM",
    }


def test_what_a_station_did_not_tell_of_its_machine_has_a_dash() -> None:
    shown = said(station_view.about_facts(DeviceInfo(model="", firmware_version="1.0"), None, None))
    assert {value for label, (value, _, _) in shown.items() if label != "Software"} == {"–"}
    assert len(shown) == 11


@pytest.mark.parametrize(("rate", "told"), [(25.0, "25"), (0.5, "0.50"), (29.97, "29.97")])
def test_a_frame_rate_is_as_exact_as_it_was_told(rate: float, told: str) -> None:
    info = DeviceInfo(model="", firmware_version="", camera_info=CameraInfo(model="x", frame_rate=rate))
    assert said(station_view.about_facts(info, None, None))["Frame rate"][0] == f"{told}{NB}fps"


def test_event_data_become_lines() -> None:
    lines = station_view.flat(
        {"fps": 25.0, "ok": True, "begin": {"x": 1, "deep": {"y": None}}, "n": [1, "a"]}
    )
    assert list(lines) == [
        ("fps", "25.0"),
        ("ok", "true"),
        ("begin.x", "1"),
        ("begin.deep.y", "–"),
        ("n", "1, a"),
    ]


def nested(depth: int) -> dict[str, object]:
    outer: dict[str, object] = {}
    inner = outer
    for _ in range(depth):
        deeper: dict[str, object] = {}
        inner["a"], inner = deeper, deeper
    return outer


@pytest.mark.parametrize(
    "metadata", [nested(5_000), {"list": [nested(5_000)]}, {"text": "x" * 100_000}, {"list": ["x"] * 100_000}]
)
def test_monstrous_data_become_short_lines(metadata: dict[str, object]) -> None:
    lines = list(station_view.flat(metadata))
    assert len(lines) == 1
    assert len(lines[0][1]) <= station_view.LONGEST_VALUE + 1


# --- tiles --------------------------------------------------------------------------------------------------


def media(**changes: object) -> MediaItem:
    values: dict[str, object] = {
        "sha256": "a" * 64,
        "size": 10,
        "mime": "image/jpeg",
        "name": "a.jpg",
        "role": "media",
        "stored": True,
    }
    return MediaItem(**(values | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("files", "chosen"),
    [
        ([], None),
        ([media(stored=False)], None),
        ([media(mime="image/svg+xml")], None),
        ([media(mime="text/html")], None),
        ([media(mime="image/fits")], None),
        ([media(sha256="b" * 64, size=9), media(sha256="c" * 64, size=5)], "c"),
        ([media(sha256="b" * 64, size=5), media(sha256="c" * 64, size=9, role="thumbnail")], "c"),
    ],
)
def test_the_picture_of_an_event_is_a_thumbnail_or_the_smallest_image(
    files: list[MediaItem], chosen: str | None
) -> None:
    expected = f"/v1/devices/dev_1/media/{chosen * 64}" if chosen else None
    assert picture("dev_1", files) == expected


def summary(tone: str, **changes: object) -> DeviceSummary:
    values: dict[str, object] = {
        "id": "dev_1",
        "name": "Roof",
        "short_id": "BCDFGH",
        "status": "active",
        "state": "operational",
        "tone": tone,
        "online": True,
        "last_seen_ms": 5,
        "first_operational_ms": 1,
        "liveness": "well",
        "backlog_count": 3,
        "backlog_bytes": 9,
        "last_event": None,
    }
    return DeviceSummary(**(values | changes))  # type: ignore[arg-type]


def test_the_fleet_is_counted_worst_first_and_only_what_occurs() -> None:
    tiles = [tile(summary(tone)) for tone in ("running", "unknown", "running", "failed")]
    assert [(tone, number) for tone, _, number in counts(tiles)] == [
        ("failed", 1),
        ("unknown", 1),
        ("running", 2),
    ]


def test_a_tile_shows_the_last_events_picture() -> None:
    event = EventSummary(
        cursor=1,
        event_id="e",
        client_event_id="c",
        revision=1,
        received_ms=1,
        timestamp="",
        event_type="meteor",
        confidence=None,
        status="confirmed",
        restated_ms=None,
        media=[media()],
    )
    shown = tile(summary("running", last_event=event))
    assert shown.picture == f"/v1/devices/dev_1/media/{'a' * 64}"
    assert (shown.label, shown.waiting) == ("Running", 3)


# --- forms and codes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wait", "advice"),
    [(1, "in a minute"), (60, "in a minute"), (61, "in five minutes"), (301, "in an hour"), (None, "")],
)
def test_when_to_try_again_is_never_promised_too_early(wait: int | None, advice: str) -> None:
    error = from_refusal(Refusal("REG-006", "rate_limited", "Too often.", retry_after=wait), field="pin")
    assert advice in error.advice
    assert (error.code, error.field) == ("REG-006", "pin")


def test_a_named_field_wins_over_the_usual_one() -> None:
    assert from_refusal(Refusal("REG-007", "invalid", "No.", field="$.name"), field="pin").field == "name"


def test_a_qr_code_has_its_quiet_zone() -> None:
    code = qr_code("https://cloud.example/claim#BCDFGH.aaaaaaaaaaaaaaaaaaaaaa")
    rows = {int(part.split("h")[0].split()[1]) for part in code.path.split("M")[1:]}
    columns = {int(part.split("h")[0].split()[0]) for part in code.path.split("M")[1:]}
    assert min(rows) == min(columns) == QUIET
    assert max(rows) == code.size - QUIET - 1
