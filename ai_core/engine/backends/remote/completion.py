"""A streamed chat completion, chunk by chunk (OpenAI API reference, "chat completion chunk object")."""

from __future__ import annotations

import codecs
import json
import math
from dataclasses import dataclass
from typing import Any

from ai_core.engine.backends.remote import refusals
from ai_core.engine.backends.remote.address import Address
from ai_core.engine.backends.remote.errors import ServerFailed
from ai_core.engine.request import FinishReason, SamplingParameters, TextChunk, TokenLogprob

DONE = b"[DONE]"
MOST_TOKEN_LETTERS = 256  # far above any vocabulary's average: a server that sends more than it was asked is broken
REASONS = {"stop": FinishReason.STOP, "length": FinishReason.LENGTH, "tool_calls": FinishReason.STOP}


@dataclass(frozen=True, slots=True)
class Usage:
    """As the server counts; `reused` prompt tokens came from its own prefix cache."""

    prompt: int
    completion: int
    reused: int


class Completion:
    """What the chunks so far say. `reason` is set by the chunk that ends the answer, `usage` usually comes after it."""

    def __init__(self, address: Address, sampling: SamplingParameters) -> None:
        self._address = address
        self._top = sampling.logprobs
        self._room = (sampling.max_tokens + 16) * MOST_TOKEN_LETTERS
        # JSON may escape the two halves of a character apart; they become one again, or a replacement character.
        self._halves = codecs.getincrementaldecoder("utf-16-le")(errors="replace")
        self.reason: FinishReason | None = None
        self.usage: Usage | None = None
        self.chunks = 0
        """With text in them: as good as tokens where the server tells no usage."""
        self.done = False

    def take(self, data: bytes) -> TextChunk | None:
        """The text that an event's `data` adds, if any. Raises ServerFailed, or what the server reports."""
        if data.strip() == DONE:
            self.done = True
            return None
        chunk = self._object(data)
        if "error" in chunk:
            raise refusals.refusal_in_stream(self._address, chunk["error"])
        self._take_usage(chunk.get("usage"))
        choices = chunk.get("choices")
        if not isinstance(choices, list):
            raise self._broken("a chunk without choices")
        first = next((choice for choice in choices if isinstance(choice, dict) and choice.get("index", 0) == 0), None)
        return None if first is None else self._take_choice(first)

    def _object(self, data: bytes) -> dict[str, Any]:
        try:
            chunk = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise self._broken("a chunk that is not JSON") from error
        if not isinstance(chunk, dict):
            raise self._broken("a chunk that is not a JSON object")
        return chunk

    def _take_choice(self, choice: dict[str, Any]) -> TextChunk | None:
        delta = choice.get("delta")
        content = delta.get("content") if isinstance(delta, dict) else None
        if not isinstance(content, str | None):
            raise self._broken("content that is not text")
        text = self._halves.decode((content or "").encode("utf-16-le", "surrogatepass"))
        self._room -= len(text)
        if self._room < 0:
            raise self._broken("far more text than was asked for")
        self.chunks += bool(content)
        logprobs = () if self._top is None else self._logprobs(choice.get("logprobs"))
        reason = choice.get("finish_reason")
        if reason is not None:
            self.reason = REASONS.get(reason) if isinstance(reason, str) else None
            if self.reason is None:
                raise self._broken("an answer that ends for a reason which we do not know")
        return TextChunk(text, logprobs) if text or logprobs else None

    def _logprobs(self, told: Any) -> tuple[TokenLogprob, ...]:
        content = told.get("content") if isinstance(told, dict) else None
        try:
            return tuple(self._logprob(entry) for entry in content or ())
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self._broken("log-probabilities of another form") from error

    def _logprob(self, entry: dict[str, Any]) -> TokenLogprob:
        top = entry.get("top_logprobs") or ()
        likeliest = tuple((_piece(one), _finite(one["logprob"])) for one in top[: self._top])
        return TokenLogprob(_piece(entry), _finite(entry["logprob"]), likeliest)

    def _take_usage(self, told: Any) -> None:
        """The last one counts: some servers send a running total with each chunk."""
        if not isinstance(told, dict):
            return
        details = told.get("prompt_tokens_details")
        reused = _count(details.get("cached_tokens")) if isinstance(details, dict) else 0
        prompt = _count(told.get("prompt_tokens"))
        self.usage = Usage(prompt, _count(told.get("completion_tokens")), min(reused, prompt))

    def _broken(self, what: str) -> ServerFailed:
        return ServerFailed(f"{self._address}: sent {what}")


def _piece(entry: dict[str, Any]) -> bytes:
    """A token's bytes; servers that do not tell them give its text, with U+FFFD for half a character."""
    raw = entry.get("bytes")
    return bytes(raw) if raw is not None else str(entry["token"]).encode("utf-8", "replace")


def _finite(logprob: Any) -> float:
    value = float(logprob)
    if math.isnan(value):
        raise ValueError("not a number")
    return max(value, -1e9) if value <= 0 else 0.0


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 31 else 0
