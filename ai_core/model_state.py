"""What is known of the models in this process: which is loaded, which failed and why."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from enum import Enum


class ModelStatus(str, Enum):
    """AVAILABLE: not in memory. DOWNLOADING: on its way from the Hub. ERROR: its last load failed."""

    AVAILABLE = "available"
    DOWNLOADING = "downloading"
    LOADING = "loading"
    LOADED = "loaded"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class ModelState:
    """`error` says why the last load failed, also where the model serves as it was before; `step` what a long load is
    at. Times are UTC."""

    status: ModelStatus = ModelStatus.AVAILABLE
    error: str | None = None
    step: str | None = None
    loaded_at: datetime | None = None
    unloaded_at: datetime | None = None


Listener = Callable[[str, ModelState], None]


class ModelStates:
    """States by model id, for any thread; a model never heard of is available."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._states: dict[str, ModelState] = {}
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """Call `listener` after each load, successful or not, in the loading thread: it must return at once."""
        self._listeners.append(listener)

    def get(self, model_id: str) -> ModelState:
        return self._states.get(model_id, ModelState())

    def all(self) -> dict[str, ModelState]:
        """A copy of what is known."""
        with self._lock:
            return dict(self._states)

    def loading(self, model_id: str, step: str | None = None) -> None:
        self._change(model_id, status=ModelStatus.LOADING, error=None, step=step)

    def loaded(self, model_id: str) -> None:
        self._change(model_id, status=ModelStatus.LOADED, error=None, step=None, loaded_at=_now())
        self._tell(model_id)

    def failed(self, model_id: str, error: str, *, serves: bool) -> None:
        """`serves`: the model is in memory nevertheless, as it was before."""
        status = ModelStatus.LOADED if serves else ModelStatus.ERROR
        self._change(model_id, status=status, error=error, step=None)
        self._tell(model_id)

    def unloaded(self, model_id: str) -> None:
        """Keeps the error of a model that went because its next version was to come and failed."""
        self._change(model_id, status=ModelStatus.AVAILABLE, unloaded_at=_now())

    def _change(self, model_id: str, **changes: object) -> None:
        with self._lock:
            self._states[model_id] = replace(self.get(model_id), **changes)  # type: ignore[arg-type]

    def _tell(self, model_id: str) -> None:
        for listener in self._listeners:
            listener(model_id, self.get(model_id))


def _now() -> datetime:
    return datetime.now(timezone.utc)
