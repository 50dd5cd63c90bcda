"""What is asked of the assistant and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ai_core.engine.request import FinishReason, Priority, TokenLogprob
from ai_core.grounding import Source
from ai_core.knowledge.citations import Citation
from ai_core.prompts import Message


@dataclass(frozen=True, slots=True)
class CacheUse:
    """Whether an answer that is there already will do, and whether the new one may be kept for others."""

    read: bool = True
    keep: bool = True


@dataclass(frozen=True, slots=True)
class Question:
    """`history` is oldest first; `requested` are the generation parameters that the client set, by their API names.

    Questions that wait are answered by turns of their `owner`. `conversation` is a key that the questions of one person
    share, and nobody else's: what was computed for one of them may serve the next. A client's own `system` prompt takes
    the place of ours. A `bare` question is continued as it stands: no system prompt, no template, no articles. `person`
    is the keyed hash of who asks, None for somebody unknown."""

    text: str
    channel: str = "api"
    text_field: str = "message"  # the request's name for `text`, for errors
    history: tuple[Message, ...] = ()
    model: str | None = None
    requested: Mapping[str, Any] = field(default_factory=dict)
    grounding: bool = True
    owner: str = ""
    conversation: str | None = None
    priority: Priority = Priority.INTERACTIVE
    system: str | None = None
    bare: bool = False
    person: str | None = None
    cache: CacheUse = CacheUse()


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished answer. `processing_time` is in seconds; `notice` is a French sentence that clients must show;
    `logprobs` has the tokens of the answer, None where nobody asked for them."""

    text: str
    model: str
    prompt_tokens: int
    completion_tokens: int
    processing_time: float
    finish_reason: FinishReason
    parameters_used: Mapping[str, Any]
    grounded: bool
    sources: tuple[Source, ...]
    citations: tuple[Citation, ...]
    notice: str | None
    logprobs: tuple[TokenLogprob, ...] | None = None
    cached: bool = False
