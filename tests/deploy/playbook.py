"""Runs playbooks as an operator does, and tells what they changed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ANSIBLE = Path(__file__).parents[2] / "ansible"
INVENTORIES = Path(__file__).parent / "inventories"
LONGEST = 1_800  # seconds
_RECAP = re.compile(r"^(\S+) +: ok=(\d+) +changed=(\d+) +unreachable=(\d+) +failed=(\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Played:
    """`changed`: how many tasks changed something, by host."""

    succeeded: bool
    changed: Mapping[str, int]
    output: str

    def tasks_that_changed(self) -> list[str]:
        """Names, for a message that helps."""
        found, task = [], ""
        for line in self.output.splitlines():
            if line.startswith(("TASK [", "RUNNING HANDLER [")):
                task = line.partition("[")[2].partition("]")[0]
            elif line.startswith("changed: "):
                found.append(task)
        return found


class Controller:
    """The operator's machine: `variables` are what the inventories leave open."""

    def __init__(self, variables: Mapping[str, object], folder: Path) -> None:
        self._variables = dict(variables)
        self._folder = folder
        self._plays = 0

    def keep(self, **variables: object) -> None:
        """What the operator wrote into the inventory or the vault: for all plays from now on."""
        self._variables |= variables

    def play(self, inventory: str, *options: str, playbook: str = "site.yml", **variables: object) -> Played:
        """Run a playbook. Its output is kept in a file, and secrets in another one: arguments are there for all."""
        self._plays += 1
        values = self._folder / f"variables-{self._plays}.json"
        values.write_text(json.dumps(self._variables | variables))
        done = subprocess.run(
            [Path(sys.executable).with_name("ansible-playbook"), "-i", INVENTORIES / inventory, "-e", f"@{values}",
             *options, playbook],
            cwd=ANSIBLE, env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
            check=False, capture_output=True, text=True, timeout=LONGEST,
        )  # fmt: skip
        output = done.stdout + done.stderr
        (self._folder / f"play-{self._plays}.log").write_text(output)
        changed = {match[1]: int(match[3]) for match in _RECAP.finditer(output)}
        return Played(done.returncode == 0, changed, output)
