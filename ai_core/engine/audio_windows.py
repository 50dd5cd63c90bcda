"""Long sound in windows that a speech model hears one by one: cut where it is quiet, so that no word is cut.

A model with timestamps could say itself where it stopped; fine-tuned ones often lost them, and windows that do not
depend on each other can be computed together.
"""

from __future__ import annotations

import numpy as np

from ai_core.engine.audio import Samples

HOP_SECONDS = 0.02
PAUSE_HOPS = 10
"""A fifth of a second: the quietest stretch of this length is where the cut goes, in its middle."""
SILENCE = 0.001
"""-60 dB of full scale. Models invent text where nothing is louder."""


def windows(samples: Samples, rate: int, longest: int) -> list[tuple[int, int]]:
    """Start and end, in samples, of consecutive windows of at most `longest` and, where one is not enough, at least a
    third of that: in a short rest models hear what nobody said. A cut is looked for in a stretch of a third."""
    borders, third, hop = [0], longest // 3, max(1, int(rate * HOP_SECONDS))
    while (rest := len(samples) - borders[-1]) > longest:
        latest = borders[-1] + min(longest, rest - third)
        borders.append(latest - third + _quietest(samples[latest - third : latest], hop))
    return list(zip(borders, [*borders[1:], len(samples)], strict=True))


def is_silent(samples: Samples) -> bool:
    return float(np.abs(samples).max(initial=0.0)) < SILENCE


def _quietest(samples: Samples, hop: int) -> int:
    """The middle of the quietest pause; the last one of equals, which makes fewer windows."""
    hops = len(samples) // hop
    energy = np.square(samples[: hops * hop]).reshape(hops, hop).sum(axis=1)
    pauses = np.convolve(energy, np.ones(PAUSE_HOPS), mode="valid")[::-1]
    return (len(pauses) - 1 - int(pauses.argmin()) + PAUSE_HOPS // 2) * hop
