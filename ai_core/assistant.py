"""The heart: question -> grounding -> prompt -> engine -> citation check -> answer. Knows neither HTTP nor keys."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ai_core.answer import Question
from ai_core.answer_cache import AnswerCache, CacheStats
from ai_core.answer_key import answer_key
from ai_core.bare_prompt import bare_prompt
from ai_core.catalog.entry import ModelEntry
from ai_core.content_filter import ContentFilter
from ai_core.conversation_prompt import ConversationPrompt, QuestionTooLong
from ai_core.engine.backends.base import BackendError
from ai_core.engine.errors import EngineBusy, EngineStopped, InvalidRequest, PromptTooLong
from ai_core.engine.request import GenerationRequest, SamplingParameters
from ai_core.engine.serving import LanguageModel
from ai_core.follow_up import search_text
from ai_core.knowledge.current import CurrentKnowledge
from ai_core.loaded_model import LoadedModel
from ai_core.model_host import ModelHost
from ai_core.parameters import sampling_for
from ai_core.prompts import TemplateFailed
from ai_core.quotations import Passage, possible_answers
from ai_core.role_marks import without_marks
from ai_core.running_answer import AnswerBeingTold, Grounding, RunningAnswer
from common.errors import InvalidFields, ServiceError

NEUTRAL_FOR_CHOICES: dict[str, Any] = {
    "repetition_penalty": 1.0,
    "frequency_penalty": 0.0,
    "presence_penalty": 0.0,
    "grammar": None,
    "json_schema": None,
}
CLOSE = 0.8  # of the best hit's score: hits below it are read by a model that only quotes, but not quoted


class TooLong(InvalidFields):
    """The question does not fit into the model's context."""


class Assistant:
    """Answers questions with the model that is loaded and the Code du travail that is installed."""

    def __init__(
        self,
        host: ModelHost,
        knowledge: CurrentKnowledge,
        *,
        system_prompt: str,
        articles: int,
        request_timeout: float,
        aliases: Collection[str] = (),
        cache: AnswerCache | None = None,
        content_filter: ContentFilter | None = None,
        parameters_of: Callable[[str], Mapping[str, Any]] = lambda _: {},
        is_declared: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._host = host
        self._knowledge = knowledge
        self._system_prompt = system_prompt
        self._articles = articles
        self._request_timeout = request_timeout
        self._aliases = frozenset(aliases)
        self._cache = cache
        self._content_filter = content_filter or ContentFilter(None)
        self._parameters_of = parameters_of
        self._is_declared = is_declared

    def cache_stats(self) -> CacheStats:
        """Of the answers that are kept and shared; all zero where nothing is."""
        return CacheStats() if self._cache is None else self._cache.stats()

    def ask(self, question: Question) -> AnswerBeingTold:
        """Start an answer. Raises ServiceError when it cannot start: bad input, no model, at capacity."""
        arrived = time.monotonic()
        self._content_filter.check(question.text_field, question.text)
        model = self._host.current()
        grounding = self._ground(question)
        while True:
            try:
                return self._start(model, question, grounding, arrived)
            except (EngineStopped, BackendError) as error:
                if self._host.current_or_none() is model:
                    raise ServiceError(503, "model_unavailable", "The model does not answer.", retry_after=5) from error
                model = self._host.current()  # took its place meanwhile, and has tokens of its own

    def _start(self, model: LoadedModel, question: Question, grounding: Grounding, arrived: float) -> AnswerBeingTold:
        adapter = self._adapter(model.entry, question.model)
        info = model.backend.info
        requested = {**self._parameters_of(model.id), **question.requested}
        sampling = sampling_for(question.channel, requested, info, model_format=model.form.format.value)
        prompt = self._build_prompt(model, question, grounding, sampling)
        if info.quotes_only and grounding.hits is not None:
            answers = possible_answers(_best_passages(prompt))
            sampling = _choosing_among(answers, sampling, requested, model.backend)
        request = GenerationRequest(
            prompt.tokens,
            shared_prefix=prompt.shared_prefix if question.system is None else 0,  # a client's own is nobody else's
            sampling=sampling,
            priority=question.priority,
            deadline=arrived + self._request_timeout,
            conversation=question.conversation,
            owner=question.owner,
            adapter=adapter,
            messages=prompt.messages,
        )

        def start() -> RunningAnswer:
            _submit(model, request, question.text_field)
            return RunningAnswer(model, request, prompt, grounding, question.grounding, arrived)

        key = None if self._cache is None else answer_key(question, model, request, grounding)
        if self._cache is None or key is None:
            return start()
        return self._cache.answer(key, start, read=question.cache.read, keep=question.cache.keep)

    def _ground(self, question: Question) -> Grounding:
        base = self._knowledge.get()
        if base is None or not question.grounding or question.bare:
            return Grounding(base, None)
        query = search_text(question.text, question.history)
        return Grounding(base, base.relevant(query, self._articles), next(iter(base.relevant_sheets(query, 1)), None))

    def _build_prompt(
        self, model: LoadedModel, question: Question, grounding: Grounding, sampling: SamplingParameters
    ) -> ConversationPrompt:
        if question.bare:
            return bare_prompt(model, question.text, field=question.text_field)
        try:
            return ConversationPrompt.build(
                model.backend,
                # A client's own may hold anybody's text, so only the operator's is trusted.
                system=self._system_prompt if question.system is None else without_marks(question.system),
                question=question.text,
                history=question.history,
                hits=grounding.hits,
                sheet=None if model.backend.info.quotes_only else grounding.sheet,  # it has only read articles
                max_tokens=sampling.max_tokens,
            )
        except QuestionTooLong as error:
            raise _too_long(question.text_field, error.tokens, error.limit) from error
        except TemplateFailed as error:
            message = "The chat template of the loaded model cannot render this conversation."
            raise ServiceError(500, "bad_chat_template", message) from error

    def _adapter(self, entry: ModelEntry, requested: str | None) -> str | None:
        """The adapter that a request for `requested` means: its own name, or MODEL+ADAPTER; an alias means the bare
        model. Raises ServiceError 409 for a model that is not loaded, 404 for one that there is not."""
        if requested in (None, entry.id):
            return entry.default_adapter
        for name in entry.adapters:
            if requested in (name, f"{entry.id}+{name}"):
                return name
        if requested in self._aliases:
            return entry.default_adapter
        if requested is not None and self._is_declared(requested):
            message = f"{requested} is not loaded; {entry.id} is."
            raise ServiceError(409, "model_not_loaded", message, errors={"model": ["Not loaded."]})
        names = [entry.id, *(f"{entry.id}+{name}" for name in entry.adapters)]
        message = f"This server serves {', '.join(names)} only."
        raise ServiceError(404, "unknown_model", message, errors={"model": ["Unknown model."]})


def _best_passages(prompt: ConversationPrompt) -> list[Passage]:
    found = zip(prompt.articles, prompt.hits, strict=True)
    return [Passage(article, hit.excerpt) for article, hit in found if hit.score >= CLOSE * prompt.hits[0].score]


def _choosing_among(
    answers: Sequence[str], sampling: SamplingParameters, requested: Mapping[str, Any], backend: LanguageModel
) -> SamplingParameters:
    """`sampling` for a choice among `answers`. Raises InvalidFields for what a choice cannot honour."""
    refused = [name for name, neutral in NEUTRAL_FOR_CHOICES.items() if requested.get(name, neutral) != neutral]
    if refused:
        raise InvalidFields({name: ["The loaded model answers by exact quotation."] for name in refused})
    return replace(
        sampling,
        choices=tuple(tuple(backend.tokenize(answer, special=False)) for answer in answers),
        **NEUTRAL_FOR_CHOICES,
        # The best passage, not one of the better ones, unless the client wants to draw.
        temperature=requested.get("temperature", 0.0) if sampling.temperature else 0.0,
    )


def _submit(model: LoadedModel, request: GenerationRequest, field: str) -> None:
    try:
        model.engine.submit(request)
    except PromptTooLong as error:
        raise _too_long(field, error.prompt_tokens, error.limit) from error
    except InvalidRequest as error:
        raise _invalid(request.sampling, field, str(error)) from error
    except EngineBusy as error:
        raise ServiceError(
            503, "at_capacity", "All places are taken. Please try again shortly.", retry_after=error.retry_after
        ) from error


def _invalid(sampling: SamplingParameters, text_field: str, problem: str) -> InvalidFields:
    """What an engine refuses of a request whose prompt is our own: mostly a parameter, which the problem may name."""
    asked = {
        "grammar": sampling.grammar,
        "json_schema": sampling.json_schema,
        "num_beams": sampling.num_beams > 1,
        "eos_token_id": sampling.eos_token_id is not None,
    }
    named, colon, reason = problem.partition(": ")
    if colon and named in asked:
        return InvalidFields({named: [f"{reason}."]})
    field = next((name for name, wanted in asked.items() if wanted), text_field)
    return InvalidFields({field: [f"{problem}."]})


def _too_long(field: str, tokens: int, limit: int) -> TooLong:
    return TooLong({field: [f"Too long for this model: {tokens} tokens, at most {limit} fit."]})
