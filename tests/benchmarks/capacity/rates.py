"""How fast a machine computes a model: what the simulation is fed with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from tests.benchmarks.capacity.queueing import Machine


@dataclass(frozen=True, slots=True)
class Rates:
    """`prefill` tokens of prompts a second; `decode` output tokens a second in all, by the number of running answers;
    `overhead` seconds of every request outside the engine. `model_bytes` and `cores` are what it was measured with."""

    prefill: float
    decode: Mapping[int, float]
    overhead: float = 0.0
    model_bytes: int = 0
    cores: int = 0
    about: str = ""

    def step(self, answers: int) -> float:
        """Seconds in which so many answers grow by one token each; beyond what was measured as between the last two."""
        sizes = sorted(self.decode)
        times = [size / self.decode[size] for size in sizes]
        if answers <= sizes[-1] or len(sizes) == 1:
            return float(np.interp(answers, sizes, times))
        slope = max(0.0, (times[-1] - times[-2]) / (sizes[-1] - sizes[-2]))
        return times[-1] + slope * (answers - sizes[-1])

    def line(self) -> tuple[float, float]:
        """A step's fixed part (the weights are read once) and its part for each answer, seconds: the best line through
        what was measured."""
        sizes = sorted(self.decode)
        if len(sizes) == 1:
            return sizes[0] / self.decode[sizes[0]], 0.0
        each, fixed = np.polyfit(sizes, [size / self.decode[size] for size in sizes], 1)
        return max(0.0, float(fixed)), max(0.0, float(each))

    def machine(self, *, slots: int, waiting: float, timeout: float) -> Machine:
        """As the simulation takes it."""
        return Machine(self.step, self.prefill, slots, waiting, timeout)

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Rates:
        """Raises ValueError for a file that `write` did not make."""
        try:
            fields = json.loads(path.read_text(encoding="utf-8"))
            return cls(**{**fields, "decode": {int(size): float(rate) for size, rate in fields["decode"].items()}})
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"{path}: no rates: {error!r}") from error


def rates_of(text: str) -> dict[int, float]:
    """`1:87,4:109,16:261`: answers at a time and their output tokens a second in all. Raises ValueError."""
    found = {int(size): float(rate) for size, rate in (pair.split(":") for pair in text.split(","))}
    if not all(size > 0 and rate > 0 for size, rate in found.items()):
        raise ValueError(f"{text}: sizes and rates are above 0")
    return found
