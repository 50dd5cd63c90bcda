"""Who listens on this host, read from the kernel (proc(5), /proc/net/tcp)."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from common.health import Check, Status

TABLES = (Path("/proc/self/net/tcp"), Path("/proc/self/net/tcp6"))
LISTENING = "0A"


def check_listeners(allowed: Iterable[int], tables: Iterable[Path] = TABLES) -> Check:
    """Whether only `allowed` ports listen on other addresses than the loopback. Others may be closed by the firewall,
    but nothing else keeps them closed."""
    public = {port for table in tables if table.exists() for address, port in listeners(table) if not local(address)}
    unexpected = sorted(public - set(allowed))
    if unexpected:
        ports = ", ".join(map(str, unexpected))
        return Check(Status.DEGRADED, f"Only the firewall keeps these closed: {ports}.")
    return Check(Status.OK, f"Open: {', '.join(map(str, sorted(public))) or 'none'}.")


def listeners(table: Path) -> Iterable[tuple[IPv4Address | IPv6Address, int]]:
    """Address and port of each listening socket."""
    for line in table.read_text(encoding="ascii").splitlines()[1:]:
        _, here, _, state, *_ = line.split()
        if state == LISTENING:
            address, _, port = here.partition(":")
            yield parsed(address), int(port, 16)


def parsed(text: str) -> IPv4Address | IPv6Address:
    """Words of four bytes, each with its least byte first, as the kernel writes on little-endian machines."""
    words = [bytes.fromhex(text[at : at + 8])[::-1] for at in range(0, len(text), 8)]
    raw = b"".join(words)
    return IPv4Address(raw) if len(raw) == 4 else IPv6Address(raw)


def local(address: IPv4Address | IPv6Address) -> bool:
    """Whether only this host reaches it."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback
