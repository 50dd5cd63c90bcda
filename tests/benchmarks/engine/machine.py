"""Where the figures were measured."""

from __future__ import annotations

import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

import psutil


def describe(model: Path) -> dict[str, Any]:
    """The machine, its load before anything starts, the model."""
    cores = len(os.sched_getaffinity(0))
    load = os.getloadavg()[0]
    if load > 0.3 * cores:
        print(f"warning: the load is {load:.1f} on {cores} cores; figures will be noise", file=sys.stderr)
    return {
        "cpu": _cpu(),
        "cores": cores,
        "memory_bytes": psutil.virtual_memory().total,
        "load_before": round(load, 2),
        "python": platform.python_version(),
        "model": model.name,
        "model_bytes": model.stat().st_size,
        "measured_at": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "sampling": "greedy (temperature 0)",
    }


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()
