"""Units, as systemd sees them."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping

from common.health import Check, Status

TIMEOUT = 15  # seconds
RECENTLY = 86_400  # seconds: between two daily looks
PROPERTIES = "LoadState,ActiveState,SubState,NRestarts,Result,StatusText,ActiveEnterTimestampMonotonic"


def check_unit(name: str) -> Check:
    """Whether `name` is active, and whether it failed and came back within a day."""
    shown = properties("show", f"--property={PROPERTIES}", name)
    if shown.get("LoadState") != "loaded":
        return Check(Status.DOWN, f"Not installed ({shown.get('LoadState', 'systemd does not answer')}).")
    journal = f"see `journalctl --unit={name}`"
    state = f"{shown.get('ActiveState')} ({shown.get('SubState')})"
    if shown.get("ActiveState") != "active":
        return Check(Status.DOWN, f"{state}, {shown.get('Result', 'unknown')}: {journal}.")
    active_for = time.monotonic() - int(shown.get("ActiveEnterTimestampMonotonic") or 0) / 1_000_000
    if int(shown.get("NRestarts") or 0) and active_for < RECENTLY:
        return Check(Status.DEGRADED, f"{state}, but it failed {active_for / 3_600:.1f} hours ago: {journal}.")
    return Check(Status.OK, f"{state}. {shown.get('StatusText', '')}".strip())


def check_failed() -> Check:
    """Whether any unit of the host has failed."""
    lines = systemctl("list-units", "--state=failed", "--plain", "--no-legend").splitlines()
    names = [line.split()[0] for line in lines if line.strip()]
    if names:
        return Check(Status.DEGRADED, f"Failed: {', '.join(names)}.")
    return Check(Status.OK, "None has failed.")


def properties(*arguments: str) -> Mapping[str, str]:
    """What `systemctl show` tells, by name."""
    pairs = (line.partition("=") for line in systemctl(*arguments).splitlines())
    return {name: value for name, _, value in pairs}


def systemctl(*arguments: str) -> str:
    """What it prints. Raises OSError where there is no systemd."""
    command = ["systemctl", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)  # noqa: S603 - our own list
    if done.returncode != 0:
        raise OSError(done.stderr.strip() or "systemctl failed")
    return done.stdout
