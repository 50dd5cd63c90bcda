"""A model beside the one that answers (embeddings, speech): in memory from its first request until nobody asks.

Any thread may call. The condition guards the fields. A thread of its own loads; those who ask wait for it as long as
they can.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, Protocol, TypeVar

from ai_core import heap
from ai_core.engine.batch_engine import BatchEngine
from ai_core.engine.errors import EngineBusy, EngineStopped
from ai_core.engine.job import InvalidInput, Job, JobCancelled, JobFailed, JobLate
from common.errors import InvalidFields, ServiceError

logger = logging.getLogger(__name__)

LOOK_AT_CLIENT = 0.2  # seconds
RETRY_WHILE_LOADING, RETRY_AFTER_FAILURE = 5.0, 60.0
PAST_DEADLINE = 1.0  # seconds
CLIENT_CLOSED_REQUEST = 499


class BatchModel(Protocol):
    """An Embedder or a Transcriber."""

    def close(self) -> None: ...


Model = TypeVar("Model", bound=BatchModel)
Result = TypeVar("Result")


class ExtraModel(Generic[Model]):
    """`load` brings the model into memory; whatever it raises is logged. At most `max_waiting` jobs are at
    hand; each ends within `timeout` seconds. After `idle_seconds` without a request (0: never) unload_if_idle gives it
    back; that is what `clock` measures."""

    def __init__(
        self,
        name: str,
        load: Callable[[], Model],
        *,
        max_waiting: int,
        timeout: float,
        idle_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._load = load
        self._max_waiting = max_waiting
        self._timeout = timeout
        self._idle_seconds = idle_seconds
        self._clock = clock
        self._condition = threading.Condition()
        self._serving: tuple[Model, BatchEngine[Any, Any]] | None = None
        self._loading = self._stopped = False
        self._users = 0
        self._used_at = clock()

    @property
    def is_loaded(self) -> bool:
        return self._serving is not None

    def run(
        self, make: Callable[[Model, float], Job[Any, Any, Result]], *, is_wanted: Callable[[], bool] = lambda: True
    ) -> Result:
        """The result of the job that `make` makes for the model and a deadline. Raises InvalidFields for its input, and
        ServiceError: 503 while the model loads, is busy or cannot be loaded, 500 when it fails."""
        deadline = time.monotonic() + self._timeout
        with self._held(deadline) as (model, engine):
            try:
                engine.refuse_if_unable(deadline)  # before the input is prepared at length
                job = make(model, deadline)
                engine.submit(job)
                return _result(job, is_wanted, deadline)
            except InvalidInput as error:
                raise InvalidFields({error.field: [_sentence(error.reason)]}) from error
            except EngineBusy as error:
                message = "All places are taken. Please try again shortly."
                raise ServiceError(503, "at_capacity", message, retry_after=error.retry_after) from error
            except JobLate as error:
                message = "This took longer than a request may. A shorter input, or a quieter moment, can succeed."
                raise ServiceError(503, "deadline", message, retry_after=RETRY_AFTER_FAILURE) from error
            except JobFailed as error:
                raise ServiceError(500, "model_failed", "The model failed while computing this.") from error
            except EngineStopped as error:
                raise _stopping() from error

    def unload_if_idle(self) -> bool:
        """Take the model out of memory if nobody has asked for it for a while; whether it went. A regular job of each
        process."""
        with self._condition:
            idle = self._clock() - self._used_at >= self._idle_seconds > 0
            if self._serving is None or self._users or not idle:
                return False
            self._give_back()
        heap.give_back()
        logger.info("extra model unloaded", extra={"model": self.name})
        return True

    def stop(self) -> None:
        """For the end of the process: load nothing more, end what runs."""
        with self._condition:
            self._stopped = True
            self._condition.notify_all()
            if self._serving is not None:
                self._serving[1].stop()
            self._condition.wait_for(lambda: not self._users, 5.0)
            if not self._users:
                self._give_back()

    @contextmanager
    def _held(self, deadline: float) -> Iterator[tuple[Model, BatchEngine[Any, Any]]]:
        serving = self._get(deadline)
        try:
            yield serving
        finally:
            with self._condition:
                self._users -= 1
                self._used_at = self._clock()
                self._condition.notify_all()

    def _get(self, deadline: float) -> tuple[Model, BatchEngine[Any, Any]]:
        """The model, loaded if need be, with one user more."""
        with self._condition:
            if self._serving is None and not self._loading and not self._stopped:
                self._loading = True
                # In a thread of its own: the request that asked for it may have to leave before it is there.
                threading.Thread(target=self._bring_in, name=f"load {self.name}", daemon=True).start()
            self._condition.wait_for(lambda: not self._loading or self._stopped, deadline - time.monotonic())
            if self._stopped:
                raise _stopping()
            if self._serving is not None:
                self._users += 1
                return self._serving
            if self._loading:
                message = f"{self.name} is being loaded."
                raise ServiceError(503, "model_loading", message, retry_after=RETRY_WHILE_LOADING)
        message = f"{self.name} could not be loaded; the log says why."
        raise ServiceError(503, "model_unavailable", message, retry_after=RETRY_AFTER_FAILURE)

    def _bring_in(self) -> None:
        loaded: tuple[Model, BatchEngine[Any, Any]] | None = None
        try:
            model = self._load()
            loaded = model, BatchEngine(model, max_waiting=self._max_waiting)  # type: ignore[arg-type]
            loaded[1].start()
            logger.info("extra model loaded", extra={"model": self.name})
        except Exception as error:
            logger.exception("extra model failed to load", extra={"model": self.name, "reason": str(error)})
        with self._condition:
            self._loading, self._serving = False, loaded
            if self._stopped:
                self._give_back()
            self._condition.notify_all()

    def _give_back(self) -> None:
        if self._serving is not None:
            model, engine = self._serving
            self._serving = None
            engine.stop()
            model.close()


def _result(job: Job[Any, Any, Result], is_wanted: Callable[[], bool], deadline: float) -> Result:
    """The engine ends a job that is late between two steps; a long step is not waited for."""
    while True:
        try:
            return job.result(LOOK_AT_CLIENT)
        except TimeoutError:
            if not is_wanted():
                job.cancel()
            elif time.monotonic() >= deadline + PAST_DEADLINE:
                job.cancel()
                raise JobLate from None
        except JobCancelled as error:
            raise ServiceError(CLIENT_CLOSED_REQUEST, "client_closed_request", "The client went away.") from error


def _sentence(reason: str) -> str:
    return f"{reason[:1].upper()}{reason[1:]}."


def _stopping() -> ServiceError:
    return ServiceError(503, "stopping", "The service is being stopped.", retry_after=RETRY_WHILE_LOADING)
