"""The AI core as a queue: Poisson arrivals, slots, a waiting limit, priorities, and a rate that depends on who runs.

A discrete-event simulation. Between two events all rates are constant: prompts are read one after the other, all
answers that have their prompt are written together, and a step that does both takes as long as both
(engine/scheduler.py and engine/pacing.py do it so). Times in seconds, sizes in tokens.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from ai_core.engine.pacing import LEAST_TOKENS, MOST_TOKENS, SLOWER, WAITED_SECONDS
from ai_core.engine.request import Priority
from ai_core.engine.scheduler import rank

DONE = 1e-9  # tokens: rounding


@dataclass(frozen=True, slots=True)
class Machine:
    """`step(answers)` is the time in which so many running answers grow by one token each. `prefill` tokens of prompts
    are read a second. `timeout` after its arrival a request ends as it is."""

    step: Callable[[int], float]
    prefill: float
    slots: int
    waiting: float = math.inf
    timeout: float = math.inf

    def speeds(self, answers: int, reads: bool) -> tuple[float, float]:
        """Tokens a second of the prompt that is read, and of each of `answers`."""
        if not answers:
            return (self.prefill if reads else 0.0), 0.0
        alone = self.step(answers)
        if not reads:
            return 0.0, 1 / alone
        allowed = max(WAITED_SECONDS / answers, SLOWER * alone)
        chunk = min(MOST_TOKENS, max(LEAST_TOKENS, (allowed - alone) * self.prefill))
        both = alone + chunk / self.prefill
        return chunk / both, 1 / both


@dataclass(slots=True, eq=False)
class Request:
    """One question and its fate: `first` is when its first words came; `refused` where too many waited, `cut` where it
    ended at the timeout."""

    at: float
    prompt: float
    answer: float
    priority: Priority = Priority.INTERACTIVE
    started: float = math.nan
    first: float = math.nan
    ended: float = math.nan
    refused: bool = False
    cut: bool = False
    to_read: float = field(default=0.0, init=False)
    to_write: float = field(default=0.0, init=False)

    @property
    def reads(self) -> bool:
        return self.to_read > DONE


def poisson(
    a_second: float, seconds: float, sizes: Callable[[random.Random], tuple[float, float]], chance: random.Random
) -> Iterator[Request]:
    """Arrivals of a Poisson process; `sizes` draws tokens of prompt and answer."""
    at = chance.expovariate(a_second)
    while at < seconds:
        prompt, answer = sizes(chance)
        yield Request(at, prompt, answer)
        at += chance.expovariate(a_second)


def simulate(machine: Machine, requests: Sequence[Request]) -> None:
    """Play `requests`, in the order of their arrival, to the end; each is told its fate."""
    _Play(machine, requests).run()


class _Play:
    def __init__(self, machine: Machine, requests: Sequence[Request]) -> None:
        self._machine = machine
        self._coming = iter(requests)
        self._next = next(self._coming, None)
        self._now = 0.0
        self._running: list[Request] = []
        self._waiting: list[Request] = []

    def run(self) -> None:
        while self._next is not None or self._running:
            reading, writing = self._speeds()
            self._grow(self._time_to_next(reading, writing), reading, writing)
            self._end()
            self._arrive()
            self._start()

    def _speeds(self) -> tuple[float, float]:
        writers = sum(not one.reads for one in self._running)
        return self._machine.speeds(writers, reads=writers < len(self._running))

    def _reader(self) -> Request | None:
        """Prompts are read in the order in which they started."""
        return next((one for one in self._running if one.reads), None)

    def _time_to_next(self, reading: float, writing: float) -> float:
        times = [one.to_write / writing for one in self._running if not one.reads]
        reader = self._reader()
        if reader is not None:
            times.append(reader.to_read / reading)
        if self._next is not None:
            times.append(self._next.at - self._now)
        if math.isfinite(self._machine.timeout):
            times += [one.at + self._machine.timeout - self._now for one in (*self._running, *self._waiting)]
        return max(0.0, min(times))

    def _grow(self, seconds: float, reading: float, writing: float) -> None:
        reader = self._reader()
        for one in self._running:
            if not one.reads:
                one.to_write -= writing * seconds
        self._now += seconds
        if reader is not None:
            reader.to_read -= reading * seconds
            if not reader.reads:
                reader.first = self._now

    def _end(self) -> None:
        for one in self._running:
            if not one.reads and one.to_write <= DONE:
                one.ended = self._now
        for one in (*self._running, *self._waiting):
            if math.isnan(one.ended) and self._now - one.at >= self._machine.timeout - DONE:
                one.cut, one.ended = True, self._now
        self._running = [one for one in self._running if math.isnan(one.ended)]
        self._waiting = [one for one in self._waiting if math.isnan(one.ended)]

    def _arrive(self) -> None:
        while self._next is not None and self._next.at <= self._now + DONE:
            free = self._machine.slots - len(self._running)
            if free > 0 or len(self._waiting) < self._machine.waiting:
                self._waiting.append(self._next)
                self._start()
            else:
                self._next.refused = True
            self._next = next(self._coming, None)

    def _start(self) -> None:
        while self._waiting and len(self._running) < self._machine.slots:
            one = min(self._waiting, key=lambda each: rank(each.priority, each.at))
            self._waiting.remove(one)
            one.started, one.to_read, one.to_write = self._now, one.prompt, one.answer
            if not one.reads:
                one.first = self._now
            self._running.append(one)
