"""The model that serves."""

from __future__ import annotations

from dataclasses import dataclass

from ai_core.catalog.entry import ModelEntry
from ai_core.engine.serving import AnswerEngine, LanguageModel, Serving


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model in memory, as its `entry` declares it; `form` is what was loaded: the entry, or a smaller form of it that
    fits. Whoever holds it may find its engine stopped: another one took its place meanwhile."""

    entry: ModelEntry
    form: ModelEntry
    serving: Serving

    @property
    def id(self) -> str:
        return self.entry.id

    @property
    def backend(self) -> LanguageModel:
        return self.serving.backend

    @property
    def engine(self) -> AnswerEngine:
        return self.serving.engine
