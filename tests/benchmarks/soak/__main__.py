"""A soak: `python -m tests.benchmarks.soak --minutes 30` (`make soak`).

All three services as processes, with Redis, SQLite (or PostgreSQL), Postfix, Dovecot and a stand-in for Telegram, under
steady load. Every 10 seconds memory, descriptors and threads of each process are looked at, and the sizes of databases,
logs and Redis. After the warm-up nothing may grow but what is kept of each request, and that no more than it should.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ai_core.settings import EMBEDDED_MODEL
from tests import mail_system, postgres, redis_server
from tests.benchmarks.engine.machine import describe
from tests.benchmarks.soak.load import SteadyLoad
from tests.benchmarks.soak.plot import draw
from tests.benchmarks.soak.samples import Sample, Sampler
from tests.benchmarks.soak.verdict import Verdict, judge
from tests.whole_system import WholeSystem

LEAST_SAMPLES = 12  # below, a slope says nothing
AS_IN_UNITS = {"MALLOC_ARENA_MAX": "2"}  # systemd/
EVERY_SAMPLES = 6  # a line of progress


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when everything is flat and nothing was lost, 1 when not, 2 when it cannot run."""
    options = _options(arguments)
    if missing := _missing(options):
        print(f"soak: {missing}", file=sys.stderr)
        return 2
    about = {**describe(EMBEDDED_MODEL), "minutes": options.minutes, "database": "PostgreSQL" if options.postgres else
             "SQLite"}  # fmt: skip
    taken, asked, failed = _soak(options)
    verdicts = judge(taken, sum(asked.values()))
    _print(verdicts, asked, failed)
    good = all(verdict.flat for verdict in verdicts) and not any(failed.values())
    print(f"\n{'flat' if good else 'GROWING, or something was lost'}: {options.minutes:g} minutes, {about['database']}")
    if options.json:
        rows = [{**asdict(verdict), "flat": verdict.flat} for verdict in verdicts]
        told = {"about": about, "flat": good, "asked": asked, "failed": failed, "verdicts": rows, "samples": taken}
        options.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    if options.plot:
        draw(taken, options.plot)
    return int(not good)


def _soak(options: argparse.Namespace) -> tuple[list[Sample], dict[str, int], dict[str, int]]:
    """Samples, requests by kind, failures by kind."""
    rates = {"api": options.api, "telegram": options.telegram, "mail": options.mail, "scrape": 4.0}
    with tempfile.TemporaryDirectory(prefix="soak-") as home:
        with WholeSystem(
            Path(home) / "system",
            postgres=options.postgres,
            core_settings=AS_IN_UNITS,
            telegram_settings=AS_IN_UNITS,
            mail_settings=AS_IN_UNITS,
        ) as system:
            sampler, taken = Sampler(system), list[Sample]()
            load = SteadyLoad(system, per_minute=rates)
            load.fill()
            with load:
                end = time.monotonic() + 60 * options.minutes
                while time.monotonic() < end:
                    if len(taken) % EVERY_SAMPLES == 0:
                        left = (end - time.monotonic()) / 60
                        print(f"{left:.0f} minutes left; asked: {_counted(load.asked)}", flush=True)
                    taken.append(sampler.sample())
                    time.sleep(max(0.0, min(options.every, end - time.monotonic())))
            load.settle()
            load.failed["processes that died"] = system.telegram.died + system.mail_processes.died
        return taken, dict(load.asked), dict(load.failed)


def _print(verdicts: Sequence[Verdict], asked: Mapping[str, int], failed: Mapping[str, int]) -> None:
    print(f"\n{'':<34} {'level':>9} {'growth':>8} {'allowed':>8} {'an hour':>8}")
    for row in verdicts:
        figures = f"{row.level:9.2f} {row.growth:8.2f} {row.allowed:8.2f} {row.an_hour:8.2f}"
        print(f"{row.figure:<34} {figures}  {'flat' if row.flat else 'GROWING'}")
    print(f"\nasked: {_counted(asked)}\nfailed: {_counted(failed)}")


def _counted(counts: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def _missing(options: argparse.Namespace) -> str | None:
    if redis_server.program() is None:
        return "redis-server is not installed: tests/system_packages.sh"
    if options.postgres and postgres.programs() is None:
        return "PostgreSQL is not installed: tests/system_packages.sh"
    return mail_system.missing()


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.soak", description="steady load for long")
    add = parser.add_argument
    add("--minutes", type=float, default=30.0, help="default: %(default)s")
    add("--every", type=float, default=10.0, help="seconds between two samples (default: %(default)s)")
    add("--postgres", action="store_true", help="PostgreSQL instead of SQLite")
    add("--api", type=float, default=60.0, help="requests a minute (default: %(default)s)")
    add("--telegram", type=float, default=30.0, help="questions a minute (default: %(default)s)")
    add("--mail", type=float, default=6.0, help="mails a minute (default: %(default)s)")
    add("--json", type=Path, metavar="OUT", help="write samples and verdicts there")
    add("--plot", type=Path, metavar="OUT.png", help="draw them")
    options = parser.parse_args(arguments)
    if 60 * options.minutes / options.every < LEAST_SAMPLES:
        parser.error(f"--minutes: at least {LEAST_SAMPLES} samples are needed")
    return options


if __name__ == "__main__":
    sys.exit(main())
