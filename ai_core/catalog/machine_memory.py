"""How much memory this process may still take: what the machine has, and what its control group leaves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ai_core.catalog.errors import CatalogError

MARGIN = 256 * 1024 * 1024
"""Bytes left to everything else: requests, other services, the kernel's own needs."""
KIB = 1024


def available_bytes(*, proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> int:
    """Bytes that can be taken without swapping or being killed, less a margin; 0 where there is none left.

    Counts MemAvailable, and the limits of the control groups that this process is in (version 2, then 1). Raises
    CatalogError on a system without /proc/meminfo.
    """
    rooms = [_memory_available(proc / "meminfo"), *_group_rooms(proc / "self" / "cgroup", cgroups)]
    return max(0, min(rooms) - MARGIN)


def _memory_available(meminfo: Path) -> int:
    try:
        for line in meminfo.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * KIB
    except OSError as error:
        raise CatalogError(f"{meminfo}: {error.strerror}") from None
    raise CatalogError(f"{meminfo} does not say how much memory is available")


def _group_rooms(membership: Path, cgroups: Path) -> Iterator[int]:
    try:
        lines = membership.read_text(encoding="utf-8").splitlines()
    except OSError:
        return  # a kernel without control groups limits nothing
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            for group in _with_parents(cgroups, path):
                yield from _room(
                    group, ("memory.max", "memory.high"), "memory.current", ("inactive_file", "active_file")
                )
        elif "memory" in controllers.split(","):
            for group in _with_parents(cgroups / "memory", path):
                files = ("total_inactive_file", "total_active_file")
                yield from _room(group, ("memory.limit_in_bytes",), "memory.usage_in_bytes", files)


def _with_parents(root: Path, path: str) -> Iterator[Path]:
    """The group and those around it: each may have a limit. In a container the path may not exist; the root does."""
    group = root / path.lstrip("/")
    yield root
    while group != root and root in group.parents:
        yield group
        group = group.parent


def _room(group: Path, limits: tuple[str, ...], usage: str, file_cache: tuple[str, ...]) -> Iterator[int]:
    """What the group's limit leaves. Cached files count as used there, but make room when it is needed."""
    maximums = [limit for name in limits if (limit := _number(group / name)) is not None]
    used = _number(group / usage)
    if maximums and used is not None:
        yield min(maximums) - max(0, used - _reclaimable(group / "memory.stat", file_cache))


def _number(path: Path) -> int | None:
    try:
        text = path.read_text(encoding="ascii").strip()
    except OSError:
        return None  # this level has no such limit
    return int(text) if text.isdigit() else None  # "max"


def _reclaimable(stat: Path, names: tuple[str, ...]) -> int:
    try:
        rows = (line.split() for line in stat.read_text(encoding="ascii").splitlines())
        return sum(int(row[1]) for row in rows if len(row) == 2 and row[0] in names)
    except OSError:
        return 0
