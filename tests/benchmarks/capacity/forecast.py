"""What other machines and models would carry: measured rates scaled by stated assumptions, then simulated."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tests.benchmarks.capacity.queueing import Machine, poisson, simulate
from tests.benchmarks.capacity.rates import Rates

SLOTS, WAITING, TIMEOUT = 16, 64, 55.0  # the AI core's own defaults
FIRST_WITHIN, FAILED_AT_MOST = 2.0, 0.01
REQUESTS, SEED, STEPS = 800, 5, 10
LEAST_A_MINUTE, MOST_A_MINUTE = 0.2, 3_000.0


@dataclass(frozen=True, slots=True)
class Model:
    """`size` in bytes of its file, `parameters` in billions."""

    name: str
    parameters: float
    size: float


@dataclass(frozen=True, slots=True)
class Hardware:
    """`compute` and `bandwidth` are times those of the machine that was measured; a `gpu` has bytes and operations a
    second of its own instead, of which EFFICIENCY is reached."""

    name: str
    compute: float = 0.0
    bandwidth: float = 0.0
    gpu: tuple[float, float] | None = None


EFFICIENCY = 0.5
MODELS = (
    Model("1.5 B, Q4_K_M", 1.5, 1.0e9),
    Model("7 B, Q4_K_M", 7.2, 4.4e9),
)
VPS = (Hardware("4 cores", 2.0, 1.6), Hardware("8 cores", 4.0, 2.4))
GPU = Hardware("GPU, 300 GB/s, 120 TFLOP/s", gpu=(300e9, 120e12))


@dataclass(frozen=True, slots=True)
class Carried:
    """`quick` questions a minute with first words in time, `most` with few refused or cut; `whole` is the p95 of whole
    answers at `most`, seconds."""

    hardware: str
    model: str
    prefill: float
    decode: tuple[float, float]
    quick: float
    most: float
    whole: float


def carried(hardware: Hardware, model: Model, rates: Rates, parameters: float) -> Carried:
    """`parameters` in billions are those of the model that `rates` were measured with."""
    fixed, each, prefill = _scaled(hardware, model, rates, parameters)
    machine = Machine(lambda answers: fixed + each * answers, prefill, SLOTS, WAITING, TIMEOUT)
    quick, _ = _most(machine, lambda first, failed: first < FIRST_WITHIN and failed < FAILED_AT_MOST)
    most, whole = _most(machine, lambda _, failed: failed < FAILED_AT_MOST)
    alone, many = 1 / machine.step(1), SLOTS / machine.step(SLOTS)
    return Carried(hardware.name, model.name, prefill, (alone, many), quick, most, whole)


def _scaled(hardware: Hardware, model: Model, rates: Rates, parameters: float) -> tuple[float, float, float]:
    """A step's fixed part (the weights go through memory once) and its part for each answer, in seconds; tokens of
    prompts a second (two operations for each weight and token)."""
    if hardware.gpu is not None:
        bandwidth, operations = (EFFICIENCY * rate for rate in hardware.gpu)
        work = 2e9 * model.parameters / operations
        return model.size / bandwidth, work, 1 / work
    fixed, each = rates.line()
    larger = model.parameters / parameters
    return (
        fixed * model.size / rates.model_bytes / hardware.bandwidth,
        each * larger / hardware.compute,
        rates.prefill / larger * hardware.compute,
    )


def question(chance: random.Random) -> tuple[float, float]:
    """Tokens of a grounded question that are not shared with others, and of its answer."""
    return chance.uniform(400, 1_400), chance.uniform(80, 320)


def _most(machine: Machine, good: Callable[[float, float], bool]) -> tuple[float, float]:
    """The most questions a minute at which `good(p95 of first words, share refused or cut)`, and the p95 of whole
    answers there; 0 and 0 where even few questions are too many."""
    low, high, whole = 0.0, MOST_A_MINUTE, 0.0
    for _ in range(STEPS):
        middle = (low * high) ** 0.5 if low else high / 8
        first, ended, failed = _played(machine, middle / 60)
        if good(first, failed):
            low, whole = middle, ended
        else:
            high = middle
        if high < LEAST_A_MINUTE:
            break
    return low, whole


def _played(machine: Machine, a_second: float) -> tuple[float, float, float]:
    """p95 of first words and of whole answers, share refused or cut."""
    requests = list(poisson(a_second, REQUESTS / a_second, question, random.Random(SEED)))
    simulate(machine, requests)
    served = [one for one in requests if not one.refused and not one.cut]
    if not served:
        return np.inf, np.inf, 1.0
    first, ended = (np.percentile([getattr(one, name) - one.at for one in served], 95) for name in ("first", "ended"))
    return float(first), float(ended), 1 - len(served) / len(requests)


def table(rows: Sequence[Carried]) -> str:
    """Markdown."""
    lines = [
        "| machine | model | prompt tokens a second | output tokens a second, 1 / 16 answers |"
        " questions a minute, first words < 2 s | questions a minute, < 1 % refused or cut | whole answer p95 there |",
        "| --- " * 7 + "|",
    ]
    for row in rows:
        decode = f"{row.decode[0]:,.1f} / {row.decode[1]:,.1f}"
        quick = f"{row.quick:,.1f}" if row.quick else "none"
        most = f"{row.most:,.1f} | {row.whole:.0f} s" if row.most else "none | "
        lines.append(f"| {row.hardware} | {row.model} | {row.prefill:,.0f} | {decode} | {quick} | {most} |")
    return "\n".join(lines)
