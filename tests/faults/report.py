"""The table at the end, and the lines on the way. `python -m tests.faults.report FILE.json ...` prints a short one, as
Markdown, of what was kept of one or more runs."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.faults.run import Outcome

WAYS = ("telegram", "api", "mail")
HEAD = f"{'scenario':<28}{'first answer after the fault, s':^27}{'all':>7}  {'answered':^16}  invariants"
BELOW = f"{'':<28}{'Telegram':>9}{'API':>9}{'mail':>9}{'s':>7}  {'bot':>4}{'API':>6}{'mail':>6}"


def line(outcome: Outcome) -> str:
    """One scenario."""
    times = "".join(f"{outcome.recovery[way]:>9.1f}" if way in outcome.recovery else f"{'-':>9}" for way in WAYS)
    verdict = outcome.verdict
    counts = f"{verdict.telegram:>4}{verdict.api:>6}{verdict.mail:>6}"
    said = "; ".join(verdict.broken) or "hold"
    return f"{outcome.scenario:<28}{times}{outcome.caught_up:>7.1f}  {counts}  {said}"


def table(outcomes: Sequence[Outcome]) -> str:
    """All of them; of several runs of a scenario the slowest times, the sums of answers, and everything that broke."""
    rows = [HEAD, BELOW, *(line(_together(runs)) for runs in _by_scenario(outcomes))]
    broken = sum(bool(outcome.verdict.broken) for outcome in outcomes)
    return "\n".join([*rows, "", f"{len(outcomes)} scenarios run, an invariant broken in {broken}"])


def _by_scenario(outcomes: Sequence[Outcome]) -> list[list[Outcome]]:
    found: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        found.setdefault(outcome.scenario, []).append(outcome)
    return list(found.values())


def _together(runs: Sequence[Outcome]) -> Outcome:
    first, *others = runs
    verdict = type(first.verdict)(
        sum(one.verdict.telegram for one in runs),
        sum(one.verdict.mail for one in runs),
        sum(one.verdict.api for one in runs),
        [what for one in runs for what in one.verdict.broken],
    )
    if not others:
        return first
    recovery = {way: max(one.recovery[way] for one in runs if way in one.recovery) for way in first.recovery}
    return Outcome(first.scenario, verdict, recovery, max(one.caught_up for one in runs))


def summary(outcomes: Sequence[Mapping[str, Any]]) -> str:
    """A row for each kind of fault (the first word of a scenario); `outcomes` as the suite writes them. Seconds from
    the end of the fault, median and slowest."""
    kinds: dict[str, list[Mapping[str, Any]]] = {}
    for outcome in outcomes:
        kinds.setdefault(outcome["scenario"].partition("-")[0], []).append(outcome)
    head = ("fault", "scenarios run", *(f"first answer: {way}" for way in WAYS), "all answered", "broken")
    rows = [[kind, str(len(some)), *_spans(some), str(_broken(some))] for kind, some in kinds.items()]
    total = ["all", str(len(outcomes)), *_spans(outcomes), str(_broken(outcomes))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows, total))


def _spans(outcomes: Sequence[Mapping[str, Any]]) -> list[str]:
    first = [[each["recovery"][way] for each in outcomes if way in each["recovery"]] for way in WAYS]
    return [_span(seconds) for seconds in (*first, [each["caught_up"] for each in outcomes])]


def _span(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds):.1f} / {max(seconds):.1f}" if seconds else ""


def _broken(outcomes: Sequence[Mapping[str, Any]]) -> int:
    return sum(bool(outcome["verdict"]["broken"]) for outcome in outcomes)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.report", description=summary.__doc__)
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE.json", help="what --json of the suite wrote")
    options = parser.parse_args(arguments)
    print(summary([outcome for file in options.files for outcome in json.loads(file.read_text(encoding="utf-8"))]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
