"""Room on disk, in bytes and in files."""

from __future__ import annotations

import os
from pathlib import Path

from common.health import Check, Status

LITTLE = 0.10  # of the whole
HARDLY_ANY = 0.03
GIGABYTE = 1_000_000_000


def check_disk(folder: Path) -> Check:
    """Whether the file system of `folder` has room for what is written."""
    try:
        figures = os.statvfs(folder)
    except OSError as error:
        return Check(Status.DOWN, f"{error.strerror}.")
    free = figures.f_bavail / figures.f_blocks if figures.f_blocks else 0.0
    files = figures.f_favail / figures.f_files if figures.f_files else 1.0  # some file systems do not count them
    detail = f"{figures.f_bavail * figures.f_frsize / GIGABYTE:.1f} GB free ({free:.0%}), {files:.0%} of the files."
    least = min(free, files)
    if least < HARDLY_ANY:
        return Check(Status.DOWN, detail)
    return Check(Status.DEGRADED if least < LITTLE else Status.OK, detail)
