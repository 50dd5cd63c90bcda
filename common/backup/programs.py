"""Running the programs of the databases, as the user that they know."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from typing import IO

from common.backup.errors import BackupError

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def run(
    command: Sequence[str],
    *,
    user: str | None = None,
    environment: Mapping[str, str] | None = None,
    stdin: IO[bytes] | int = subprocess.DEVNULL,
    stdout: IO[bytes] | int = subprocess.PIPE,
) -> bytes:
    """What `command` printed. It sees no other environment than this one. Raises BackupError with its last line."""
    try:
        done = subprocess.run(  # noqa: S603 - commands of this package
            command,
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
            env={"PATH": PATH, "LC_ALL": "C.UTF-8", **(environment or {})},
            cwd="/",
            user=user,
            group=user,
            extra_groups=None if user is None else [],
            check=False,
        )
    except (OSError, LookupError) as error:
        raise BackupError(f"{command[0]}: {error}") from None
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise BackupError(f"{command[0]}: {lines[-1] if lines else f'exit status {done.returncode}'}")
    return done.stdout or b""
