"""A second place for the archives, off this host: a folder (a mounted disk), a host by rsync over ssh, or an rclone
remote. What is there can be taken for ours only with the signing key, and read only with the identity."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from common.backup.errors import BackupError
from common.backup.keeping import forget_removed, removed_names
from common.backup.plan import Plan
from common.backup.programs import run

ATTEMPTS = 3
PAUSE = 20.0  # seconds
TIMEOUT = 60  # seconds without a byte
_RCLONE = ("rclone", "--retries=1")  # the attempts are ours


def send(plan: Plan, *, pause: Callable[[float], None] = time.sleep) -> None:
    """Let the target hold what the folder holds. Raises BackupError after the last attempt."""
    _with_retries(plan, _sending(plan), pause)
    names = removed_names(plan.folder)
    # By name, and only what was removed here: a host that was just built has an empty folder, and its first run must
    # not empty the target.
    if plan.prune_target and names:
        _with_retries(plan, _removing(plan, names), pause)
        forget_removed(plan.folder)


def fetch(plan: Plan, *, pause: Callable[[float], None] = time.sleep) -> None:
    """Bring back what the target holds of this host. Raises BackupError."""
    _with_retries(plan, _fetching(plan), pause)


def _with_retries(plan: Plan, command: list[str], pause: Callable[[float], None]) -> None:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            run(command, environment={"RCLONE_CONFIG": str(plan.credentials / "rclone.conf")})
            return
        except BackupError:
            if attempt == ATTEMPTS:
                raise
            pause(PAUSE * attempt)


def _sending(plan: Plan) -> list[str]:
    remote = _rclone(plan)
    if remote is not None:
        return [*_RCLONE, "copy", "--exclude=.*", "--exclude=.*/**", str(plan.folder), remote]
    return [*_rsync(plan), "--exclude=.*", f"{plan.folder}/", f"{_place(plan)}/"]


def _removing(plan: Plan, names: list[str]) -> list[str]:
    remote = _rclone(plan)
    if remote is not None:
        return [*_RCLONE, "delete", *(f"--include=/{name}" for name in names), remote]
    chosen = [f"--include=/{name}" for name in names]
    return [*_rsync(plan), "--delete", *chosen, "--exclude=*", f"{plan.folder}/", f"{_place(plan)}/"]


def _fetching(plan: Plan) -> list[str]:
    plan.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    remote = _rclone(plan)
    if remote is not None:
        return [*_RCLONE, "copy", remote, str(plan.folder)]
    return [*_rsync(plan), "--exclude=.*", f"{_place(plan)}/", f"{plan.folder}/"]


def _rsync(plan: Plan) -> list[str]:
    options = ["BatchMode=yes", "ConnectTimeout=20"]
    for name, option in (("ssh_key", "IdentityFile"), ("known_hosts", "UserKnownHostsFile")):
        if (plan.credentials / name).is_file():
            options.append(f"{option}={plan.credentials / name}")
    own = plan.credentials / "ssh_config"
    shell = " ".join(["ssh", *([f"-F {own}"] if own.is_file() else []), *(f"-o {option}" for option in options)])
    return ["rsync", "--times", "--recursive", "--delay-updates", f"--timeout={TIMEOUT}", f"--rsh={shell}"]


def _place(plan: Plan) -> str:
    # One folder for each host, made by the first run; the target itself must be there (a disk that is not mounted).
    place = f"{plan.target.rstrip('/')}/{plan.host}"
    if ":" not in plan.target:
        Path(place).mkdir(exist_ok=True, mode=0o700)
    return place


def _rclone(plan: Plan) -> str | None:
    if not plan.target.startswith("rclone:"):
        return None
    return f"{plan.target.removeprefix('rclone:').rstrip('/')}/{plan.host}"
