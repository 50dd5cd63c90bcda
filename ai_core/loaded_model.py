"""The model that serves."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ai_core.catalog.entry import ModelEntry
from ai_core.engine.serving import AnswerEngine, LanguageModel, Serving


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model in memory, as its `entry` declares it; `form` is what was loaded: the entry, or a smaller form of it that
    fits. Whoever holds it may find its engine stopped: another one took its place meanwhile. `revision` changes with
    its files."""

    entry: ModelEntry
    form: ModelEntry
    serving: Serving
    revision: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "revision", _revision(self.form))

    @property
    def id(self) -> str:
        return self.entry.id

    @property
    def backend(self) -> LanguageModel:
        return self.serving.backend

    @property
    def engine(self) -> AnswerEngine:
        return self.serving.engine


def _revision(form: ModelEntry) -> str:
    facts: list[object] = [form.id, form.format.value, form.remote_model, *form.urls, form.context_length]
    paths = [*([] if form.path is None else [form.path]), *form.adapters.values()]
    facts += [fact for path in paths for fact in _files(path)]
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def _files(path: Path) -> Iterator[tuple[str, int, int]]:
    """Name, size and time of change of each file: reading gigabytes for a digest would take longer than the load."""
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            status = file.stat()
            yield str(file), status.st_size, status.st_mtime_ns
