"""An answer that the engine is writing, and what is checked and told of it at its end."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from ai_core import texts
from ai_core.answer import Answer
from ai_core.conversation_prompt import ConversationPrompt
from ai_core.engine.request import Finished, FinishReason, GenerationRequest, TextChunk
from ai_core.grounding import ARTICLE, Source, source_of, source_of_sheet
from ai_core.knowledge import citations
from ai_core.knowledge.base import KnowledgeBase
from ai_core.knowledge.citations import Citation
from ai_core.knowledge.search import SearchHit
from ai_core.knowledge.sheet_search import SheetHit
from ai_core.loaded_model import LoadedModel
from ai_core.parameters import as_used
from common.errors import ServiceError

LOOK_AT_CLIENT = 0.2  # seconds: how long a silent engine keeps us from seeing that the client went away

_FINISH_NOTICES = {FinishReason.DEADLINE: texts.DEADLINE, FinishReason.MODEL_UNLOADED: texts.MODEL_UNLOADED}


@dataclass(frozen=True, slots=True)
class Grounding:
    """The Code that answers are checked against, if installed, what a search in it gave (None: not searched), and the
    practical sheet that goes with that."""

    base: KnowledgeBase | None
    hits: Sequence[SearchHit] | None
    sheet: SheetHit | None = None


class AnswerBeingTold(Protocol):
    """What a client reads: written by the engine for it, written for somebody else too, or kept from before."""

    model_id: str
    sources: tuple[Source, ...]
    grounded: bool

    def check(self, text: str) -> list[Citation]:
        """The article numbers in `text`, a beginning of the answer, and whether they can be believed."""

    def cancel(self) -> None: ...

    def events(self) -> Iterator[TextChunk | Answer | None]: ...


class RunningAnswer:
    """An answer that the engine is writing. One thread reads it; `cancel` may come from any."""

    def __init__(
        self,
        model: LoadedModel,
        request: GenerationRequest,
        prompt: ConversationPrompt,
        grounding: Grounding,
        asked_for_sources: bool,
        started: float,
    ) -> None:
        bare = request.adapter in (None, model.entry.default_adapter)
        self.model_id = model.id if bare else f"{model.id}+{request.adapter}"
        self._info = model.backend.info
        self._request = request
        self._prompt = prompt
        self._base = grounding.base
        self._asked_for_sources = asked_for_sources
        self._started = started
        self.sources: tuple[Source, ...] = tuple(source_of(hit) for hit in prompt.hits)
        if prompt.sheet is not None:
            self.sources += (source_of_sheet(prompt.sheet),)
        self.grounded = bool(self.sources)

    def check(self, text: str) -> list[Citation]:
        """See AnswerBeingTold."""
        read = {source.number for source in self.sources if source.kind == ARTICLE}
        return citations.check(text, read, self._exists)

    def cancel(self) -> None:
        """Give the slot back at the engine's next step."""
        self._request.cancel()

    def events(self) -> Iterator[TextChunk | Answer | None]:
        """Pieces of text, None whenever nothing came for a moment, and at last the Answer.

        Raises ServiceError when the generation failed. Leaving the loop early cancels the generation.
        """
        pieces: list[TextChunk] = []
        try:
            while True:
                event = self._request.next_event(LOOK_AT_CLIENT)
                if isinstance(event, TextChunk):
                    pieces.append(event)
                    yield event
                elif isinstance(event, Finished):
                    yield self._answer(pieces, event)
                    return
                else:
                    yield None
        finally:
            self.cancel()

    def _answer(self, pieces: list[TextChunk], finished: Finished) -> Answer:
        if finished.reason is FinishReason.ERROR:
            raise ServiceError(500, "generation_failed", "The model failed while answering. Please try again.")
        text = "".join(piece.text for piece in pieces).strip()
        logprobs = tuple(token for piece in pieces for token in piece.logprobs)
        return Answer(
            text=text,
            model=self.model_id,
            prompt_tokens=finished.prompt_tokens,
            completion_tokens=finished.completion_tokens,
            processing_time=time.monotonic() - self._started,
            finish_reason=finished.reason,
            parameters_used=as_used(self._request.sampling, self._info),
            grounded=self.grounded,
            sources=self.sources,
            citations=tuple(self.check(text)),
            notice=self._notice(finished.reason),
            logprobs=None if self._request.sampling.logprobs is None else logprobs,
        )

    def _exists(self, number: str) -> bool:
        return self._base is not None and self._base.article(number) is not None

    def _notice(self, reason: FinishReason) -> str | None:
        notices: list[str] = []
        if self._asked_for_sources and self._base is None:
            notices.append(texts.NOT_GROUNDED)
        elif self._asked_for_sources and not self.sources:
            notices.append(texts.NOTHING_FOUND)
        if self._prompt.dropped_turns:
            notices.append(texts.TURNS_DROPPED)
        if reason in _FINISH_NOTICES:
            notices.append(_FINISH_NOTICES[reason])
        return " ".join(notices) or None
