"""Addresses and the networks that they are in."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def network(text: str) -> Network:
    """A network in CIDR notation, or one address. Raises ValueError."""
    return ipaddress.ip_network(text, strict=False)


def is_public(address: str) -> bool:
    """Whether `address` is one of the internet: neither this machine's own, nor of its networks, nor the link's (where
    clouds keep their metadata), in whatever form of IPv6 an IPv4 address comes."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ipaddress.IPv4Address(int(ip) % 2**32) if ip in _NAT64 else None)
        ip = inner or ip
    return ip.is_global and not ip.is_multicast


def client_of(address: str) -> str:
    """What counts as one client where attempts are counted: an IPv4 address, be it mapped into IPv6, and the /64 that
    an IPv6 address is in, since whoever has one address of it has all of them (RFC 6177). What is no address stays."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    return str(ip.ipv4_mapped or ipaddress.ip_network((int(ip), 64), strict=False))


def is_inside(address: str, networks: Iterable[Network]) -> bool:
    """Whether `address` is in one of `networks`; an IPv4 address mapped into IPv6 (RFC 4291, 2.5.5.2) counts as what it
    is. What is no address is nowhere."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return any((mapped or ip) in one for one in networks)
