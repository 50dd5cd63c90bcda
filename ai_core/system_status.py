"""How the machine and the service are: what GET /admin/system-status tells an operator."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psutil

from ai_core import cleanup
from ai_core.engine.stats import EngineStats
from ai_core.model_host import ModelHost
from common.health import Check, Status, run_checks
from common.scheduler import JobRun

HEALTHY, WARNING, CRITICAL = "healthy", "warning", "critical"
FULL_DISK = {WARNING: 85.0, CRITICAL: 95.0}  # percent in use
FULL_MEMORY = {WARNING: 90.0, CRITICAL: 97.0}


@dataclass(frozen=True, slots=True)
class Room:
    """Of a disk or of memory, in bytes; `free` is what may be taken, which is less than `total - used` where the
    system keeps some for itself."""

    total: int
    used: int
    free: int

    @property
    def usage_percent(self) -> float:
        """0 to 100."""
        return round(100 * (1 - self.free / self.total), 1) if self.total else 0.0


@dataclass(frozen=True, slots=True)
class SystemStatus:
    """`reasons` say why the status is not healthy. `model_memory_usage` are the bytes of the model's weights; `engine`
    is None while no model is loaded."""

    status: str
    reasons: list[str]
    disk: Room
    memory: Room
    loaded_model: str | None
    model_memory_usage: int
    last_cleanup: datetime | None
    engine: EngineStats | None
    components: Mapping[str, Check]
    jobs: Sequence[JobRun]


def system_status(
    data_dir: Path,
    host: ModelHost,
    checks: Mapping[str, Callable[[], Check]],
    jobs: Sequence[JobRun],
) -> SystemStatus:
    """Look now."""
    model = host.current_or_none()
    components = run_checks(checks).checks
    disk, memory = disk_room(data_dir), memory_room()
    findings = [*_full("The disk", disk, FULL_DISK), *_full("Memory", memory, FULL_MEMORY)]
    findings += [*_unwell(components), *_failed(jobs)]
    latest = cleanup.last_run()
    return SystemStatus(
        status=_worst([level for level, _ in findings]),
        reasons=[reason for _, reason in findings],
        disk=disk,
        memory=memory,
        loaded_model=None if model is None else model.id,
        model_memory_usage=0 if model is None else model.backend.info.size_bytes,
        last_cleanup=None if latest is None else latest.finished_at,
        engine=None if model is None else model.engine.stats(),
        components=components,
        jobs=jobs,
    )


def disk_room(directory: Path) -> Room:
    """Of the disk that holds `directory`."""
    usage = shutil.disk_usage(directory)
    return Room(usage.total, usage.used, usage.free)


def memory_room() -> Room:
    """Of the machine; what the system holds for files counts as free."""
    memory = psutil.virtual_memory()
    return Room(memory.total, memory.total - memory.available, memory.available)


def _full(what: str, room: Room, limits: Mapping[str, float]) -> list[tuple[str, str]]:
    for level in (CRITICAL, WARNING):
        if room.usage_percent >= limits[level]:
            return [(level, f"{what} is {room.usage_percent:g} % full.")]
    return []


def _unwell(components: Mapping[str, Check]) -> list[tuple[str, str]]:
    levels = {Status.DOWN: CRITICAL, Status.DEGRADED: WARNING}
    return [
        (levels[check.status], f"{name}: {check.detail}")
        for name, check in components.items()
        if check.status in levels
    ]


def _failed(jobs: Sequence[JobRun]) -> list[tuple[str, str]]:
    return [(WARNING, f"The job {job.name} failed; the log says why.") for job in jobs if job.outcome == "failed"]


def _worst(levels: Sequence[str]) -> str:
    return max(levels, key=[HEALTHY, WARNING, CRITICAL].index, default=HEALTHY)
