"""Whether a figure stays as it is: its slope after the warm-up, and what that adds up to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tests.benchmarks.soak import samples

WARM_UP = 1 / 3  # of the time: caches fill, allocators and pools grow to their size


@dataclass(frozen=True, slots=True)
class Allowed:
    """Growth over the watched time that is still flat: a share of the figure, and a part that is always allowed."""

    share: float
    always: float


# Allocators give back in arenas of megabytes; a pool may open one more connection or thread late.
ALLOWED = {
    samples.MEMORY: Allowed(0.03, 3.0),
    samples.DESCRIPTORS: Allowed(0.0, 4.0),
    samples.THREADS: Allowed(0.0, 4.0),
}
BYTES_A_REQUEST = {samples.DATABASE: 6_000.0, samples.LOGS: 4_000.0}
"""What each request may leave in a database (until RETENTION_DAYS) and in logs (until LOG_RETENTION_DAYS)."""
BYTES_IN_REDIS = 1_000.0
"""What it may leave there: for an hour an answer of the cache, for a day the number of an update."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`growth` over the watched time, in the figure's unit; `an_hour` at the same pace."""

    figure: str
    level: float
    growth: float
    an_hour: float
    allowed: float

    @property
    def flat(self) -> bool:
        return self.growth <= self.allowed


def judge(taken: Sequence[Mapping[str, float]], requests: int) -> list[Verdict]:
    """A verdict for each figure of the samples `taken`, which have the same figures; `requests` were made meanwhile."""
    times = np.array([sample["at"] for sample in taken]) - taken[0]["at"]
    warm = times >= WARM_UP * times[-1]
    watched = float(times[-1] - times[warm][0])
    verdicts = []
    for figure in (name for name in taken[-1] if name != "at"):
        values = np.array([sample[figure] for sample in taken])[warm]
        slope, level = slope_of(times[warm], values), float(np.median(values))
        allowed = _allowed(figure, level, requests * watched / float(times[-1]))
        verdicts.append(Verdict(figure, level, slope * watched, slope * 3600, allowed))
    return verdicts


def slope_of(times: np.ndarray, values: np.ndarray) -> float:
    """Change a second: the median of the slopes between all pairs (Theil and Sen), which a few peaks do not move."""
    earlier, later = np.triu_indices(len(times), k=1)
    return float(np.median((values[later] - values[earlier]) / (times[later] - times[earlier])))


def _allowed(figure: str, level: float, requests: float) -> float:
    kind = figure.split(": ")[-1]
    kept = BYTES_IN_REDIS if figure == samples.REDIS else BYTES_A_REQUEST.get(kind)
    if kept is not None:
        return kept * requests / samples.MB
    return ALLOWED[kind].always + ALLOWED[kind].share * level
