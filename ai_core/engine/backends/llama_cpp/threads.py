"""How many threads compute best: one for each physical core that this process may use."""

from __future__ import annotations

import os
from pathlib import Path

_TOPOLOGY = Path("/sys/devices/system/cpu")


def physical_cores(topology: Path = _TOPOLOGY) -> int:
    """Cores among the allowed CPUs; hyper-threads of one core count once. Unknown topology: the allowed CPUs."""
    allowed = os.sched_getaffinity(0)
    try:
        return len({_core(topology / f"cpu{cpu}" / "topology") for cpu in allowed})
    except OSError:
        return len(allowed)


def _core(folder: Path) -> tuple[str, str]:
    return (folder / "physical_package_id").read_text(), (folder / "core_id").read_text()
