"""Checks of a service's parts, and what they add up to."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

logger = logging.getLogger(__name__)

REMEMBERED = 30.0  # seconds


class Status(str, Enum):
    """Of one part: DEGRADED still serves, DOWN does not."""

    OK = "ok"
    DEGRADED = "degraded"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Check:
    """The state of one part; `detail` is one sentence for the operator, safe to show to anyone."""

    status: Status
    detail: str


@dataclass(frozen=True, slots=True)
class Readiness:
    """All checks by name."""

    checks: Mapping[str, Check]

    @property
    def serves(self) -> bool:
        """Whether no part is down."""
        return all(check.status is not Status.DOWN for check in self.checks.values())

    @property
    def status(self) -> str:
        """ready, degraded or unavailable."""
        if not self.serves:
            return "unavailable"
        return "ready" if all(check.status is Status.OK for check in self.checks.values()) else "degraded"


def run_checks(checks: Mapping[str, Callable[[], Check]]) -> Readiness:
    """Run every check; one that raises counts as down."""
    return Readiness({name: _run(name, check) for name, check in checks.items()})


def remembered(check: Callable[[], Check], seconds: float = REMEMBERED) -> Callable[[], Check]:
    """`check`, made at most once in `seconds`: probes come often, and some looks cost others something."""
    lock = threading.Lock()
    last: list[tuple[float, Check]] = []

    def ask() -> Check:
        with lock:
            if not last or time.monotonic() - last[0][0] > seconds:
                last[:] = [(time.monotonic(), check())]
            return last[0][1]

    return ask


def _run(name: str, check: Callable[[], Check]) -> Check:
    try:
        return check()
    except Exception:
        logger.warning("health check failed", extra={"check": name}, exc_info=True)
        return Check(Status.DOWN, "The check itself failed; the log says where.")
