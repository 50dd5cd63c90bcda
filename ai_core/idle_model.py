"""A model that nobody asks leaves memory; the next question brings it back, and gets 503 with Retry-After meanwhile.

Loading takes longer than most clients wait, and a web thread that waits is one less for others: hence 503.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from ai_core.catalog.entry import ModelEntry
from ai_core.model_host import ModelHost
from common.errors import ServiceError
from common.health import Check, Status

logger = logging.getLogger(__name__)


class IdleModel:
    """Watches one ModelHost. The lock guards the fields."""

    def __init__(self, host: ModelHost, *, after_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._host = host
        self._after_seconds = after_seconds
        self._clock = clock
        self._used_at = clock()
        self._resting: ModelEntry | None = None
        self._lock = threading.Lock()

    def use(self) -> None:
        """Somebody asks: wake a resting model. The host says what to answer until it serves."""
        with self._lock:
            self._used_at = self._clock()
            resting, self._resting = self._resting, None
        if resting is None or self._host.current_or_none() is not None:
            return
        try:
            self._host.begin(resting)
        except ServiceError as error:  # an operator loads another one at this moment, or we are being stopped
            logger.info("the model stays out of memory", extra={"model": resting.id, "code": error.code})

    def look(self) -> None:
        """Unload the model if nobody asked for it for a while and nothing runs on it. A regular job."""
        model = self._host.current_or_none()
        if model is None or not self._is_idle():
            return
        stats = model.engine.stats()
        if stats.slots_busy or stats.waiting:
            return
        with self._lock:
            self._resting = model.entry  # before it leaves: whoever asks meanwhile wants it back
        try:
            self._host.unload(model.id)
            logger.info("model rests", extra={"model": model.id})
        except ServiceError as error:
            self._resting = None
            logger.info("the model stays in memory", extra={"model": model.id, "code": error.code})

    def resting(self) -> str | None:
        """The id of the model that rests, if one does."""
        resting = self._resting
        return None if resting is None or self._host.current_or_none() is not None else resting.id

    def checked(self, check: Callable[[], Check]) -> Callable[[], Check]:
        """`check`, satisfied also where the model only rests: else nobody would send the question that wakes it."""

        def look() -> Check:
            resting = self.resting()
            if resting is None:
                return check()
            return Check(Status.OK, f"{resting} rests; the next question loads it again.")

        return look

    def _is_idle(self) -> bool:
        return self._clock() - self._used_at >= self._after_seconds
