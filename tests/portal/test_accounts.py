"""Accounts, certificates and fixed addresses: a fault is named with its field before anything is tried."""

from __future__ import annotations

import pytest

from portal.accounts import Extras
from portal.forms import JoinForm
from portal.view import Account, FixedAddress, Network, Refusal

CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBfzCCASWgAwIBAgIUZt4qStieb75XH3J6qZ7SN5nqokcwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJQ2FtcHVzIENBMCAXDTI2MTEyNjE2MzQzNFoYDzIxMjYxMTAy
MTYzNDM0WjAUMRIwEAYDVQQDDAlDYW1wdXMgQ0EwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAT0ML1TpZ9XBf0qigk0Dy9xHZZ8XWm/er4Nxl9+ddtjPFL6ncuHqkIt
iGBg/Q8N4FpN31tJi23PH75OlvufZzN/o1MwUTAdBgNVHQ4EFgQU9bY+IUyyvL6p
Vk/d74FU7J2oimowHwYDVR0jBBgwFoAU9bY+IUyyvL6pVk/d74FU7J2oimowDwYD
VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiEAqi1NwY/FwmyUU3r5qwHf
v2xXNCOclBA0Qm5ocNimZDECIEAEbxu+Fy4sIG4bPUC4luGnUdKnCnXXtQdzODBP
/2lC
-----END CERTIFICATE-----
"""
"""Of an authority that was made for this test, until the year 2126."""

CAMPUS = Network(b"Campus", security="enterprise")
GOOD = {
    "network": b"Campus".hex(),
    "identity": "me@example.org",
    "password": "short",
    "domain": "example.org",
}


def refused(fields: dict[str, str], heard: Network = CAMPUS) -> tuple[str, str | None]:
    with pytest.raises(Refusal) as caught:
        JoinForm.read(fields).request(heard)
    assert caught.value.action
    return caught.value.code, caught.value.field


@pytest.mark.parametrize(
    ("changed", "code", "field"),
    [
        ({"identity": ""}, "NET-114", "identity"),
        ({"identity": "me\x07"}, "NET-114", "identity"),
        ({"identity": "x" * 254}, "NET-114", "identity"),
        ({"anonymous": "x" * 254}, "NET-114", "anonymous"),
        ({"password": ""}, "NET-104", "password"),
        ({"password": "it’s"}, "NET-107", "password"),
        ({"ca": "hello"}, "NET-115", "ca"),
        ({"ca": CERTIFICATE[:200]}, "NET-115", "ca"),
        ({"ca": CERTIFICATE.replace("MII", "MAA")}, "NET-115", "ca"),
        ({"ca": CERTIFICATE + "-----BEGIN PRIVATE KEY-----"}, "NET-115", "ca"),
        ({"domain": "not a name"}, "NET-116", "domain"),
        ({"domain": "localhost"}, "NET-116", "domain"),
        ({"domain": "a..b"}, "NET-116", "domain"),
        ({"domain": ""}, "NET-117", "domain"),
        ({"address": "192.168.1.50"}, "NET-118", "address"),
        ({"address": "192.168.1.0/24"}, "NET-118", "address"),
        ({"address": "192.168.1.255/24"}, "NET-118", "address"),
        ({"address": "192.168.1.50/32"}, "NET-118", "address"),
        ({"address": "127.0.0.1/8"}, "NET-118", "address"),
        ({"address": "fe80::1/64"}, "NET-118", "address"),
        ({"gateway": "192.168.1.1"}, "NET-118", "address"),
        ({"dns": "192.168.1.1"}, "NET-118", "address"),
        ({"address": "192.168.1.50/24"}, "NET-119", "gateway"),
        ({"address": "192.168.1.50/24", "gateway": "192.168.2.1"}, "NET-119", "gateway"),
        ({"address": "192.168.1.50/24", "gateway": "192.168.1.50"}, "NET-119", "gateway"),
        ({"address": "192.168.1.50/24", "gateway": "192.168.1.1", "dns": "dns.example"}, "NET-121", "dns"),
        ({"address": "192.168.1.50/24", "gateway": "192.168.1.1", "dns": "1.1.1.1 " * 4}, "NET-121", "dns"),
    ],
)
def test_a_fault_is_named_with_its_field(changed: dict[str, str], code: str, field: str) -> None:
    assert refused(GOOD | changed) == (code, field)


def test_a_server_is_never_left_unchecked_by_accident() -> None:
    fields = GOOD | {"domain": "", "unchecked": "1"}
    account = JoinForm.read(fields).request(CAMPUS).account
    assert account == Account("me@example.org")
    both = JoinForm.read(fields | {"domain": "*.Example.ORG."}).request(CAMPUS).account
    assert both == Account("me@example.org", domain="example.org"), "a check that is possible is made"


def test_of_a_pasted_text_only_the_certificates_are_kept() -> None:
    account = Extras.read(GOOD | {"ca": f"Subject: us\r\n{CERTIFICATE}bye"}).account()
    assert account.ca == CERTIFICATE
    assert "CERTIFICATE" not in repr(account)


def test_an_account_has_no_rules_for_its_password_and_other_networks_have_no_account() -> None:
    request = JoinForm.read(GOOD).request(CAMPUS)
    assert (request.passphrase, request.security, request.hidden) == ("short", "enterprise", False)
    assert JoinForm.read(GOOD | {"password": "correct horse"}).request(Network(b"Campus")).account is None


def test_a_network_with_accounts_that_hides_its_name_is_typed_by_hand() -> None:
    request = JoinForm.read(GOOD | {"network": "", "name": "Hidden", "security": "enterprise"}).request(None)
    assert (request.ssid, request.hidden, request.security) == (b"Hidden", True, "enterprise")
    assert request.account == Account("me@example.org", domain="example.org")


def test_the_router_answers_names_unless_another_server_is_given() -> None:
    home = GOOD | {"address": "192.168.1.50/255.255.255.0", "gateway": "192.168.1.1"}
    fixed = JoinForm.read(home | {"password": "correct horse"}).request(Network(b"Campus")).fixed
    assert fixed == FixedAddress("192.168.1.50/24", "192.168.1.1", ("192.168.1.1",))
