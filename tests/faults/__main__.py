"""The fault suite: `python -m tests.faults` (`make test-faults`). Needs root: it mounts small disks.

Runs the whole system as processes, puts load on it, and applies each fault to each part of it. See README.md here.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from tests import mail_system, postgres, redis_server
from tests.faults import clock
from tests.faults.house import Blueprint, House
from tests.faults.report import BELOW, HEAD, line, table
from tests.faults.run import Aftermath, Outcome, run
from tests.faults.scenarios import SCENARIOS, Scenario


def main() -> int:
    """Run, print a table, write JSON; 1 where an invariant broke, 2 where it cannot run."""
    options = _options()
    chosen = [scenario for scenario in SCENARIOS if re.search(options.only, scenario.name)]
    if options.list:
        print("\n".join(scenario.name for scenario in chosen))
        return 0
    missing = _missing()
    if missing or not chosen:
        print(missing or f"no scenario is named {options.only}: see --list", file=sys.stderr)
        return 2
    for number in (signal.SIGINT, signal.SIGTERM):  # nothing may stay running or mounted
        signal.signal(number, signal.default_int_handler)
    outcomes: list[Outcome] = []
    try:
        for outcome in _run(chosen, options.runs, options.seed, options.keep):
            outcomes.append(outcome)
    except KeyboardInterrupt:
        print("ended early", file=sys.stderr)
    print(f"\n{table(outcomes)}")
    if options.json:
        options.json.write_text(json.dumps([outcome.as_dict() for outcome in outcomes], indent=2) + "\n")
    return int(any(outcome.verdict.broken for outcome in outcomes))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--runs", type=int, default=1, help="times that every scenario is run")
    parser.add_argument("--only", default="", metavar="NAME", help="a part of a name, or an expression: '^kill-'")
    parser.add_argument("--list", action="store_true", help="name the scenarios")
    parser.add_argument("--seed", type=int, default=1, help="of the moments at which faults come")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write what was found there")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the logs of a house where something broke")
    return parser.parse_args()


def _missing() -> str | None:
    """What has to be installed first."""
    needed = {
        "redis-server": redis_server.program() is not None,
        "postgresql": postgres.programs() is not None,
        "gcc": clock.compiler() is not None,
    }
    packages = [name for name, is_there in needed.items() if not is_there]
    if packages:
        return f"apt-get install {' '.join(packages)}"
    return mail_system.missing()


def _run(chosen: Sequence[Scenario], runs: int, seed: int, keep: Path | None) -> Iterator[Outcome]:
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        place = Path(folder)
        place.chmod(0o755)  # PostgreSQL, Postfix and Dovecot go through it as users of their own
        print(f"{time.strftime('%H:%M:%S')} reading the Code du travail in ...", flush=True)
        blueprint = Blueprint(place / "blueprint")
        for turn in range(1, runs + 1):
            print(f"{time.strftime('%H:%M:%S')} run {turn} of {runs}\n{HEAD}\n{BELOW}", flush=True)
            chance = random.Random(seed * 1000 + turn)
            for _, group in groupby(chosen, key=lambda scenario: scenario.build):
                yield from _run_in_houses(list(group), place, blueprint, chance, keep)


def _run_in_houses(
    group: list[Scenario], place: Path, blueprint: Blueprint, chance: random.Random, keep: Path | None
) -> Iterator[Outcome]:
    """In one house for as long as all goes well; after something broke in a new one. What came of them is told when the
    house is left."""
    waiting = list(group)
    while waiting:
        with House(place / "house", waiting[0].build, blueprint) as house:
            seen: list[Aftermath] = []
            while waiting and not (seen and seen[-1].outcome.verdict.broken):
                seen.append(run(waiting.pop(0), house, len(seen) + 1, chance))
                print(line(seen[-1].outcome), flush=True)
            for aftermath in seen:
                aftermath.look_again()
            if keep and any(one.outcome.verdict.broken for one in seen):
                _keep_logs(house, keep / f"{seen[-1].outcome.scenario}-{time.strftime('%H%M%S')}")
        yield from (one.outcome for one in seen)


def _keep_logs(house: House, folder: Path) -> None:
    shutil.copytree(house.home / "logs", folder)
    for name in ("dovecot.log", "postfix.log"):
        if (house.mail.home / name).exists():
            shutil.copy(house.mail.home / name, folder)


if __name__ == "__main__":
    sys.exit(main())
