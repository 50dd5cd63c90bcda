"""A request as its submitter sees it: what to generate, and the queue on which the answer arrives."""

from __future__ import annotations

import queue
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum

from ai_core.engine.sampling import SamplingParameters

__all__ = [
    "Event",
    "FinishReason",
    "Finished",
    "GenerationRequest",
    "Priority",
    "SamplingParameters",
    "TextChunk",
    "TokenLogprob",
]


class FinishReason(str, Enum):
    STOP = "stop"
    LENGTH = "length"
    DEADLINE = "deadline"
    CANCELLED = "cancelled"
    MODEL_UNLOADED = "model_unloaded"
    ERROR = "error"


class Priority(IntEnum):
    INTERACTIVE = 0
    MAIL = 1
    BATCH = 2


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token of the answer as bytes, maybe part of a character, with natural log-probabilities (see Chosen)."""

    piece: bytes
    logprob: float
    top: tuple[tuple[bytes, float], ...] = ()


@dataclass(frozen=True, slots=True)
class TextChunk:
    """A piece of the answer; never part of a character, never part of a stop string. With it come the
    log-probabilities, where asked for, of the tokens chosen since the last chunk; a chunk may hold only these."""

    text: str
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class Finished:
    """The last event. `reused_tokens` of the prompt came from a shared prefix and were not computed for this request;
    `completion_tokens` leaves out the model's end token; `error` is a safe message, set with reason ERROR."""

    reason: FinishReason
    prompt_tokens: int
    completion_tokens: int
    reused_tokens: int
    error: str | None = None


Event = TextChunk | Finished


class GenerationRequest:
    """One prompt to continue. The first `shared_prefix` tokens may be shared in memory with any other request; what
    follows is private to this one or, where it names one, to its `conversation`: a key that only one person's requests
    have. Those who wait are served by turns of their `owner`. `adapter` names a LoRA adapter of the loaded model.
    `messages` are (role, content) pairs of the same prompt, for a remote server that applies the chat
    template itself. `deadline` is a time.monotonic() value at which the answer ends as it is."""

    def __init__(
        self,
        prompt: Sequence[int],
        *,
        shared_prefix: int = 0,
        sampling: SamplingParameters,
        priority: Priority = Priority.INTERACTIVE,
        deadline: float | None = None,
        conversation: str | None = None,
        owner: str = "",
        adapter: str | None = None,
        messages: Sequence[tuple[str, str]] = (),
    ) -> None:
        if not 0 <= shared_prefix <= len(prompt):
            raise ValueError("shared_prefix is outside the prompt")
        self.prompt = tuple(prompt)
        self.shared_prefix = shared_prefix
        self.sampling = sampling
        self.priority = priority
        self.deadline = deadline
        self.conversation = conversation
        self.owner = owner
        self.adapter = adapter
        self.messages = tuple(messages)
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._cancelled = False

    @property
    def cancelled(self) -> bool:
        return self._cancelled

    def cancel(self) -> None:
        """Ask the engine to end this request at its next step. Safe from any thread, and after the end."""
        self._cancelled = True

    def deliver(self, event: Event) -> None:
        """Called by the engine's thread."""
        self._events.put(event)

    def next_event(self, timeout: float) -> Event | None:
        """The next event, or None when there is none within `timeout` seconds. For one reader."""
        try:
            return self._events.get(timeout=timeout)
        except queue.Empty:
            return None

    def events(self) -> Iterator[Event]:
        """Block for each event in turn, up to Finished. Leaving the loop early cancels the request. For one reader,
        after a successful submit."""
        try:
            while True:
                event = self._events.get()
                yield event
                if isinstance(event, Finished):
                    return
        finally:
            self.cancel()
