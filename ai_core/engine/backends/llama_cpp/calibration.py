"""Which tuning computes fastest on this machine, measured in a few seconds when a model is first loaded.

Every candidate computes the same, in the kind of memory that will serve: a prompt that all sequences begin with, then
steps of several sizes after it. The best of a few repetitions counts, because other processes only make a measurement
slower.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ai_core.engine.backends.llama_cpp.library import library
from ai_core.engine.backends.llama_cpp.sequence_memory import SeparateCaches, SharedCache
from ai_core.engine.backends.llama_cpp.tuning import BATCH_TOKENS, Tuning, new_context
from ai_core.engine.speculation import StepCosts

logger = logging.getLogger(__name__)

BUDGET_SECONDS = 20.0
"""What calibration may take in all; a model too large for that keeps the defaults that were not yet measured."""
PROMPT, CHUNK = 512, 64
PREFILL = (32, 64)
"""Tokens of one prompt, as candidates are compared: the shorter chunk is too short for attention in tiles."""
SEQUENCES = 16
STEPS = (1, 2, 4, 8, 16, 32, 64)
"""Rows at which a step's cost is measured: those above SEQUENCES as several of each sequence, as drafts are."""
SAMPLE = (1, 16)
"""Rows by which candidates are compared, with prefill."""
REPETITIONS = 3
MARGIN = 0.95
"""A candidate must be so much faster than the best before it, or the difference may be noise."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """`costs` is None where there was no time even for the first tuning, and it stands unmeasured."""

    tuning: Tuning
    costs: StepCosts | None


class _OutOfTime(Exception):
    pass


def calibrate(
    model: Any,
    first: Tuning,
    candidates: Sequence[Callable[[Tuning], Tuning]],
    *,
    separate: bool = False,
    budget: float = BUDGET_SECONDS,
) -> Calibration:
    """Measure `first`, then what each of `candidates` makes of the best so far; keep what is faster. `separate`: with a
    cache for each sequence."""
    deadline = time.perf_counter() + budget
    best, costs = first, None
    try:
        speed, costs = _measure(model, first, deadline, separate)
        for change in candidates:
            tuning = change(best)
            if tuning == best:
                continue
            try:
                other_speed, other_costs = _measure(model, tuning, deadline, separate)
            except ValueError as error:
                logger.debug("tuning is not possible", extra={"tuning": str(tuning), "reason": str(error)})
                continue
            if other_speed < speed * MARGIN:
                best, speed, costs = tuning, other_speed, other_costs
    except _OutOfTime:
        logger.info("calibration ended early: a large model, or a busy machine", extra={"tuning": str(best)})
    return Calibration(best, costs)


def usual_candidates(threads: Sequence[int], *, other_attention: bool = True) -> list[Callable[[Tuning], Tuning]]:
    """Attention, unless there is no room for another, then numbers of threads, then the cache's types: what changes
    most comes first, because time may be short."""
    attention = [lambda tuning: replace(tuning, flash_attention=not tuning.flash_attention)] if other_attention else []
    return [
        *attention,
        *(_with_threads(count) for count in threads),
        lambda tuning: replace(tuning, key_type="q8_0"),
        lambda tuning: (
            replace(tuning, value_type="q8_0") if tuning.flash_attention and tuning.key_type == "q8_0" else tuning
        ),
    ]


def _with_threads(count: int) -> Callable[[Tuning], Tuning]:
    return lambda tuning: replace(tuning, threads=count, threads_batch=count)


def _measure(model: Any, tuning: Tuning, deadline: float, separate: bool) -> tuple[float, StepCosts]:
    """A figure to compare (the smaller, the faster), and the costs. Raises ValueError for an impossible tuning."""
    bench = _Bench(model, tuning, deadline, separate)
    try:
        bench.begin()
        seconds = {rows: bench.step(rows) for rows in SAMPLE}
        figure = math.prod(seconds.values()) * math.prod(bench.prefill(tokens) for tokens in PREFILL)
        for rows in STEPS:
            if rows not in seconds and bench.has_time(seconds[16] * rows / 16):
                seconds[rows] = bench.step(rows)
    finally:
        bench.close()
    sizes = sorted(seconds)
    return figure ** (1 / len((*SAMPLE, *PREFILL))), StepCosts(tuple(sizes), tuple(seconds[rows] for rows in sizes))


class _Bench:
    """A context with SEQUENCES sequences that begin with one prompt, after begin()."""

    def __init__(self, model: Any, tuning: Tuning, deadline: float, separate: bool) -> None:
        self._library = library()
        self._deadline = deadline
        self._vocabulary = self._library.llama_vocab_n_tokens(self._library.llama_model_get_vocab(model))
        cells = SEQUENCES * (PROMPT + max(PREFILL)) if separate else PROMPT + SEQUENCES * max(PREFILL)
        self._context = new_context(
            model, tuning, cells=cells, sequences=SEQUENCES, outputs=max(STEPS), separate=separate
        )
        if self._context is None:
            raise ValueError("llama.cpp cannot make this context")
        self._memory = self._library.llama_get_memory(self._context)
        self._batch = self._library.llama_batch_init(BATCH_TOKENS, 0, 1)
        self._tokens = self._token_numbers()
        self._caches = SeparateCaches(self._context, SEQUENCES) if separate else SharedCache(self._context)

    def begin(self) -> None:
        """Read the prompt. Raises _OutOfTime as soon as that would take until the deadline."""
        began = time.perf_counter()
        for start in range(0, PROMPT, CHUNK):
            self._decode([(position, 0, False) for position in range(start, start + CHUNK)])
            if began + (time.perf_counter() - began) * PROMPT / (start + CHUNK) > self._deadline:
                raise _OutOfTime
        for sequence in range(1, SEQUENCES):
            self._caches.copy(0, sequence, PROMPT)

    def close(self) -> None:
        self._library.llama_batch_free(self._batch)
        self._library.llama_free(self._context)

    def has_time(self, seconds: float) -> bool:
        return time.perf_counter() + seconds * REPETITIONS < self._deadline

    def step(self, rows: int) -> float:
        """Seconds of the fastest step that computes `rows` rows, as many of each sequence."""
        each = max(1, rows // SEQUENCES)
        return self._fastest([(PROMPT + row, which, True) for which in range(rows // each) for row in range(each)])

    def prefill(self, tokens: int) -> float:
        """Seconds for a chunk of a prompt."""
        return self._fastest([(PROMPT + place, 0, False) for place in range(tokens)])

    def _fastest(self, rows: list[tuple[int, int, bool]]) -> float:
        best = math.inf
        for _ in range(REPETITIONS):
            if time.perf_counter() > self._deadline:
                raise _OutOfTime
            began = time.perf_counter()
            self._decode(rows)
            best = min(best, time.perf_counter() - began)
            for sequence in {sequence for _, sequence, _ in rows}:
                self._library.llama_memory_seq_rm(self._memory, sequence, PROMPT, -1)
        return best

    def _decode(self, rows: list[tuple[int, int, bool]]) -> None:
        for place, (position, sequence, output) in enumerate(rows):
            self._batch.token[place] = next(self._tokens)
            self._batch.pos[place], self._batch.n_seq_id[place] = position, 1
            self._batch.seq_id[place][0] = sequence
            self._batch.logits[place] = output
        self._batch.n_tokens = len(rows)
        code = self._library.llama_decode(self._context, self._batch)
        self._library.llama_synchronize(self._context)
        if code != 0:
            raise ValueError(f"llama_decode returned {code}")

    def _token_numbers(self) -> Iterator[int]:
        """Tokens all over the vocabulary; which ones makes no difference to the speed."""
        token = 1
        while True:
            token = (token * 31 + 17) % self._vocabulary
            yield token
