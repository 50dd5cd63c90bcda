"""The one thread that owns a model which answers as a whole (embeddings, speech to text): batch after batch.

All jobs at hand advance together: a batch takes one piece of each in turn, as many as the model computes at once, so
that a short job does not wait for the end of a long one. A failed batch fails the jobs in it and no others.

submit, refuse_if_unable, stop, stats, is_stalled and a job's cancel are safe from any thread. The condition guards the
list of jobs and the stop time; a job's pieces and parts belong to the engine's thread.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, Protocol, TypeVar

from ai_core.engine.errors import EngineBusy, EngineStopped
from ai_core.engine.job import Job, JobCancelled, JobFailed, JobLate

Piece = TypeVar("Piece")
Part = TypeVar("Part")
PieceOf = TypeVar("PieceOf", contravariant=True)
PartOf = TypeVar("PartOf", covariant=True)

WEIGHT_OF_NEWEST = 0.1

logger = logging.getLogger(__name__)


class BatchModel(Protocol[PieceOf, PartOf]):
    """Called by the engine's thread only."""

    @property
    def most_pieces(self) -> int:
        """No batch holds more pieces."""

    def fitting(self, pieces: Sequence[PieceOf]) -> int:
        """How many of the first `pieces`, at least one, can be computed in one batch."""

    def compute(self, pieces: Sequence[PieceOf], wanted: Callable[[], bool]) -> Sequence[PartOf]:
        """The part of each piece. Asks `wanted` between steps, each of them a sign of life; once that is False it
        returns soon, whatever."""


@dataclass(frozen=True, slots=True)
class BatchStats:
    """Totals count from the start of the engine. A job at hand waits or is being computed."""

    jobs: int
    pieces: int
    jobs_total: int
    failed_total: int
    pieces_total: int
    steps_total: int
    seconds_since_last_step: float


class BatchEngine(Generic[Piece, Part]):
    """Call start() to run the thread, or step() by hand in tests. At most `max_waiting` jobs are at hand, the ones
    being computed included. The model is the caller's to close after stop()."""

    def __init__(
        self, model: BatchModel[Piece, Part], *, max_waiting: int = 64, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._model = model
        self._max_waiting = max_waiting
        self._clock = clock
        self._condition = threading.Condition()
        self._jobs: list[Job[Piece, Part, Any]] = []  # whose turn is next comes first
        self._stop_at: float | None = None
        self._last_progress = clock()
        self._piece_seconds = 0.0  # moving average; 0 before the first batch
        self._jobs_total = self._failed_total = self._pieces_total = self._steps_total = 0
        self._thread = threading.Thread(target=self._loop, name="batch-engine", daemon=True)

    # -- from any thread ----------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._thread.start()

    def submit(self, job: Job[Piece, Part, Any]) -> None:
        """Queue `job`, a new one. Raises EngineBusy and EngineStopped."""
        with self._condition:
            self.refuse_if_unable(job.deadline, pieces=len(job.todo))
            if not self._jobs:
                self._last_progress = self._clock()
            self._jobs.append(job)
            self._condition.notify()

    def refuse_if_unable(self, deadline: float | None = None, *, pieces: int = 1) -> None:
        """Raise EngineBusy or EngineStopped if submit would now: worth asking before the input is prepared at length.
        A job is refused for its deadline when the others alone will take until then."""
        with self._condition:
            if self._stop_at is not None:
                raise EngineStopped
            if len(self._jobs) >= self._max_waiting:
                first_to_end = min(len(job.todo) for job in self._jobs)
                raise EngineBusy(retry_after=max(1.0, self._seconds_beside(first_to_end)))
            wait = self._seconds_beside(pieces)
            if deadline is not None and self._clock() + wait >= deadline:
                raise EngineBusy(retry_after=max(1.0, wait))

    def stop(self, *, grace_seconds: float = 0.0) -> None:
        """Take no more jobs, let those at hand end within `grace_seconds`, end the rest with EngineStopped. Returns
        when the thread has ended, at the latest one step after the grace."""
        with self._condition:
            self._stop_at = self._clock() + grace_seconds
            self._condition.notify()
        if self._thread.is_alive():
            self._thread.join()
        else:
            self._fail(list(self._jobs), EngineStopped)

    def stats(self) -> BatchStats:
        with self._condition:
            return BatchStats(
                jobs=len(self._jobs),
                pieces=sum(len(job.todo) for job in self._jobs),
                jobs_total=self._jobs_total,
                failed_total=self._failed_total,
                pieces_total=self._pieces_total,
                steps_total=self._steps_total,
                seconds_since_last_step=self._clock() - self._last_progress,
            )

    def is_stalled(self, seconds: float) -> bool:
        """Whether jobs have been there for `seconds` without a sign of life, or the thread is gone."""
        if self._thread.ident is not None and not self._thread.is_alive():
            return True
        return bool(self._jobs) and self._clock() - self._last_progress > seconds

    def _seconds_beside(self, pieces: int) -> float:
        """What the jobs at hand take of the time until a job of `pieces` would end: as many turns as that one."""
        return self._piece_seconds * sum(min(len(job.todo), pieces) for job in self._jobs)

    # -- the engine's thread ------------------------------------------------------------------------------------------

    def step(self) -> bool:
        """Compute one batch; whether there was anything to compute."""
        self._end_unwanted()
        batch = self._next_batch()
        if not batch:
            return False
        started = self._clock()
        parts = self._compute(batch)
        self._last_progress = self._clock()
        self._count(len(parts), self._last_progress - started)
        pairs = zip(batch, parts, strict=False)
        complete = [job for (job, _), part in pairs if not job.ended and job.add(part)]
        self._leave(complete)
        for job in complete:
            job.finish()
        return True

    def _loop(self) -> None:
        while self._wait_for_work():
            try:
                self.step()
            except Exception:
                logger.exception("engine step failed")
                self._fail(list(self._jobs), JobFailed)
        self._fail(list(self._jobs), EngineStopped)

    def _wait_for_work(self) -> bool:
        """False when it is time to stop."""
        with self._condition:
            self._condition.wait_for(lambda: self._jobs or self._stop_at is not None)
            return bool(self._jobs) and not self._past_grace()

    def _past_grace(self) -> bool:
        return self._stop_at is not None and self._clock() >= self._stop_at

    def _end_unwanted(self) -> None:
        now, stopped = self._clock(), self._past_grace()
        for job in list(self._jobs):
            if job.cancelled:
                self._fail([job], JobCancelled)
            elif job.deadline is not None and now >= job.deadline:
                self._fail([job], JobLate)
            elif stopped:
                self._fail([job], EngineStopped)

    def _next_batch(self) -> list[tuple[Job[Piece, Part, Any], Piece]]:
        """One piece of each job in turn, then a second one of each, and so on. Who had a turn goes behind the rest."""
        with self._condition:
            candidates = list(islice(_in_turns(self._jobs), self._model.most_pieces))
            count = self._model.fitting([piece for _, piece in candidates]) if candidates else 0
            batch = candidates[:count]
            served = {id(job) for job, _ in batch}
            self._jobs.sort(key=lambda job: id(job) in served)
        return batch

    def _compute(self, batch: list[tuple[Job[Piece, Part, Any], Piece]]) -> Sequence[Part]:
        """The parts of the batch; none when it failed."""
        jobs = [job for job, _ in batch]
        try:
            parts = self._model.compute([piece for _, piece in batch], lambda: self._is_wanted(jobs))
        except Exception:
            logger.exception("batch failed", extra={"pieces": len(batch)})
            self._fail(jobs, JobFailed)
            return []
        if len(parts) != len(batch) and self._is_wanted(jobs):
            raise RuntimeError(f"{len(parts)} parts of {len(batch)} pieces")
        return parts

    def _is_wanted(self, jobs: list[Job[Piece, Part, Any]]) -> bool:
        """Whether anybody still waits for one of `jobs`; asked between the steps of a batch."""
        self._last_progress = self._clock()
        self._end_unwanted()
        return not all(job.ended for job in jobs)

    def _count(self, pieces: int, seconds: float) -> None:
        self._steps_total += 1
        self._pieces_total += pieces
        if pieces:
            weight = WEIGHT_OF_NEWEST if self._piece_seconds else 1.0
            self._piece_seconds += weight * (seconds / pieces - self._piece_seconds)

    def _fail(self, jobs: Iterable[Job[Piece, Part, Any]], error: type[Exception]) -> None:
        failed = [job for job in dict.fromkeys(jobs) if not job.ended]
        self._failed_total += len(failed)
        self._leave(failed)
        for job in failed:
            job.fail(error())

    def _leave(self, jobs: Iterable[Job[Piece, Part, Any]]) -> None:
        leaving = {id(job) for job in jobs}
        with self._condition:
            self._jobs_total += len(leaving)
            self._jobs = [job for job in self._jobs if id(job) not in leaving]


def _in_turns(jobs: Sequence[Job[Piece, Part, Any]]) -> Iterator[tuple[Job[Piece, Part, Any], Piece]]:
    turn, left = 0, [job for job in jobs if job.todo]
    while left:
        yield from ((job, job.todo[turn]) for job in left)
        turn += 1
        left = [job for job in left if turn < len(job.todo)]
