"""A clock that jumps while a process runs, by a small library that is preloaded (clock.c says why not libfaketime).

Only the time of day jumps. The monotonic clock does not, as when somebody sets the clock of a real machine.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path

SOURCE = Path(__file__).with_suffix(".c")
COMPILER = "cc"


def compiler() -> str | None:
    """The C compiler, or None."""
    return shutil.which(COMPILER)


def build_library(folder: Path) -> Path:
    """Compile it into `folder`."""
    built = folder / "clock.so"
    command = [COMPILER, "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o", str(built), str(SOURCE)]
    subprocess.run(command, check=True)
    return built


class Clock:
    """The time of day of every process that has `environment`, kept in `file`."""

    def __init__(self, library: Path, file: Path) -> None:
        self.environment: Mapping[str, str] = {"LD_PRELOAD": str(library), "CLOCK_OFFSET_FILE": str(file)}
        self._file = file
        self._file.write_bytes(struct.pack("=q", 0))
        self._file.chmod(0o644)

    def set(self, seconds: int) -> None:
        """So far from the true time from now on, ahead or behind."""
        with self._file.open("r+b") as offset:
            offset.write(struct.pack("=q", seconds))
