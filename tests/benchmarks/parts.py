"""The benches that make up `make bench`, each a command of its own, with its options in the short and the full mode."""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from json import JSONDecodeError, loads
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SHORT = {
    "engine": "--workloads shared_prefix,single",
    "search": "",
    "api": "--seconds 20 --cached 100 --switches 2 --restarts 1",
    "telegram": "--updates 600 --questions 5 --killed-questions 60 --kill-seconds 10",
    "mail": "--messages 60 --limit 48 --killed-messages 20 --kill-seconds 10",
}
FULL = {
    "engine": "",
    "search": "",
    "api": "--seconds 300 --cached 1000 --switches 20 --restarts 10",
    "telegram": "--kill-seconds 120 --killed-questions 800",
    "mail": "--kill-seconds 120 --killed-messages 200",
}
MODES = {"short": SHORT, "full": FULL}


@dataclass(frozen=True, slots=True)
class Part:
    """`left_out` says why it cannot run here, empty where it can."""

    name: str
    arguments: tuple[str, ...]
    left_out: str = ""

    @property
    def command(self) -> str:
        """As one types it."""
        return shlex.join(["python", "-m", f"tests.benchmarks.{self.name}", *self.arguments])


@dataclass(frozen=True, slots=True)
class Run:
    """What became of a part. `status` is the command's; `figures` are its JSON, empty where it wrote none."""

    command: str
    status: int | None
    seconds: float
    figures: Mapping[str, Any] = field(default_factory=dict)
    left_out: str = ""


def run(part: Part, json: Path) -> Run:
    """Run a part with what it prints on our own output; its figures come through the file `json`."""
    if part.left_out:
        return Run(part.command, None, 0.0, left_out=part.left_out)
    json.unlink(missing_ok=True)
    began = time.monotonic()
    command = [sys.executable, "-m", f"tests.benchmarks.{part.name}", *part.arguments, "--json", str(json)]
    status = subprocess.run(command, cwd=ROOT, check=False).returncode
    return Run(part.command, status, round(time.monotonic() - began, 1), _figures(json))


def _figures(json: Path) -> Mapping[str, Any]:
    try:
        figures: dict[str, Any] = loads(json.read_text(encoding="utf-8"))
    except (FileNotFoundError, JSONDecodeError):
        return {}  # it was stopped before its end: its status says so
    return figures


def parts(mode: str, *, model: Sequence[str], engine: Sequence[str], questions: Path | None) -> list[Part]:
    """`model` are the options that name the API's, `engine` those of the engine bench."""
    given = {name: tuple(shlex.split(options)) for name, options in MODES[mode].items()}
    given["engine"] = (*engine, *given["engine"])
    given["search"] = ("--questions", str(questions), *given["search"])
    given["api"] = (*model, *given["api"])
    missing = "" if questions is not None else "there are no questions (QUESTIONS=FILE)"
    return [Part(name, arguments, missing if name == "search" else "") for name, arguments in given.items()]
