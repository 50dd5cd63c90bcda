"""The model in memory: loaded, unloaded and switched while requests run.

One model serves at a time. Where memory allows, the next one is loaded beside it and takes over without a gap; else the
old one leaves first, and requests get 503 with Retry-After until the new one, or after a failure the old one again,
serves. Answers that run on the old model are finished, or end after the grace with `model_unloaded`.

Any thread may call. The condition guards the fields; one operation runs at a time, outside it, in its caller's thread.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from ai_core import heap
from ai_core.catalog.entry import ModelEntry
from ai_core.catalog.loading import Prepared
from ai_core.catalog.memory import NotEnoughMemory
from ai_core.engine.serving import Serving
from ai_core.loaded_model import LoadedModel
from ai_core.model_state import ModelState, ModelStates, ModelStatus
from common.errors import ServiceError

logger = logging.getLogger(__name__)

RETRY_WHILE_LOADING = 5.0  # seconds


class Loader(Protocol):
    """Brings models into memory (see ModelLoader). Its errors tell the operator what is wrong with the model."""

    def prepare(self, entry: ModelEntry, current: ModelEntry | None, report: Callable[[str], None]) -> Prepared: ...

    def load(self, form: ModelEntry) -> Serving: ...


class LoadFailed(ServiceError):
    """The model could not be loaded. What serves instead, if anything, the host tells."""

    def __init__(self, model_id: str, error: Exception) -> None:
        self.reason = str(error) or type(error).__name__
        full = isinstance(error, NotEnoughMemory)
        status, code = (409, "not_enough_memory") if full else (500, "load_failed")
        super().__init__(status, code, f"{model_id} could not be loaded: {self.reason}")


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of an operation: the state of its model after it, and whether there was anything to do."""

    model_id: str
    state: ModelState
    changed: bool


class ModelHost:
    def __init__(self, loader: Loader, *, grace_seconds: float) -> None:
        self._loader = loader
        self._grace_seconds = grace_seconds
        self._condition = threading.Condition()
        self._current: LoadedModel | None = None
        self._leaving: LoadedModel | None = None
        self._operating_on: str | None = None
        self._operations = 0
        self._failed = False
        self._stopped = False
        self.states = ModelStates()

    # -- what there is ------------------------------------------------------------------------------------------------

    def current(self) -> LoadedModel:
        """The model that serves. Raises ServiceError: 503 where waiting can help, 409 where nobody wants a model."""
        with self._condition:
            if self._current is not None:
                return self._current
            if self._stopped:
                raise _stopping()
            if self._operating_on is not None:
                raise ServiceError(503, "model_loading", "The model is being loaded.", retry_after=RETRY_WHILE_LOADING)
            if self._failed:
                raise ServiceError(503, "model_unavailable", "The model could not be loaded.", retry_after=60)
        raise ServiceError(409, "model_not_loaded", "No model is loaded.")

    def current_or_none(self) -> LoadedModel | None:
        """The model that serves, if any."""
        return self._current

    @property
    def operating_on(self) -> str | None:
        """The id of the model that is being loaded or unloaded, if any."""
        return self._operating_on

    def is_stalled(self, seconds: float) -> bool:
        """Whether an engine, also one that is leaving, has made no progress for `seconds` though it has work."""
        return any(model.engine.is_stalled(seconds) for model in (self._current, self._leaving) if model is not None)

    def wait(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds for the operation that runs to end; True when a model serves."""
        with self._condition:
            self._condition.wait_for(lambda: self._operating_on is None, timeout)
            return self._current is not None

    # -- operations ---------------------------------------------------------------------------------------------------

    def load(self, entry: ModelEntry) -> Outcome:
        """Let `entry` serve; returns once it does and the model before it is out of memory. Raises ServiceError 409
        while another operation runs, LoadFailed."""
        with self._condition:
            self._claim(entry.id)
            if self._current is not None and self._current.entry == entry:
                self._operating_on = None
                return self._outcome(entry.id, changed=False)
            self.states.loading(entry.id)
        self._load_claimed(entry)
        return self._outcome(entry.id, changed=True)

    def begin(self, entry: ModelEntry, *, retry_every: float | None = None) -> None:
        """`load` in a thread of its own, so that the port answers while a large file is read. One that fails is tried
        again every `retry_every` seconds, until somebody asks for another model: servers may come up later than we."""
        with self._condition:
            work = (entry, self._claim(entry.id), retry_every)
            self.states.loading(entry.id)
        threading.Thread(target=self._load_unattended, args=work, name="model-loader", daemon=True).start()

    def unload(self, model_id: str) -> Outcome:
        """Take a model out of memory; one that is not there is left alone. Raises ServiceError 409 while another
        operation runs."""
        with self._condition:
            self._claim(model_id)
            model = self._current
            if model is None or model.id != model_id:
                self._operating_on = None
                return self._outcome(model_id, changed=False)
            self._current, self._failed = None, False
        try:
            self._let_go(model, self._grace_seconds)
        finally:
            self._release()
        return self._outcome(model_id, changed=True)

    def refuse(self, model_id: str, error: Exception) -> None:
        """Note that a model could not even be asked for: its files are not what they should be."""
        with self._condition:
            self._failure(model_id, error)

    def stop(self, *, grace_seconds: float = 0.0) -> None:
        """For the end of the process: end the answers that run, after `grace_seconds` at most; load nothing more."""
        with self._condition:
            self._stopped = True
            self._condition.notify_all()
            leaving, model, self._current = self._leaving, self._current, None
        if leaving is not None:
            leaving.engine.stop(grace_seconds=grace_seconds)
        if model is not None:
            self._let_go(model, grace_seconds)

    # -- steps of an operation ----------------------------------------------------------------------------------------

    def _claim(self, model_id: str) -> int:
        """The number of the operation that begins."""
        if self._stopped:
            raise _stopping()
        if self._operating_on is not None:
            message = f"{self._operating_on} is being loaded or unloaded."
            raise ServiceError(409, "operation_running", message, retry_after=RETRY_WHILE_LOADING)
        self._operating_on = model_id
        self._operations += 1
        self._condition.notify_all()
        return self._operations

    def _release(self) -> None:
        with self._condition:
            self._operating_on = None
            self._condition.notify_all()

    def _outcome(self, model_id: str, *, changed: bool) -> Outcome:
        return Outcome(model_id, self.states.get(model_id), changed)

    def _load_unattended(self, entry: ModelEntry, operation: int, retry_every: float | None) -> None:
        while True:
            try:
                return self._load_claimed(entry)
            except ServiceError as error:
                logger.info("load ended", extra={"model": entry.id, "code": error.code})
            if retry_every is None:
                return None
            with self._condition:
                if self._condition.wait_for(partial(self._has_moved_on, operation), retry_every):
                    return None
                operation = self._claim(entry.id)

    def _has_moved_on(self, operation: int) -> bool:
        return self._stopped or self._operations > operation

    def _load_claimed(self, entry: ModelEntry) -> None:
        try:
            self._switch(entry)
        finally:
            self._release()

    def _switch(self, entry: ModelEntry) -> None:
        previous = self._current
        prepared = self._prepare(entry, previous)
        if previous is not None and not prepared.beside:
            self._current = None
            self._let_go(previous, self._grace_seconds)
            self.states.loading(entry.id)  # also where it is another version of the one that left
        try:
            self._bring_in(entry, prepared.form)
        except LoadFailed:
            if previous is not None and not prepared.beside:
                self._bring_back(previous)
            raise
        if previous is not None and prepared.beside:
            self._let_go(previous, self._grace_seconds)

    def _prepare(self, entry: ModelEntry, previous: LoadedModel | None) -> Prepared:
        def report(step: str) -> None:
            self.states.loading(entry.id, step)

        try:
            return self._loader.prepare(entry, None if previous is None else previous.form, report)
        except Exception as error:
            raise self._failure(entry.id, error) from error

    def _bring_in(self, entry: ModelEntry, form: ModelEntry) -> None:
        try:
            serving = self._loader.load(form)
        except Exception as error:
            raise self._failure(entry.id, error) from error
        serving.engine.start()
        model = LoadedModel(entry, form, serving)
        with self._condition:
            stopped = self._stopped
            if not stopped:
                self._current, self._failed = model, False
                self.states.loaded(entry.id)
        if stopped:
            self._let_go(model, 0.0)
            raise _stopping()
        logger.info("model loaded", extra={"model": entry.id, "format": form.format.value})

    def _bring_back(self, previous: LoadedModel) -> None:
        """After a load that failed once the previous model had left. This may fail too: its state says so."""
        logger.warning("loading the previous model again", extra={"model": previous.id})
        failed = self.states.get(previous.id)
        try:
            self._bring_in(previous.entry, previous.form)
        except LoadFailed:
            logger.error("no model serves", extra={"model": previous.id})
        else:
            if failed.status is ModelStatus.ERROR:  # it was another version of this one
                self.states.failed(previous.id, failed.error or "", serves=True)

    def _failure(self, model_id: str, error: Exception) -> LoadFailed:
        failure = LoadFailed(model_id, error)
        logger.error("model failed to load", extra={"model": model_id, "reason": failure.reason}, exc_info=error)
        self._failed = True
        serves = self._current is not None and self._current.id == model_id
        self.states.failed(model_id, failure.reason, serves=serves)
        return failure

    def _let_go(self, model: LoadedModel, grace_seconds: float) -> None:
        self._leaving = model
        model.engine.stop(grace_seconds=grace_seconds)
        self._leaving = None
        model.backend.close()
        heap.give_back()
        if self._current is None or self._current.id != model.id:
            self.states.unloaded(model.id)
        logger.info("model unloaded", extra={"model": model.id})


def _stopping() -> ServiceError:
    return ServiceError(503, "stopping", "The service is being stopped.", retry_after=RETRY_WHILE_LOADING)
