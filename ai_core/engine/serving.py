"""A model in memory as others than its engine see it: something that answers requests, something that reads text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ai_core.engine.backends.base import ModelInfo
from ai_core.engine.request import FinishReason, GenerationRequest
from ai_core.engine.stats import EngineStats


class AnswerEngine(Protocol):
    """Takes requests and answers each on its own queue: `engine.Engine`, or the engine of remote servers."""

    def start(self) -> None:
        """Begin to answer; returns at once."""

    def submit(self, request: GenerationRequest) -> None:
        """Queue `request`. Raises InvalidRequest, PromptTooLong, EngineBusy, EngineStopped."""

    def stop(self, *, grace_seconds: float = 0.0, reason: FinishReason = FinishReason.MODEL_UNLOADED) -> None:
        """Take no more requests, let those at hand end within `grace_seconds`, end the rest with `reason`; then
        return."""

    def stats(self) -> EngineStats: ...

    def is_stalled(self, seconds: float) -> bool:
        """Whether there has been work for `seconds` without any progress, or the engine is gone."""


class LanguageModel(Protocol):
    """The part of a backend that others than its engine use. Safe from any thread."""

    @property
    def info(self) -> ModelInfo: ...

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """Tokens of `text`; control tokens written in it are recognised only with `special`. Adds none of its own."""

    def close(self) -> None:
        """Give the memory back, once the engine has stopped. May be called twice."""


@dataclass(frozen=True, slots=True)
class Serving:
    """A model in memory and the engine that runs it."""

    backend: LanguageModel
    engine: AnswerEngine
