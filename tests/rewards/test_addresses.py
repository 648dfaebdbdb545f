"""Only public addresses are reached unless private ones are allowed, in whatever form they are written."""

from __future__ import annotations

import pytest

from tuneward.rewards.addresses import AddressRefusedError, check_address, check_host

PRIVATE = [
    "127.0.0.1", "127.8.9.1", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1",
    "::1", "fc00::1", "fd12:3456::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::",
]  # fmt: skip
NEVER = [
    "169.254.169.254", "0.0.0.0", "224.0.0.1", "239.1.2.3", "255.255.255.255", "240.0.0.1", "192.0.2.1", "198.18.0.1",
    "::", "fe80::1", "fe80::1%eth0", "ff02::1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2001:db8::1",
    "::127.0.0.1",
]  # fmt: skip
PUBLIC = ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]


def check(address: str, allow_private: bool) -> None:
    check_address(address, "example.com", allow_private=allow_private, setting="here")


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_need_permission(address: str) -> None:
    with pytest.raises(AddressRefusedError, match="Set here to allow it"):
        check(address, allow_private=False)
    check(address, allow_private=True)


@pytest.mark.parametrize("address", NEVER)
def test_addresses_that_are_nobodys_endpoint_are_always_refused(address: str) -> None:
    for allow_private in (False, True):
        with pytest.raises(AddressRefusedError):
            check(address, allow_private)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_fine(address: str) -> None:
    check(address, allow_private=False)


@pytest.mark.parametrize("host", ["localhost", "2130706433", "0x7f.1", "127.1", "0177.0.0.1"])
def test_hosts_are_checked_as_the_system_resolves_them(host: str) -> None:
    with pytest.raises(AddressRefusedError, match="an address of this machine"):
        check_host(host, 80, allow_private=False, setting="here")


def test_a_host_that_does_not_exist_is_said_so() -> None:
    with pytest.raises(AddressRefusedError, match="no such host"):
        check_host("nowhere.invalid", 80, allow_private=False, setting="here")
