"""The state of one submitted request, owned by the engine's thread from submission to its end."""

from __future__ import annotations

from enum import Enum

from ai_core.engine.backends.base import Sampler
from ai_core.engine.prefix_cache import Prefix
from ai_core.engine.request import Finished, FinishReason, GenerationRequest, TextChunk
from ai_core.engine.text_stream import TextStream


class State(Enum):
    WAITING = "waiting"
    RUNNING = "running"
    FINISHED = "finished"


class SequenceState:
    """`tokens` are the prompt and what was generated; the first `computed` of them are in the KV cache. Of these the
    first `reused` were copied from `prefix`, and the first `shared_cells` are counted there (also for the request that
    computed the prefix, once it is complete). `max_length` bounds the prompt with its answer, in tokens."""

    def __init__(self, request: GenerationRequest, sampler: Sampler, *, max_length: int, rank: float) -> None:
        self.request = request
        self.sampler = sampler
        self.max_length = max_length
        self.rank = rank
        self.state = State.WAITING
        self.tokens = list(request.prompt)
        self.text = TextStream(request.sampling.stop)
        self.started: float | None = None
        self.slot = -1
        self.computed = 0
        self.reused = 0
        self.prefix: Prefix | None = None
        self.shared_cells = 0

    @property
    def generated(self) -> int:
        return len(self.tokens) - len(self.request.prompt)

    @property
    def remaining(self) -> int:
        """Tokens to compute before the next one can be chosen."""
        return len(self.tokens) - self.computed

    @property
    def shared_tokens(self) -> tuple[int, ...]:
        """What may be shared, but the prompt's last token: the next one is chosen from its computation."""
        return self.request.prompt[: min(self.request.shared_prefix, len(self.request.prompt) - 1)]

    @property
    def own_cells(self) -> int:
        return self.computed - self.shared_cells

    @property
    def reserved_cells(self) -> int:
        """Own cells when the answer reaches its greatest length."""
        return self.max_length - self.shared_cells

    def append(self, token: int, piece: bytes) -> FinishReason | None:
        """Take a chosen token in, hand its text on; why the answer ends here, if it does."""
        self.tokens.append(token)
        self._deliver(self.text.feed(piece))
        if self.text.stopped:
            return FinishReason.STOP
        return FinishReason.LENGTH if len(self.tokens) >= self.max_length else None

    def finish(self, reason: FinishReason, error: str | None = None) -> None:
        """Hand the rest and the last event on."""
        self.state = State.FINISHED
        self._deliver(self.text.flush())
        prompt_tokens = len(self.request.prompt)
        self.request.deliver(Finished(reason, prompt_tokens, self.generated, self.reused, error))

    def _deliver(self, text: str) -> None:
        if text:
            self.request.deliver(TextChunk(text))
