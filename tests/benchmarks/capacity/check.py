"""The simulation beside a real AI core: the same arrivals, what became of them here and there."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tests.benchmarks.api.asking import Outcome
from tests.benchmarks.capacity import measured
from tests.benchmarks.capacity.measured import Core
from tests.benchmarks.capacity.queueing import Request, poisson, simulate
from tests.benchmarks.capacity.rates import Rates

LOADS = (0.5, 0.8, 1.5)  # of what the machine can do
SEED = 3
REFUSED = 503


@dataclass(frozen=True, slots=True)
class Figures:
    """Seconds until the first words and until the end, and the share of requests that were refused."""

    first_p50: float
    first_p95: float
    whole_p50: float
    whole_p95: float
    refused: float


@dataclass(frozen=True, slots=True)
class Level:
    """One load: `a_minute` requests, simulated and real."""

    load: float
    a_minute: float
    requests: int
    simulated: Figures
    real: Figures


def check(core: Core, seconds: float) -> tuple[Rates, list[Level]]:
    """Play each load for `seconds`. Rates are measured before each level: a shared machine changes by the minute."""
    levels = []
    for load in LOADS:
        rates = core.rates()
        a_second = load * most(rates)
        arrivals = list(poisson(a_second, seconds, measured.sizes, random.Random(SEED)))
        real = _real(core.play(arrivals))
        simulate(rates.machine(slots=measured.SLOTS, waiting=measured.WAITING, timeout=measured.TIMEOUT), arrivals)
        levels.append(Level(load, 60 * a_second, len(arrivals), simulated(arrivals, rates.overhead), real))
    return core.rates(), levels


def most(rates: Rates) -> float:
    """Requests a second of the check's sizes that keep every slot busy."""
    drawn = [measured.sizes(random.Random(seed)) for seed in range(200)]
    prompt, answer = np.mean(drawn, axis=0)
    return float(1 / (prompt / rates.prefill + answer * rates.step(measured.SLOTS) / measured.SLOTS))


def simulated(requests: Sequence[Request], overhead: float) -> Figures:
    """Of requests that were played."""
    served = [one for one in requests if not one.refused]
    return _figures(
        [one.first - one.at + overhead for one in served if one.first == one.first],
        [one.ended - one.at + overhead for one in served],
        1 - len(served) / len(requests),
    )


def _real(outcomes: Sequence[Outcome]) -> Figures:
    served = [one for one in outcomes if one.status != REFUSED]
    return _figures(
        [one.first for one in served if one.first is not None],
        [one.seconds for one in served],
        1 - len(served) / len(outcomes),
    )


def _figures(first: Sequence[float], whole: Sequence[float], refused: float) -> Figures:
    (first_p50, first_p95), (whole_p50, whole_p95) = (
        np.percentile(values, (50, 95)).tolist() for values in (first, whole)
    )
    return Figures(first_p50, first_p95, whole_p50, whole_p95, refused)


def table(levels: Sequence[Level]) -> str:
    """Markdown: each figure simulated / real."""
    head = "| load | requests a minute | first words p50 (s) | p95 | whole answer p50 (s) | p95 | refused (%) |"
    lines = [head, "| --- " * 7 + "|"]
    for level in levels:
        pairs = [
            f"{ours:.2f} / {real:.2f}"
            for ours, real in (
                (level.simulated.first_p50, level.real.first_p50),
                (level.simulated.first_p95, level.real.first_p95),
                (level.simulated.whole_p50, level.real.whole_p50),
                (level.simulated.whole_p95, level.real.whole_p95),
                (100 * level.simulated.refused, 100 * level.real.refused),
            )
        ]
        lines.append(f"| {level.load:.1f} | {level.a_minute:.0f} | " + " | ".join(pairs) + " |")
    return "\n".join(lines)
