"""What people write into meteor.txt, from every editor, and what they are told when it cannot be used."""

from __future__ import annotations

import codecs

import pytest

from appliance.headless.text import read_text
from appliance.headless.wishes import LANGUAGES, REMEDIES, Wifi, Wishes, read_wishes

TOKEN = "mct_" + "A" * 43

WHOLE = f"""# my station
hotspot_key = my own key!
Country: de
WIFI NAME = Café Ωmega
wifi-password = "correct horse = #1 "
hidden = Yes

; a remark
claim_code={TOKEN}
LANGUAGE = ZH_hans
hotspot = Open
"""


def read(text: str) -> Wishes:
    return read_wishes(read_text(text.encode()), "meteor.txt")


def check_whole(wishes: Wishes) -> None:
    assert wishes.faults == ()
    assert wishes.wifi == Wifi("Café Ωmega", "correct horse = #1 ", hidden=True)
    assert (wishes.hotspot_key, wishes.hotspot_open, wishes.country) == ("my own key!", True, "DE")
    assert (wishes.claim_code, wishes.language) == (TOKEN, "zh-Hans")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("mark", "codec"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (b"", "utf-16-le"),
        (b"", "utf-16-be"),
    ],
)
def test_every_editor_writes_the_same_file(mark: bytes, codec: str, end: str) -> None:
    data = mark + WHOLE.replace("\n", end).encode(codec)
    text = read_text(data)
    check_whole(read_wishes(text, "meteor.txt"))
    assert text.with_lines(list(text.lines)) == data, "and it can be written again without a change"


def test_an_old_notepad_without_unicode_is_understood() -> None:
    wishes = read_wishes(read_text('wifi_name=Café\nwifi_password="größer1"'.encode("cp1252")), "meteor.txt")
    assert wishes.wifi == Wifi("Café", "größer1")


def test_a_name_may_hold_what_unicode_calls_the_end_of_a_line() -> None:
    assert read("wifi_name = a\u2028b\nwifi_password =\n").wifi == Wifi("a\u2028b", None)


@pytest.mark.parametrize(
    "line",
    [
        "wifi_pasword = correct horse",
        "Bonjour",
        "= value",
        "hotspot_key = short",
        "hotspot_key = schlüssel mit umlaut",
        "hotspot = maybe",
        "country = Germany",
        "wifi_name =",
        "wifi_name = " + "é" * 17,
        "wifi_password = short",
        "wifi_password = " + "x" * 65,
        "hidden = perhaps",
        "claim_code = mct_short",
        "language = klingon",
    ],
)
def test_a_line_that_cannot_be_used_is_named_with_its_remedy(line: str) -> None:
    wishes = (
        read(f"# first\ncountry = US\n{line}\nlanguage = de\n")
        if "language" not in line
        else read(f"# first\ncountry = US\n{line}\n")
    )
    fault = wishes.faults[0]
    assert fault.code == "BOOT-001"
    assert "ine 3 of meteor.txt" in str(fault.sentence)
    assert str(fault.action)
    assert wishes.country == "US", "the other lines count"


def test_no_secret_is_in_what_is_said_about_a_line() -> None:
    wishes = read("wifi_password = short\nhotspot_key = tiny\nclaim_code = mct_nearly\nwifi_pasword = hush\n")
    said = " ".join(f"{fault.sentence} {fault.action}" for fault in wishes.faults)
    assert len(wishes.faults) == 4
    assert not any(secret in said for secret in ("short", "tiny", "nearly", "hush"))
    assert "correct horse" not in repr(read("wifi_name = Home\nwifi_password = correct horse\n"))


def test_a_key_written_twice_counts_once_and_is_told() -> None:
    wishes = read("country = US\ncountry = DE\n")
    assert wishes.country == "US"
    assert "one line only" in str(wishes.faults[0].action)


@pytest.mark.parametrize("line", ["wifi_name = Home", "wifi_password = correct horse"])
def test_half_a_network_is_no_open_network(line: str) -> None:
    wishes = read(line)
    assert wishes.wifi is None
    assert wishes.lines == {}, "so the line stays in the file, to be completed"
    assert "only one" in str(wishes.faults[0].sentence)


def test_an_empty_password_is_an_open_network() -> None:
    assert read("wifi_name = Library\nwifi_password =\n").wifi == Wifi("Library", None)


def test_every_language_can_be_asked_for_and_every_key_has_a_remedy() -> None:
    for tag in LANGUAGES.values():
        assert read(f"language = {tag}").language == tag
    assert len(LANGUAGES) == 10
    assert all(REMEDIES.values())
