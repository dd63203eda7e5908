"""Whom to tell of a weakness: what the operator set, in the form of RFC 9116."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from cloud.errors import SettingsError
from cloud.security.vault import Secrets
from cloud.settings import load
from tests.cloud.cloud_server import Cloud, running_cloud
from tests.cloud.people_parts import Clock

PLACE = "/.well-known/security.txt"


async def test_the_operators_contact_is_told_with_an_end(
    tmp_path: Path, secrets: Secrets, moved_clock: Clock
) -> None:
    contact = "mailto:security@example.org"
    async with running_cloud(tmp_path, secrets, moved_clock, security_contact=contact) as cloud:
        async with cloud.session.get(cloud.base + PLACE) as reply:
            assert (reply.status, reply.content_type) == (200, "text/plain")
            lines = (await reply.text()).splitlines()
        fields = dict(line.split(": ", 1) for line in lines)
        assert (fields["Contact"], fields["Canonical"]) == (contact, cloud.settings.base + PLACE)
        ends = datetime.fromisoformat(fields["Expires"]).timestamp()
        assert 0 < ends - cloud.clock.now_ms / 1000 < 365 * 86_400


async def test_without_a_contact_there_is_no_such_page(cloud: Cloud) -> None:
    async with cloud.session.get(cloud.base + PLACE) as reply:
        assert reply.status == 404


@pytest.mark.parametrize("contact", ["nobody", "http://example.org", "mailto:a@b\nExpires: never"])
def test_a_contact_that_cannot_be_is_named(contact: str) -> None:
    with pytest.raises(SettingsError, match="security_contact"):
        load(None, {}, {"security_contact": contact})
