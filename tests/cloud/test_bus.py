"""The bus: who hears what, and what a slow listener loses."""

from __future__ import annotations

import asyncio

from cloud.realtime.bus import Bus, News, Subscription


async def test_news_reach_every_listener_of_the_account_and_nobody_else() -> None:
    bus = Bus(unix_ms=lambda: 1_000)
    with bus.subscribe("usr_a") as one, bus.subscribe("usr_a") as two, bus.subscribe("usr_b") as other:
        bus.publish("usr_a", "device-online", {"deviceId": "dev_1"})
        bus.publish("usr_b", "device-offline", {"deviceId": "dev_2"})

        heard = await anext(one)
        assert (heard.id, heard.event, heard.data, heard.at_ms) == (
            1,
            "device-online",
            {"deviceId": "dev_1"},
            1_000,
        )
        assert await anext(two) == heard
        assert (await anext(other)).event == "device-offline"


async def test_a_listener_that_waits_is_woken() -> None:
    bus = Bus()
    with bus.subscribe("usr_a") as news:
        waiting = asyncio.create_task(_one(news))
        await asyncio.sleep(0)
        bus.publish("usr_a", "device-online", {})
        assert (await waiting).event == "device-online"


async def test_a_slow_listener_loses_the_oldest_news_and_is_told() -> None:
    bus = Bus()
    with bus.subscribe("usr_a", limit=3) as news:
        for number in range(3):
            bus.publish("usr_a", "event-received", {"number": number})
        assert not news.missed
        bus.publish("usr_a", "event-received", {"number": 3})
        assert news.missed
        assert [(await anext(news)).data["number"] for _ in range(3)] == [1, 2, 3]


async def test_closing_ends_the_iteration_and_frees_the_account() -> None:
    bus = Bus()
    news = bus.subscribe("usr_a")
    waiting = asyncio.create_task(_all(news))
    await asyncio.sleep(0)
    bus.publish("usr_a", "device-online", {})
    news.close()
    news.close()
    assert await waiting == ["device-online"]
    assert bus.listening() == 0


async def test_an_interrupted_wait_loses_nothing() -> None:
    bus = Bus()
    with bus.subscribe("usr_a") as news:
        waiting = asyncio.create_task(_one(news))
        await asyncio.sleep(0)
        waiting.cancel()
        bus.publish("usr_a", "device-online", {})
        assert (await anext(news)).event == "device-online"


async def _one(news: Subscription) -> News:
    return await anext(news)


async def _all(news: Subscription) -> list[str]:
    return [item.event async for item in news]
