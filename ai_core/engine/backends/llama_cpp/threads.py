"""How many threads compute best: one for each physical core that this process may use, but one for a small model.

llama.cpp's threads meet after every operation and spin meanwhile. Where an operation takes microseconds, and the cores
have other work too, they wait longer than they compute: with a model of 14 MB and 16 answers on 2 busy cores, two
threads made 400 tokens a second and one 1,700.
"""

from __future__ import annotations

import os
from pathlib import Path

_TOPOLOGY = Path("/sys/devices/system/cpu")


SMALL_MODEL_BYTES = 64 * 2**20


def default_threads(model_bytes: int) -> int:
    """For a model whose weights take `model_bytes`."""
    return 1 if model_bytes < SMALL_MODEL_BYTES else physical_cores()


def other_threads(usual: int) -> list[int]:
    """Numbers worth a measurement: all CPUs, and half of them, because memory is often what limits. A small model is
    not measured: alone it would gain by threads that cost much more once the cores have other work."""
    counts = [len(os.sched_getaffinity(0)), usual // 2] if usual > 1 else []
    return [count for count in counts if count not in (0, usual)]


def physical_cores(topology: Path = _TOPOLOGY) -> int:
    """Cores among the allowed CPUs; hyper-threads of one core count once. Unknown topology: the allowed CPUs."""
    allowed = os.sched_getaffinity(0)
    try:
        return len({_core(topology / f"cpu{cpu}" / "topology") for cpu in allowed})
    except OSError:
        return len(allowed)


def _core(folder: Path) -> tuple[str, str]:
    return (folder / "physical_package_id").read_text(), (folder / "core_id").read_text()
