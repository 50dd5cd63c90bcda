"""A clone of this repository with commits that were never made: releases to install."""

from __future__ import annotations

import subprocess
from pathlib import Path


class Repository:
    """`folder` is the clone; it holds what is committed in `source`, since that is what a release is."""

    def __init__(self, source: Path, folder: Path) -> None:
        self.folder = folder
        subprocess.run(["git", "clone", "--quiet", "--shared", str(source), str(folder)], check=True)
        self._git("config", "user.name", "test")
        self._git("config", "user.email", "test@rig.test")
        self.first = self.head()

    def head(self) -> str:
        """The newest release."""
        return self._git("rev-parse", "--short=12", "HEAD")

    def release(self, file: str, appended: str) -> str:
        """Commit `appended` at the end of a file; returns the release."""
        with (self.folder / file).open("a", encoding="utf-8") as text:
            text.write(appended)
        self._git("commit", "--quiet", "--all", "--message", f"test: {file}")
        return self.head()

    def back(self) -> None:
        """The newest release is the first one again."""
        self._git("reset", "--quiet", "--hard", self.first)

    def _git(self, *arguments: str) -> str:
        command = ["git", "-C", str(self.folder), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
