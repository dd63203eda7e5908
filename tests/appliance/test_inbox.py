"""What people asked for and a stage has not yet taken up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from appliance.inbox import Inbox
from tests.appliance.workshop import HOME


async def waits(awaitable: Awaitable[object]) -> bool:
    """Whether it is still waiting after everything that can go on has gone on."""
    task = asyncio.ensure_future(awaitable)
    for _ in range(5):
        await asyncio.sleep(0)
    done = task.done()
    task.cancel()
    return not done


async def test_a_choice_of_network_is_taken_once() -> None:
    inbox = Inbox()
    inbox.join(HOME)
    assert inbox.has_credentials
    assert not await waits(inbox.wait_credentials())
    assert inbox.take_credentials() == HOME
    assert inbox.take_credentials() is None
    assert await waits(inbox.wait_credentials())


async def test_the_newest_choice_counts() -> None:
    inbox = Inbox()
    inbox.join(HOME)
    other = type(HOME)(b"Other", None, HOME.security, hidden=False)
    inbox.join(other)
    assert inbox.take_credentials() == other


async def test_a_choice_made_while_nobody_waited_for_a_phone_is_not_lost() -> None:
    inbox = Inbox()
    inbox.client_joined()
    inbox.join(HOME)
    assert not await waits(inbox.wait_client())


async def test_a_phone_of_before_does_not_count_as_one_that_is_here_now() -> None:
    inbox = Inbox()
    inbox.client_joined()
    assert await waits(inbox.wait_client())


async def test_a_cancel_of_before_does_not_end_the_next_choice() -> None:
    inbox = Inbox()
    inbox.cancel()
    assert await waits(inbox.wait_cancelled())


async def test_whoever_waits_is_woken() -> None:
    inbox = Inbox()
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        for wait in (inbox.wait_client(), inbox.wait_credentials(), inbox.wait_cancelled()):
            group.create_task(_end(wait))
        await asyncio.sleep(0)
        inbox.client_joined()
        inbox.join(HOME)
        inbox.cancel()


async def _end(wait: Awaitable[None]) -> None:
    await wait


async def test_a_claim_code_that_came_in_between_ends_the_next_wait_at_once() -> None:
    inbox = Inbox()
    inbox.claim_changed()
    assert await inbox.wait_claim(60) is True
    assert await inbox.wait_claim(0) is False


async def test_a_password_is_in_no_representation() -> None:
    assert HOME.passphrase is not None
    assert HOME.passphrase not in repr(HOME)
