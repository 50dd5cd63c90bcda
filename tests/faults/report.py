"""The table at the end, and the lines on the way."""

from __future__ import annotations

from collections.abc import Sequence

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
