"""Where a station stands: typed with its ranges, picked on a map without scripts, shown with its source."""

from __future__ import annotations

import math
import re
from typing import Any
from xml.etree import ElementTree

import pytest

from cloud.dashboard.place import read
from cloud.dashboard.worldmap import HEIGHT, SPANS, WIDTH, Window, svg
from protocol.errors import Refusal
from tests.cloud.cloud_server import Cloud, Person
from tests.cloud.people_client import Browsing, Page
from tests.cloud.station_client import Station


@pytest.fixture
async def ada(cloud: Cloud) -> Person:
    return await cloud.person()


@pytest.fixture
async def station(cloud: Cloud, ada: Person) -> Station:
    return await cloud.claimed(ada)


def fields(page: Page) -> dict[str, str]:
    """What the form would send: every input with a value."""
    found = {}
    for tag in re.findall(r"<input [^>]+>", page.html):
        name, value = re.search(r'name="([^"]+)"', tag), re.search(r'value="([^"]*)"', tag)
        if name and value:
            found[name[1]] = value[1]
    return found


async def send(browser: Browsing, path: str, form: dict[str, str]) -> Page:
    return await browser.post(path, follow=True, **form)


async def where(person: Person, station: Station) -> Any:
    return (await person.send("GET", station.place)).read(dict[str, Any])["location"]


async def test_a_typed_place_is_kept_shown_and_editable_later(
    cloud: Cloud, ada: Person, station: Station
) -> None:
    browser, path = Browsing(cloud.session, cloud.base, ada.headers), f"/stations/{station.device_id}/place"
    assert path in (await browser.get(f"/stations/{station.device_id}")).html
    page = await browser.post(
        path, step="save", latitude="47,0512", longitude="−8.3093", altitude="440", accuracy="15"
    )
    assert page.status == 200
    assert "47.0512° N, 8.3093° W, 440 m" in page.text
    assert "±15 m" in page.text
    known = await where(ada, station)
    assert (known["latitude"], known["longitude"], known["altitude"]) == (47.0512, -8.3093, 440)
    page = await browser.get(path)
    assert fields(page)["latitude"] == "47.0512"
    await send(browser, path, fields(page) | {"altitude": "450", "step": "save"})
    assert (await where(ada, station))["altitude"] == 450
    beat = await station.beaten()
    assert beat.config_updates is not None
    assert beat.config_updates.updates["device"]["location"]["latitude"] == 47.0512


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("latitude", "90.1", "between −90 and 90"),
        ("latitude", "", "latitude"),
        ("longitude", "-181", "between −180 and 180"),
        ("altitude", "9001", "between −500 and 9000"),
        ("accuracy", "-1", "not less than 0"),
        ("longitude", "east", "Type a number"),
        ("latitude", "nan", "Type a number"),
        ("altitude", "1e999", "Type a number"),
    ],
)
async def test_a_number_out_of_its_range_comes_back_with_its_sentence(
    cloud: Cloud, ada: Person, station: Station, field: str, value: str, sentence: str
) -> None:
    browser, path = Browsing(cloud.session, cloud.base, ada.headers), f"/stations/{station.device_id}/place"
    typed = {"latitude": "47", "longitude": "8"} | {field: value}
    page = await send(browser, path, typed | {"step": "save"})
    assert page.status == 422
    assert sentence in page.text
    assert f'name="{field}"' in page.html
    assert (await where(ada, station)) is None


async def test_three_presses_on_the_map_find_a_town_without_a_script(
    cloud: Cloud, ada: Person, station: Station
) -> None:
    browser, path = Browsing(cloud.session, cloud.base, ada.headers), f"/stations/{station.device_id}/place"
    goal = (-33.92, 18.42)
    page = await browser.get(path)
    for _ in range(4):
        sent = fields(page)
        window = Window(float(sent["map_latitude"]), float(sent["map_longitude"]), int(sent["map_level"]))
        x, y = pixel(window, goal)
        page = await send(browser, path, sent | {"spot.x": str(x), "spot.y": str(y)})
        assert page.status == 200
    picked = fields(page)
    assert abs(float(picked["latitude"]) - goal[0]) < 0.01
    assert abs(float(picked["longitude"]) - goal[1]) < 0.01
    assert (await where(ada, station)) is None, "looking is not saving"
    await send(browser, path, picked | {"step": "save"})
    known = await where(ada, station)
    assert abs(known["latitude"] - goal[0]) < 0.01
    assert 0 < known["accuracy"] < 1000
    assert known.get("source", "manual") == "manual"


def pixel(window: Window, goal: tuple[float, float]) -> tuple[int, int]:
    x = (goal[1] - window.left) / window.span * WIDTH
    y = (window.top - goal[0]) / (window.span / 2) * HEIGHT
    return int(x), int(y)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "map_level=1&map_latitude=85&map_longitude=179",
        "map_level=3&spot=47.0,8.0",
        "map_level=99",
        "spot=x",
    ],
)
async def test_the_map_is_a_picture_of_its_own_that_loads_nothing(
    cloud: Cloud, ada: Person, query: str
) -> None:
    async with cloud.session.get(f"{cloud.base}/map?{query}", headers=dict(ada.headers)) as reply:
        assert (reply.status, reply.content_type) == (200, "image/svg+xml")
        text = await reply.text()
    ElementTree.fromstring(text)
    assert re.findall(r'href="(?!#l")', text) == []


@pytest.mark.parametrize("level", range(len(SPANS)))
def test_a_press_in_the_middle_means_the_middle(level: int) -> None:
    window = Window(0 if level == 0 else 47.0, 0 if level == 0 else 8.0, level)
    latitude, longitude = window.at(WIDTH // 2, HEIGHT // 2)
    assert math.isclose(latitude, window.latitude, abs_tol=2 * window.span / WIDTH)
    assert math.isclose(longitude, window.longitude, abs_tol=2 * window.span / WIDTH)


def test_the_world_goes_on_behind_the_date_line() -> None:
    window = Window(-18, 179, 1)
    drawn = svg(window, (-18.1, -178.4))
    assert drawn.count("<use") == 3
    assert 3590 < float(re.findall(r'cx="([\d.]+)"', drawn)[0]) < 3800
    assert window.at(WIDTH - 1, HEIGHT // 2)[1] < -150


@pytest.mark.parametrize("source", ["gps", "network", "manual", "made up"])
def test_the_source_is_one_of_three(source: str) -> None:
    place = read({"latitude": "1", "longitude": "2", "source": source})
    assert place.source == (source if source != "made up" else "manual")


def test_half_a_place_is_refused() -> None:
    with pytest.raises(Refusal) as refused:
        read({"latitude": "1"})
    assert refused.value.code == "REG-007"


async def test_new_numbers_are_no_gps_any_more(cloud: Cloud, ada: Person, station: Station) -> None:
    place = {"latitude": 47.0, "longitude": 8.0, "source": "gps", "accuracy": 5}
    await ada.send("PATCH", station.place, {"location": place})
    browser, path = Browsing(cloud.session, cloud.base, ada.headers), f"/stations/{station.device_id}/place"
    form = fields(await browser.get(path))
    await send(browser, path, form | {"altitude": "440", "step": "save"})
    assert (await where(ada, station))["source"] == "gps"
    assert "GPS" in (await browser.get(f"/stations/{station.device_id}")).text
    await send(browser, path, form | {"latitude": "47.1", "step": "save"})
    assert (await where(ada, station)).get("source", "manual") == "manual"
