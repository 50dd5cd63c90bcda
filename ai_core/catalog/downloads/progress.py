"""How far a running download is, how fast, and how long it still takes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

WINDOW = 20.0  # seconds over which the speed is measured


class Progress:
    """Of one run; bytes that an earlier run had fetched do not count as speed. Any thread may read it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.done: int | None = None
        self.total: int | None = None
        self.message: str | None = None
        self._clock = clock
        self._samples: deque[tuple[float, int]] = deque()

    def reach(self, done: int) -> int:
        """`done` bytes are on the disk; returns how many of them are new."""
        now = self._clock()
        before, self.done = self.done, done
        if before is not None and done < before:  # a damaged file is fetched again
            self._samples.clear()
        self._samples.append((now, done))
        while now - self._samples[0][0] > WINDOW:
            self._samples.popleft()
        return max(0, done - before) if before is not None else 0

    @property
    def bytes_per_second(self) -> int | None:
        """None until there is something to measure."""
        samples = list(self._samples)
        if len(samples) < 2:
            return None
        seconds = self._clock() - samples[0][0]
        return round((samples[-1][1] - samples[0][1]) / seconds) if seconds > 0 else None

    @property
    def estimated_seconds(self) -> int | None:
        """Until the last byte has come, at the present speed."""
        speed = self.bytes_per_second
        if not speed or self.total is None or self.done is None:
            return None
        return round((self.total - self.done) / speed)
