"""systemd's unit files, as far as the tests read them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

UNITS = Path(__file__).resolve().parents[2] / "systemd"


@dataclass(frozen=True, slots=True)
class UnitFile:
    """`name` with its suffix, and the assignments in their order: (section, directive, value)."""

    name: str
    lines: tuple[tuple[str, str, str], ...]

    @classmethod
    def read(cls, path: Path) -> UnitFile:
        section, lines = "", []
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("["):
                section = line.strip("[]")
            elif line and not line.startswith("#"):
                directive, _, value = line.partition("=")
                lines.append((section, directive, value))
        return cls(path.name, tuple(lines))

    def all(self, directive: str) -> list[str]:
        """Every value that it has."""
        return [value for _, name, value in self.lines if name == directive]

    def one(self, directive: str) -> str:
        """Its only value."""
        (value,) = self.all(directive)
        return value

    @property
    def environment(self) -> dict[str, str]:
        """What Environment= sets."""
        pairs = (word.partition("=") for value in self.all("Environment") for word in value.split())
        return {name: value for name, _, value in pairs}

    @property
    def entry_point(self) -> tuple[str, str]:
        """The package and the subcommand that it runs."""
        found = re.search(r"-m (\w+) ([\w-]+)'$", self.one("ExecStart"))
        assert found, self.one("ExecStart")
        return found[1], found[2]


def services() -> list[UnitFile]:
    return [UnitFile.read(path) for path in sorted(UNITS.glob("*.service"))]


def sockets() -> list[UnitFile]:
    return [UnitFile.read(path) for path in sorted(UNITS.glob("*.socket"))]


def everything() -> list[UnitFile]:
    kinds = (".service", ".socket", ".target", ".timer")
    return [UnitFile.read(path) for path in sorted(UNITS.iterdir()) if path.suffix in kinds]
