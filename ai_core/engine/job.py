"""Work for a model that answers as a whole, not token by token: its pieces, and the result that somebody waits for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent import futures
from typing import Generic, TypeVar

from ai_core.engine.errors import InvalidRequest

Piece = TypeVar("Piece")
Part = TypeVar("Part")
Result = TypeVar("Result")

logger = logging.getLogger(__name__)


class InvalidInput(InvalidRequest):
    """Can never be computed as it is. `field` names the input that is wrong, as a client calls it."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class JobCancelled(Exception):
    """Nobody wanted the result any more."""


class JobLate(Exception):
    """The deadline came before the result."""


class JobFailed(Exception):
    """The model failed. The text is safe to show; the cause is in the log."""

    def __init__(self) -> None:
        super().__init__("the model failed while computing this")


class Job(Generic[Piece, Part, Result]):
    """`pieces`, at least one, are computed in their order, maybe in one batch with those of others; `join` makes the
    result of their parts on the engine's thread. `deadline` is a time.monotonic() value after which the result is of
    no use."""

    def __init__(
        self, pieces: Sequence[Piece], join: Callable[[list[Part]], Result], *, deadline: float | None = None
    ) -> None:
        if not pieces:
            raise ValueError("a job without pieces")
        self.deadline = deadline
        self._join = join
        self._todo = list(pieces)
        self._parts: list[Part] = []
        self._cancelled = False
        self._future: futures.Future[Result] = futures.Future()

    # -- from any thread ----------------------------------------------------------------------------------------------

    @property
    def cancelled(self) -> bool:
        return self._cancelled

    def cancel(self) -> None:
        """Ask the engine to end this job at its next step. Safe from any thread, and after the end."""
        self._cancelled = True

    @property
    def ended(self) -> bool:
        return self._future.done()

    def result(self, timeout: float | None = None) -> Result:
        """Wait for the end, at most `timeout` seconds (TimeoutError; the job goes on, cancel() it if it should not).
        Raises JobCancelled, JobLate, JobFailed, and EngineStopped when the engine was stopped meanwhile."""
        try:
            return self._future.result(timeout)
        except futures.TimeoutError as error:  # the built-in one only from Python 3.11 on
            raise TimeoutError(f"no result within {timeout} s") from error

    # -- from the engine's thread -------------------------------------------------------------------------------------

    @property
    def todo(self) -> Sequence[Piece]:
        """The pieces that are not computed yet."""
        return self._todo

    def add(self, part: Part) -> bool:
        """Take the part of the first piece to do; whether it was the last one, and finish is due."""
        del self._todo[0]
        self._parts.append(part)
        return not self._todo

    def finish(self) -> None:
        """End with the result."""
        try:
            result = self._join(self._parts)
        except Exception:
            logger.exception("the parts of a job do not join")
            self.fail(JobFailed())
        else:
            self._future.set_result(result)

    def fail(self, error: Exception) -> None:
        """End without a result; the pieces, which may be large, are given up."""
        self._todo = []
        self._future.set_exception(error)
