"""Names in DNS: that they lead to this host, and that what mail needs is there."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Sequence
from ipaddress import ip_address

from common.health import Check, Status

TIMEOUT = 15  # seconds


def check_addresses(name: str, expected: Sequence[str]) -> Check:
    """Whether `name` has just the `expected` addresses, or any where none are named."""
    try:
        found = {ip_address(entry[4][0]) for entry in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)}
    except OSError as error:
        return Check(Status.DOWN, f"No address: {error.strerror or type(error).__name__}.")
    shown = ", ".join(sorted(map(str, found)))
    missing = {ip_address(address) for address in expected} - found
    if missing:
        return Check(Status.DOWN, f"{shown}, not {', '.join(sorted(map(str, missing)))}.")
    foreign = found - {ip_address(address) for address in expected}
    if expected and foreign:
        return Check(Status.DEGRADED, f"Also leads to {', '.join(sorted(map(str, foreign)))}.")
    return Check(Status.OK, f"{shown}.")


def check_records(name: str, kind: str, expected: Sequence[str]) -> Check:
    """Whether `name` has all `expected` records of this `kind`, possibly among others."""
    command = ["dig", "+short", "+time=3", "+tries=2", name, kind]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)  # noqa: S603 - our own list
    except FileNotFoundError:
        return Check(Status.DOWN, "dig is missing: apt-get install bind9-dnsutils.")
    except subprocess.TimeoutExpired:
        return Check(Status.DOWN, "The resolver does not answer.")
    if done.returncode != 0:
        return Check(Status.DOWN, "The resolver does not answer.")
    found = [plain(line) for line in done.stdout.splitlines() if not line.startswith(";")]
    missing = [value for value in expected if plain(value) not in found]
    if missing:
        return Check(Status.DOWN, f"Should be {' and '.join(missing)}; is {' and '.join(found) or 'missing'}")
    return Check(Status.OK, " and ".join(expected))


def plain(value: str) -> str:
    """A record's text as one: TXT comes in quoted pieces (RFC 7208, section 3.3), names in any case."""
    return value.replace('" "', "").strip().strip('"')
