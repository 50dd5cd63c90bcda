"""How each server is asked and what its events say. All answers are greedy and streamed as Server-Sent Events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ai_core.prompts import Message


@dataclass(frozen=True, slots=True)
class Prompt:
    """One request: as messages for a server that applies the chat template, as tokens for the others."""

    message: str
    history: tuple[Message, ...]
    tokens: tuple[int, ...]
    new_tokens: int
    conversation: str | None


@dataclass(frozen=True, slots=True)
class Told:
    """What the server says about one answer, None where it does not."""

    prompt_tokens: int | None = None
    output_tokens: int | None = None
    reused_tokens: int | None = None


class Dialect(Protocol):
    """`events` are the JSON objects of the `data:` lines."""

    def request(self, prompt: Prompt) -> tuple[str, Mapping[str, str], dict[str, Any]]:
        """Path, headers, body."""

    def text(self, event: Mapping[str, Any]) -> str:
        """The piece of the answer that this event brings, empty where it brings none."""

    def told(self, events: Sequence[Mapping[str, Any]]) -> Told: ...


@dataclass(frozen=True, slots=True)
class OurDialect:
    """Our API: the system prompt is the server's own setting. /chat knows conversations, /generate single prompts."""

    key: str

    def request(self, prompt: Prompt) -> tuple[str, Mapping[str, str], dict[str, Any]]:
        common = {"max_tokens": prompt.new_tokens, "temperature": 0, "stream": True, "grounding": False}
        headers = {"X-API-Key": self.key}
        if prompt.conversation is None:
            return "/api/v1/generate", headers, {"prompt": prompt.message, **common}
        context = [{"role": turn.role, "content": turn.content} for turn in prompt.history]
        who = {"channel": "api", "user_id": prompt.conversation}
        return "/api/v1/chat", headers, {"message": prompt.message, "context": context, **who, **common}

    def text(self, event: Mapping[str, Any]) -> str:
        return str(event.get("text", ""))

    def told(self, events: Sequence[Mapping[str, Any]]) -> Told:
        done = events[-1]
        return Told(done["prompt_tokens"], done["completion_tokens"])


@dataclass(frozen=True, slots=True)
class LlamaServerDialect:
    """llama.cpp's own API, which takes tokens and tells what it reused."""

    def request(self, prompt: Prompt) -> tuple[str, Mapping[str, str], dict[str, Any]]:
        sampling = {"n_predict": prompt.new_tokens, "temperature": 0, "cache_prompt": True, "stream": True}
        return "/completion", {}, {"prompt": list(prompt.tokens), **sampling}

    def text(self, event: Mapping[str, Any]) -> str:
        return str(event.get("content", ""))

    def told(self, events: Sequence[Mapping[str, Any]]) -> Told:
        timings = events[-1]["timings"]
        reused, computed = timings["cache_n"], timings["prompt_n"]
        return Told(reused + computed, timings["predicted_n"], reused)


@dataclass(frozen=True, slots=True)
class CompletionsDialect:
    """OpenAI's completions with a prompt of tokens. The example server's stream tells no counts, its metrics do."""

    def request(self, prompt: Prompt) -> tuple[str, Mapping[str, str], dict[str, Any]]:
        sampling = {"max_tokens": prompt.new_tokens, "temperature": 0, "stream": True}
        return "/v1/completions", {}, {"model": "model", "prompt": list(prompt.tokens), **sampling}

    def text(self, event: Mapping[str, Any]) -> str:
        choices = event.get("choices")
        return str(choices[0]["text"]) if choices else ""

    def told(self, events: Sequence[Mapping[str, Any]]) -> Told:
        usage = events[-1].get("usage", {})
        return Told(usage.get("prompt_tokens"), usage.get("completion_tokens"), usage.get("reused_tokens"))
