"""A small disk of its own, mounted on a folder, that can be filled: what writes there then gets a true ENOSPC."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

BALLAST = ".ballast"
PIECES = (1 << 20, 4096, 512, 1)  # bytes


class Disk:
    """A tmpfs of `megabytes` on `folder`, which keeps its owner and mode. Needs root."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        self.folder = folder
        was = folder.stat()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "faults", str(folder)], check=True)
        os.chown(folder, was.st_uid, was.st_gid)
        folder.chmod(was.st_mode & 0o7777)

    def fill(self) -> None:
        """Leave no byte."""
        with (self.folder / BALLAST).open("ab", buffering=0) as ballast:
            for piece in PIECES:
                try:
                    while True:
                        ballast.write(b"\0" * piece)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise

    def free(self) -> None:
        """Give back what `fill` took."""
        (self.folder / BALLAST).unlink(missing_ok=True)

    def unmount(self) -> None:
        """It goes with what is on it. Lazily: a log file may be open to the end."""
        subprocess.run(["umount", "--lazy", str(self.folder)], check=True)
