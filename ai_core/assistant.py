"""The heart: question -> grounding -> prompt -> engine -> citation check -> answer. Knows neither HTTP nor keys."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ai_core import texts
from ai_core.answer import Answer, Question
from ai_core.conversation_prompt import ConversationPrompt, QuestionTooLong
from ai_core.engine.errors import EngineBusy, EngineStopped, PromptTooLong
from ai_core.engine.request import Finished, FinishReason, GenerationRequest, SamplingParameters, TextChunk
from ai_core.engine.serving import AnswerEngine, LanguageModel
from ai_core.grounding import Source, source_of
from ai_core.knowledge import citations
from ai_core.knowledge.base import KnowledgeBase
from ai_core.knowledge.current import CurrentKnowledge
from ai_core.knowledge.search import SearchHit
from ai_core.loaded_model import LoadedModel
from ai_core.parameters import as_used, sampling_for
from ai_core.quotations import Passage, possible_answers
from common.errors import InvalidFields, ServiceError

LOOK_AT_CLIENT = 0.2  # seconds: how long a silent engine keeps us from seeing that the client went away
CLOSE = 0.8  # of the best hit's score: hits below it are read by a model that only quotes, but not quoted

_FINISH_NOTICES = {FinishReason.DEADLINE: texts.DEADLINE, FinishReason.MODEL_UNLOADED: texts.MODEL_UNLOADED}


@dataclass(frozen=True, slots=True)
class Grounding:
    """The Code that answers are checked against, if installed, and what a search in it gave (None: not searched)."""

    base: KnowledgeBase | None
    hits: Sequence[SearchHit] | None


class Assistant:
    """Answers questions with the model that is loaded and the Code du travail that is installed."""

    def __init__(
        self,
        model: LoadedModel,
        knowledge: CurrentKnowledge,
        *,
        system_prompt: str,
        articles: int,
        request_timeout: float,
    ) -> None:
        self._model = model
        self._knowledge = knowledge
        self._system_prompt = system_prompt
        self._articles = articles
        self._request_timeout = request_timeout

    def ask(self, question: Question) -> RunningAnswer:
        """Start an answer. Raises ServiceError when it cannot start: bad input, no model, at capacity."""
        arrived = time.monotonic()
        serving = self._model.serving()
        if question.model not in (None, self._model.model_id):
            raise ServiceError(
                404,
                "unknown_model",
                f"This server has the model {self._model.model_id} only.",
                errors={"model": ["Unknown model."]},
            )
        sampling = sampling_for(question.channel, question.requested)
        grounding = self._ground(question)
        prompt = self._build_prompt(serving.backend, question, grounding, sampling)
        if serving.backend.info.quotes_only and grounding.hits is not None:
            answers = possible_answers(_best_passages(prompt))
            sampling = _choosing_among(answers, sampling, question.requested, serving.backend)
        request = GenerationRequest(
            prompt.tokens,
            shared_prefix=prompt.shared_prefix,
            sampling=sampling,
            priority=question.priority,
            deadline=arrived + self._request_timeout,
        )
        _submit(serving.engine, request, question.text_field)
        return RunningAnswer(self._model.model_id, request, prompt, grounding, question.grounding, arrived)

    def _ground(self, question: Question) -> Grounding:
        base = self._knowledge.get()
        if base is None or not question.grounding:
            return Grounding(base, None)
        return Grounding(base, base.relevant(question.text, limit=self._articles))

    def _build_prompt(
        self, backend: LanguageModel, question: Question, grounding: Grounding, sampling: SamplingParameters
    ) -> ConversationPrompt:
        try:
            return ConversationPrompt.build(
                backend,
                system=self._system_prompt,
                question=question.text,
                history=question.history,
                hits=grounding.hits,
                max_tokens=sampling.max_tokens,
            )
        except QuestionTooLong as error:
            raise _too_long(question.text_field, error.tokens, error.limit) from error


class RunningAnswer:
    """An answer that the engine is writing. One thread reads it; `cancel` may come from any."""

    def __init__(
        self,
        model_id: str,
        request: GenerationRequest,
        prompt: ConversationPrompt,
        grounding: Grounding,
        asked_for_sources: bool,
        started: float,
    ) -> None:
        self._model_id = model_id
        self._request = request
        self._prompt = prompt
        self._base = grounding.base
        self._asked_for_sources = asked_for_sources
        self._started = started
        self.sources: tuple[Source, ...] = tuple(source_of(hit) for hit in prompt.hits)
        self.grounded = bool(self.sources)

    def cancel(self) -> None:
        """Give the slot back at the engine's next step."""
        self._request.cancel()

    def events(self) -> Iterator[str | Answer | None]:
        """Pieces of text, None whenever nothing came for a moment, and at last the Answer.

        Raises ServiceError when the generation failed. Leaving the loop early cancels the generation.
        """
        pieces: list[str] = []
        try:
            while True:
                event = self._request.next_event(LOOK_AT_CLIENT)
                if isinstance(event, TextChunk):
                    pieces.append(event.text)
                    yield event.text
                elif isinstance(event, Finished):
                    yield self._answer("".join(pieces), event)
                    return
                else:
                    yield None
        finally:
            self.cancel()

    def _answer(self, text: str, finished: Finished) -> Answer:
        if finished.reason is FinishReason.ERROR:
            raise ServiceError(500, "generation_failed", "The model failed while answering. Please try again.")
        text = text.strip()
        cited = citations.check(text, {source.number for source in self.sources}, self._exists)
        return Answer(
            text=text,
            model=self._model_id,
            prompt_tokens=finished.prompt_tokens,
            completion_tokens=finished.completion_tokens,
            processing_time=time.monotonic() - self._started,
            finish_reason=finished.reason,
            parameters_used=as_used(self._request.sampling),
            grounded=self.grounded,
            sources=self.sources,
            citations=tuple(cited),
            notice=self._notice(finished.reason),
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


def _best_passages(prompt: ConversationPrompt) -> list[Passage]:
    found = zip(prompt.articles, prompt.hits, strict=True)
    return [Passage(article, hit.excerpt) for article, hit in found if hit.score >= CLOSE * prompt.hits[0].score]


def _choosing_among(
    answers: Sequence[str], sampling: SamplingParameters, requested: Mapping[str, Any], backend: LanguageModel
) -> SamplingParameters:
    """`sampling` for a choice among `answers`. Raises InvalidFields for what a choice cannot honour."""
    if requested.get("repetition_penalty", 1.0) != 1.0:
        raise InvalidFields(
            {"repetition_penalty": ["The loaded model answers by exact quotation: only 1 is possible."]}
        )
    return replace(
        sampling,
        choices=tuple(tuple(backend.tokenize(answer, special=False)) for answer in answers),
        repetition_penalty=1.0,
        # The best passage, not one of the better ones, unless the client wants to draw.
        temperature=requested.get("temperature", 0.0) if sampling.temperature else 0.0,
    )


def _submit(engine: AnswerEngine, request: GenerationRequest, field: str) -> None:
    try:
        engine.submit(request)
    except PromptTooLong as error:
        raise _too_long(field, error.prompt_tokens, error.limit) from error
    except EngineBusy as error:
        raise ServiceError(
            503, "at_capacity", "All places are taken. Please try again shortly.", retry_after=error.retry_after
        ) from error
    except EngineStopped as error:
        raise ServiceError(503, "model_unloaded", "The model is being unloaded.", retry_after=5) from error


def _too_long(field: str, tokens: int, limit: int) -> InvalidFields:
    return InvalidFields({field: [f"Too long for this model: {tokens} tokens, at most {limit} fit."]})
