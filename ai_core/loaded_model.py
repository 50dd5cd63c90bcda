"""The model that serves: loaded in a thread of its own, so that the port answers (503) while a large file is read."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from enum import Enum

from ai_core.engine.serving import AnswerEngine, Serving
from common.errors import ServiceError

logger = logging.getLogger(__name__)

RETRY_WHILE_LOADING = 5.0  # seconds


class ModelStatus(str, Enum):
    """Life of the model in this process."""

    LOADING = "loading"
    LOADED = "loaded"
    ERROR = "error"


class LoadedModel:
    """Holds the model once `load` has returned it. Any thread may read it; the loader thread alone writes it."""

    def __init__(self, model_id: str, load: Callable[[], Serving]) -> None:
        self.model_id = model_id
        self.status = ModelStatus.LOADING
        self._load = load
        self._serving: Serving | None = None
        self._thread = threading.Thread(target=self._run, name="model-loader", daemon=True)

    def start(self) -> None:
        """Begin to load; returns at once."""
        self._thread.start()

    def wait(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds for the load to end; True when the model serves."""
        self._thread.join(timeout)
        return self.status is ModelStatus.LOADED

    def serving(self) -> Serving:
        """The model and its engine. Raises ServiceError 503 while there is none."""
        if self._serving is not None:
            return self._serving
        if self.status is ModelStatus.ERROR:
            raise ServiceError(503, "model_unavailable", "The model could not be loaded.", retry_after=60)
        raise ServiceError(503, "model_loading", "The model is being loaded.", retry_after=RETRY_WHILE_LOADING)

    def engine_if_loaded(self) -> AnswerEngine | None:
        """The engine, or None while there is none."""
        return self._serving.engine if self._serving else None

    def stop(self, *, grace_seconds: float = 0.0) -> None:
        """End the answers that run, after `grace_seconds` at most, and give the model's memory back."""
        if self._serving is not None:
            self._serving.engine.stop(grace_seconds=grace_seconds)
            self._serving.backend.close()

    def _run(self) -> None:
        try:
            serving = self._load()
            serving.engine.start()
        except Exception as error:
            # A bad model must leave the process able to say so.
            reason = f"{error.__class__.__name__}: {error}"
            logger.error("model failed to load", extra={"model": self.model_id, "reason": reason}, exc_info=error)
            self.status = ModelStatus.ERROR
            return
        self._serving = serving
        self.status = ModelStatus.LOADED
        logger.info("model loaded", extra={"model": self.model_id})
