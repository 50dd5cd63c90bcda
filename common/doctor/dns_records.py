"""Names in DNS: that they lead to this host, and that what mail needs is there."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

from common.health import Check, Status

TIMEOUT = 15  # seconds


class NoResolver(Exception):
    """DNS cannot be asked; the message says why."""


def check_addresses(name: str, expected: Sequence[str]) -> Check:
    """Whether `name` has just the `expected` addresses, or any where none are named."""
    try:
        found = addresses([*asked(name, "A"), *asked(name, "AAAA")])
    except NoResolver as error:
        return Check(Status.DOWN, str(error))
    wanted = addresses(expected)
    shown = " and ".join(map(str, found)) or "missing"
    if not found or wanted - found:
        return Check(Status.DOWN, f"Should be {' and '.join(expected) or 'there'}; is {shown}")
    if wanted and found - wanted:
        return Check(Status.DEGRADED, f"Also leads elsewhere: {shown}")
    return Check(Status.OK, shown)


def check_records(name: str, kind: str, expected: Sequence[str]) -> Check:
    """Whether `name` has all `expected` records of this `kind`, possibly among others."""
    try:
        found = asked(name, kind)
    except NoResolver as error:
        return Check(Status.DOWN, str(error))
    if any(plain(value) not in found for value in expected):
        return Check(Status.DOWN, f"Should be {' and '.join(expected)}; is {' and '.join(found) or 'missing'}")
    return Check(Status.OK, " and ".join(expected))


def asked(name: str, kind: str) -> list[str]:
    """The records that DNS has, and aliases on the way to them. Not by the system's resolver, which reads /etc/hosts:
    there Debian's installer puts the host's own name on a loopback address. Raises NoResolver."""
    command = ["dig", "+short", "+time=3", "+tries=2", name, kind]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)  # noqa: S603 - our own list
    except FileNotFoundError:
        raise NoResolver("dig is missing: apt-get install bind9-dnsutils.") from None
    except subprocess.TimeoutExpired:
        raise NoResolver("The resolver does not answer.") from None
    if done.returncode != 0:
        raise NoResolver("The resolver does not answer.")
    return [plain(line) for line in done.stdout.splitlines() if not line.startswith(";")]


def plain(value: str) -> str:
    """A record's text as one: TXT comes in quoted pieces (RFC 7208, section 3.3)."""
    return value.replace('" "', "").strip().strip('"')


def addresses(texts: Sequence[str]) -> set[IPv4Address | IPv6Address]:
    """Those of `texts` that are addresses; the others are aliases."""
    found = set()
    for text in texts:
        try:
            found.add(ip_address(text))
        except ValueError:
            continue  # the name that an alias (CNAME) leads to
    return found
