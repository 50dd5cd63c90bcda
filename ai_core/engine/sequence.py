"""The state of one submitted request, owned by the engine's thread from submission to its end."""

from __future__ import annotations

from enum import Enum

from ai_core.engine.backends.base import Sampler
from ai_core.engine.prefix_cache import Run
from ai_core.engine.request import Finished, FinishReason, GenerationRequest, TextChunk, TokenLogprob
from ai_core.engine.speculation import Guess, PromptLookup
from ai_core.engine.text_stream import TextStream


class State(Enum):
    WAITING = "waiting"
    RUNNING = "running"
    FINISHED = "finished"


class SequenceState:
    """`tokens` are the prompt and what was generated; the first `computed` of them are in the KV cache. Of these the
    first `reused` were copied when it started, and the first `shared_cells` are counted with `prefix` (also for the
    request that computed the prefix, once it is complete). `max_length` bounds prompt and answer, in tokens."""

    def __init__(
        self, request: GenerationRequest, sampler: Sampler, *, max_length: int, rank: float = 0.0, lookup: bool = False
    ) -> None:
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
        self.prefix: Run | None = None
        self.shared_cells = 0
        self._lookup = PromptLookup(request.prompt) if lookup else None
        self._logprobs: list[TokenLogprob] = []

    @property
    def generated(self) -> int:
        return len(self.tokens) - len(self.request.prompt)

    @property
    def remaining(self) -> int:
        """Tokens to compute before the next one can be chosen."""
        return len(self.tokens) - self.computed

    @property
    def public_length(self) -> int:
        """How much of the prompt others may share. Not its last token: the next one is chosen from its computation."""
        return min(self.request.shared_prefix, len(self.request.prompt) - 1)

    @property
    def own_cells(self) -> int:
        return self.computed - self.shared_cells

    @property
    def most_cells(self) -> int:
        """Cells when the answer reaches its greatest length; each beam has its own."""
        return self.max_length * self.request.sampling.num_beams

    @property
    def reserved_cells(self) -> int:
        """Own cells of `most_cells`."""
        return self.most_cells - self.shared_cells

    @property
    def room(self) -> int:
        """Tokens that may be guessed, so few that at least one more has room after them."""
        return max(0, self.max_length - len(self.tokens) - 1) if self._lookup else 0

    def guess(self) -> Guess:
        """What comes next, perhaps; `room` tokens at most."""
        return self._lookup.guess(self.room) if self._lookup else Guess()

    def append(self, token: int, piece: bytes, logprob: TokenLogprob | None = None) -> FinishReason | None:
        """Take a chosen token in, hand its text on; why the answer ends here, if it does."""
        self.tokens.append(token)
        if self._lookup is not None:
            self._lookup.take(token)
        if logprob is not None:
            self._logprobs.append(logprob)
        self._deliver(self.text.feed(piece))
        if self.text.stopped:
            return FinishReason.STOP
        return FinishReason.LENGTH if len(self.tokens) >= self.max_length else None

    def finish(self, reason: FinishReason, error: str | None = None) -> None:
        """Hand the rest and the last event on."""
        self.state = State.FINISHED
        self._deliver(self.text.flush(), last=True)
        prompt_tokens = len(self.request.prompt)
        self.request.deliver(Finished(reason, prompt_tokens, self.generated, self.reused, error))

    def _deliver(self, text: str, *, last: bool = False) -> None:
        if text or (last and self._logprobs):
            self.request.deliver(TextChunk(text, tuple(self._logprobs)))
            self._logprobs = []
