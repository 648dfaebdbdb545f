"""Which network addresses a configuration may reach, checked where the connection really ends.

An address that somebody else writes into a job must not make this machine ask services that only it can reach, such as
a cloud's metadata. Names are looked up and checked before a connection is made, and the address at its other end is
checked again before anything is sent, since a name may resolve to something else a moment later (DNS rebinding).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

import httpx

from tuneward.errors import TunewardError

_PRIVATE = tuple(
    map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7", "fec0::/10"))
)
_NAT64 = ip_network("64:ff9b::/96")


class AddressRefusedError(TunewardError):
    """The address is one that the configuration may not reach.

    Args:
        what: is wrong, without the full stop.
        advice: what to do, without the full stop.
    """

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(f"{what}. {advice}.")
        self.what = what
        self.advice = advice


def check_address(address: str, host: str, *, allow_private: bool, setting: str) -> None:
    """Check one address of a host.

    Args:
        address: IPv4 or IPv6, in any form that `ipaddress` reads.
        host: what the user wrote, for the message.
        allow_private: this machine and private networks are fine; link-local, multicast, unspecified and reserved
            addresses never are.
        setting: what allows private addresses, for the message.

    Raises:
        AddressRefusedError: the address may not be reached.
    """
    ip = _inner(ip_address(address))
    at = f"{host} is" if host == address else f"{host} is {address},"
    if ip.is_loopback or any(ip in network for network in _PRIVATE if network.version == ip.version):
        if not allow_private:
            place = "this machine" if ip.is_loopback else "a private network"
            raise AddressRefusedError(f"{at} an address of {place}", f"Set {setting} to allow it")
    elif not ip.is_global or ip.is_multicast or ip.is_link_local or ip.is_reserved:
        kind = "link-local" if ip.is_link_local else "multicast" if ip.is_multicast else "reserved"
        raise AddressRefusedError(f"{at} a {kind} address, which is never asked", "Give a public address")


def check_host(host: str, port: int, *, allow_private: bool, setting: str) -> None:
    """Look a name up and check every address it has; for a first look, before any work is done.

    Raises:
        AddressRefusedError: as `check_address`, or the name cannot be found.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise AddressRefusedError(f"{host}: no such host ({error})", "Correct the address") from None
    for address in _addresses(found):
        check_address(address, host, allow_private=allow_private, setting=setting)


class CheckedTransport(httpx.AsyncHTTPTransport):
    """Connects only where `check_address` allows it; never through a proxy, which would choose the address itself.

    Requests through it raise AddressRefusedError before anything is sent to an address that may not be reached.
    """

    def __init__(self, *, allow_private: bool, setting: str, limits: httpx.Limits) -> None:
        super().__init__(limits=limits)
        self._allow_private = allow_private
        self._setting = setting

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, watching how its connection is made."""
        host = request.url.host

        async def watch(event: str, info: Mapping[str, Any]) -> None:
            if event == "connection.connect_tcp.started":
                await self._check_name(info["host"], info["port"])
            elif event == "connection.connect_tcp.complete":
                stream = info["return_value"]
                address = stream.get_extra_info("server_addr")[0]
                try:
                    self._check(address, host)
                except AddressRefusedError:
                    await stream.aclose()
                    raise

        request.extensions = {**request.extensions, "trace": watch}
        return await super().handle_async_request(request)

    async def _check_name(self, host: str, port: int) -> None:
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpx.ConnectError(f"{host} cannot be found ({error})") from None
        for address in _addresses(found):
            self._check(address, host)

    def _check(self, address: str, host: str) -> None:
        check_address(address, host, allow_private=self._allow_private, setting=self._setting)


def _addresses(found: Iterable[tuple[Any, ...]]) -> list[str]:
    return [str(entry[4][0]) for entry in found]


def _inner(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 address stands for (mapped, 6to4, NAT64), or the address itself."""
    if isinstance(ip, IPv4Address):
        return ip
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip
