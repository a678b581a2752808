"""Which addresses may be dialled, and which of a host's addresses those are."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from flight_server.errors import ErrorCode, Forbidden, InvalidRequest, Unavailable

Address = IPv4Address | IPv6Address
# A host's addresses as texts, in the order in which they are to be tried.
Resolve = Callable[[str, int], Sequence[str]]

# What is not public, by the registries of IANA for special purposes, and what they do not know.
_NOT_PUBLIC_4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            # Azure's host agent, which hands out credentials to virtual machines.
            "168.63.129.16/32",
            # Link-local; the metadata services of clouds are at 169.254.169.254.
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",
            "240.0.0.0/4",
        ),
    )
)
# Only 2000::/3 is given out to anybody; within it, these are not.
_PUBLIC_6 = IPv6Network("2000::/3")
_NOT_PUBLIC_6 = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))
# Networks whose addresses carry one of IPv4 in their last 32 bits, which is where they lead.
_CARRIERS = tuple(map(IPv6Network, ("::ffff:0:0/96", "64:ff9b::/96", "::ffff:0:0:0/96")))
_LAST_32_BITS = 0xFFFFFFFF


def is_public(address: Address) -> bool:
    """Whether an address belongs to the network that everybody shares."""
    address = led_to(address)
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_4)
    return address in _PUBLIC_6 and not any(address in network for network in _NOT_PUBLIC_6)


def led_to(address: Address) -> Address:
    """The address of IPv4 that one of IPv6 stands for, or the address itself."""
    if isinstance(address, IPv6Address) and any(address in network for network in _CARRIERS):
        return IPv4Address(int(address) & _LAST_32_BITS)
    return address


class Dialling:
    """What may be dialled: public addresses, and those of `networks`."""

    def __init__(self, networks: Iterable[str] = (), resolve: Resolve | None = None) -> None:
        self._networks = [ipaddress.ip_network(text, strict=False) for text in networks]
        self._resolve = resolve or resolved_by_system

    def allows(self, text: str) -> bool:
        """Whether an address, written as the system writes it, may be dialled."""
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return False
        # One with a zone is of a link of this machine, whatever else it says.
        if isinstance(address, IPv6Address) and address.scope_id is not None:
            return False
        return is_public(address) or self._is_named(address)

    def addresses(self, host: str, port: int) -> list[str]:
        """Those of a host's addresses that may be dialled.

        Forbidden where there are others only. What they are is not told: whoever asks could read
        the names of a network that is not theirs.
        """
        try:
            found = self._resolve(host, port)
        except (OSError, UnicodeError):
            raise Unavailable(f"The host '{host}' cannot be found.") from None
        allowed = [address for address in dict.fromkeys(found) if self.allows(address)]
        if found and not allowed:
            raise refused(host)
        if not found:
            raise InvalidRequest(f"The host '{host}' has no address.")
        return allowed

    def _is_named(self, address: Address) -> bool:
        same = {address, led_to(address)}
        return any(each in network for network in self._networks for each in same)


def refused(host: str) -> Forbidden:
    """The error for a host that may not be dialled."""
    return Forbidden(
        f"The server does not connect to '{host}': it is not at a public address. An operator "
        "may allow its network by the setting outbound_networks.",
        code=ErrorCode.ADDRESS_REFUSED,
    )


def resolved_by_system(host: str, port: int) -> list[str]:
    """What the system's resolver says; it also reads 127.1, 0x7f000001 and the like."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]
