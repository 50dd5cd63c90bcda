"""What is told of each model: what its declaration, its files and its state say together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ai_core.catalog import stored_weights
from ai_core.catalog.declaration import Declaration
from ai_core.catalog.errors import CatalogError
from ai_core.catalog.inspection import inspect
from ai_core.catalog.memory import Load
from ai_core.catalog.registry import Registry
from ai_core.model_host import ModelHost
from ai_core.model_state import ModelState, ModelStatus


@dataclass(frozen=True, slots=True)
class _Files:
    """`size` in bytes on the disk."""

    size: int
    quantisation: str | None
    context_length: int


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """`size` in bytes, `context_length` in tokens; None is unknown. `step` says what a long load is at."""

    id: str
    status: ModelStatus
    description: str
    format: str | None
    size: int | None
    source: str
    quantisation: str | None
    context_length: int | None
    adapter_base: str | None
    adapters: tuple[str, ...]
    requires_token: bool
    error: str | None
    step: str | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Coming:
    """A model on its way from the Hub; `size` in bytes, None while that is not known."""

    id: str
    format: str | None
    size: int | None
    source: str


Downloading = Callable[[], Iterable[Coming]]


class ModelList:
    """The models of `registry`, as `host` has them, and those that are `downloading`."""

    def __init__(self, registry: Registry, host: ModelHost, downloading: Downloading) -> None:
        self._registry = registry
        self._host = host
        self._downloading = downloading

    def all(self) -> list[ModelFacts]:
        declared = {model_id: self._facts(each) for model_id, each in self._registry.all().items()}
        return list({**{coming.id: _coming(coming) for coming in self._downloading()}, **declared}.values())

    def get(self, model_id: str) -> ModelFacts | None:
        return next((facts for facts in self.all() if facts.id == model_id), None)

    def _facts(self, declaration: Declaration) -> ModelFacts:
        entry, state = declaration.entry, self._host.states.get(declaration.id)
        path = None if entry is None else entry.path
        files = None if path is None else _files_of(path)
        length = (entry.context_length if entry else None) or (files.context_length if files else None)
        base = path.name if entry is not None and entry.default_adapter and path is not None else None
        return ModelFacts(
            id=declaration.id,
            status=_status(declaration, state),
            description=declaration.description,
            format=None if declaration.format is None else declaration.format.value,
            size=None if files is None else files.size,
            source=declaration.source,
            quantisation=None if files is None else files.quantisation,
            context_length=length or None,
            adapter_base=base,
            adapters=tuple(entry.adapters) if entry is not None else (),
            requires_token=declaration.requires_token,
            error=state.error or declaration.problem,
            step=state.step,
            notes=declaration.notes,
        )


def _coming(coming: Coming) -> ModelFacts:
    return ModelFacts(
        id=coming.id,
        status=ModelStatus.DOWNLOADING,
        description="",
        format=coming.format,
        size=coming.size,
        source=coming.source,
        quantisation=None,
        context_length=None,
        adapter_base=None,
        adapters=(),
        requires_token=False,
        error=None,
        step=None,
        notes=(),
    )


def _status(declaration: Declaration, state: ModelState) -> ModelStatus:
    if state.status is ModelStatus.AVAILABLE and declaration.problem is not None:
        return ModelStatus.ERROR
    return state.status


def _files_of(path: Path) -> _Files | None:
    try:
        return _inspected(path, path.stat().st_mtime_ns)
    except OSError:
        return None


@lru_cache(maxsize=256)
def _inspected(path: Path, changed: int) -> _Files | None:  # noqa: ARG001 - files that changed are looked at again
    size = stored_weights.disk_bytes(path)
    try:
        found = inspect(path, Load())
    except CatalogError:
        return _Files(size, None, 0)  # the load says what is wrong with it
    return _Files(size, found.quantisation, found.context_length)
