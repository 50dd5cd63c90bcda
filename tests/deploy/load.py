"""Requests at a steady rate, whatever becomes of those before: what clients see while something is restarted."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType

import requests

STOP_WITHIN = 90.0  # seconds for the last answers


class Load:
    """`ask(number)` is one request; it returns the status or raises. Started and stopped with a `with`."""

    def __init__(self, ask: Callable[[int], int], *, per_second: float) -> None:
        self._ask = ask
        self._pause = 1 / per_second
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._clock = threading.Thread(target=self._run, name="load", daemon=True)
        self.outcomes: Counter[str] = Counter()
        self.slowest = 0.0

    def __enter__(self) -> Load:
        self._clock.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._clock.join()
        end = time.monotonic() + STOP_WITHIN
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        self.outcomes["no answer"] += sum(thread.is_alive() for thread in self._threads)

    @property
    def failed(self) -> dict[str, int]:
        """How often what else than 200 came of a request."""
        return {outcome: count for outcome, count in self.outcomes.items() if outcome != "200" and count}

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stopping.wait(max(0.0, due - time.monotonic())):
            thread = threading.Thread(target=self._one, args=(len(self._threads),), daemon=True)
            thread.start()
            self._threads.append(thread)
            due += self._pause

    def _one(self, number: int) -> None:
        began = time.monotonic()
        try:
            outcome = str(self._ask(number))
        except requests.RequestException as error:
            outcome = type(error).__name__
        self.outcomes[outcome] += 1
        self.slowest = max(self.slowest, time.monotonic() - began)
