"""A clock that jumps while a process runs: libfaketime (Debian: faketime) reads its offset from a file.

Only the time of day jumps. The monotonic clock does not, as when somebody sets the clock of a real machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

LIBRARIES = ("*-linux-gnu/faketime/libfaketimeMT.so.1",)
RE_READ = 1  # seconds


def library() -> Path | None:
    """libfaketime for programs with threads, or None."""
    return next((path for pattern in LIBRARIES for path in Path("/usr/lib").glob(pattern)), None)


class Clock:
    """The time of day of every process that has `environment`, kept in `file`."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.set(0)

    @property
    def environment(self) -> Mapping[str, str]:
        """Variables of a process that goes by this clock."""
        return {
            "LD_PRELOAD": str(library()),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": str(RE_READ),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",  # the name of the same in older versions
        }

    def set(self, seconds: int) -> None:
        """So far from the true time, ahead or behind, within RE_READ seconds."""
        written = self._file.with_suffix(".new")
        written.write_text(f"{seconds:+d}\n")
        written.chmod(0o644)
        written.replace(self._file)
