"""Addresses and the networks that they are in."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def network(text: str) -> Network:
    """A network in CIDR notation, or one address. Raises ValueError."""
    return ipaddress.ip_network(text, strict=False)


def is_inside(address: str, networks: Iterable[Network]) -> bool:
    """Whether `address` is in one of `networks`; an IPv4 address mapped into IPv6 (RFC 4291, 2.5.5.2) counts as what it
    is. What is no address is nowhere."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return any((mapped or ip) in one for one in networks)
