"""Beam search, by the library's generate(): the answer is known only when the search has ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from ai_core.engine.backends.base import Chosen
from ai_core.engine.backends.transformers.generation import Generation
from ai_core.engine.errors import InvalidRequest
from ai_core.engine.sampling import PENALTY_WINDOW, SamplingParameters


class BeamSearch:
    """What one request asks for, in the place of a sampler. `ends` are the model's own end tokens, the first of which
    ends what it answers; prompt and answer fit into `longest` tokens together. Raises InvalidRequest."""

    def __init__(self, sampling: SamplingParameters, prompt: Sequence[int], ends: Sequence[int], longest: int) -> None:
        if sampling.logprobs is not None:
            raise InvalidRequest("log-probabilities are not to be had of beams")
        self.sampling = sampling
        self.prompt = list(prompt)
        self._ends = list(ends)
        self._room = min(sampling.max_tokens, longest - len(prompt))

    @property
    def cells(self) -> int:
        """Positions that the beams hold at most, all together; the library gives each beam a prompt of its own."""
        return self.sampling.num_beams * (len(self.prompt) + self._room)

    def start(self, model: Any, cache: Any) -> Generation:
        """`cache` holds what is computed of the prompt, for each beam, or is None."""
        return Generation(lambda pause: self._search(model, cache, pause), self.sampling.draw_seed(), "beam search")

    def _search(self, model: Any, cache: Any, pause: Callable[..., Any]) -> list[Chosen]:
        prompt = torch.tensor([self.prompt], device=model.device)
        found = model.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            generation_config=self._config(),
            stopping_criteria=[pause],
            **({} if cache is None else {"past_key_values": cache}),
            **self._constraints(),
        )
        return self._answer(found[0, prompt.shape[1] :].tolist())

    def _config(self) -> Any:
        import transformers

        asked, ends = self.sampling, self._wanted_ends
        drawing = {} if asked.greedy else {name: getattr(asked, name) for name in ("temperature", "top_k", "top_p")}
        return transformers.GenerationConfig(
            num_beams=asked.num_beams,
            length_penalty=asked.length_penalty,
            early_stopping=asked.early_stopping,
            do_sample=not asked.greedy,
            max_new_tokens=self._room,
            eos_token_id=ends or None,
            pad_token_id=next(iter(ends), 0) if asked.pad_token_id is None else asked.pad_token_id,
            suppress_tokens=[token for token in self._ends if token not in ends] or None,
            **drawing,
        )

    @property
    def _wanted_ends(self) -> list[int]:
        return self._ends if self.sampling.eos_token_id is None else [self.sampling.eos_token_id]

    def _constraints(self) -> dict[str, Any]:
        """Penalties, or the texts to choose from, to which penalties do not apply."""
        if self.sampling.choices:
            return {"prefix_allowed_tokens_fn": self._allowed}
        return {"logits_processor": [self._penalize]}

    def _penalize(self, tokens: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """As elsewhere here, over the last tokens only; the library's own penalty sees all of them."""
        asked, recent = self.sampling, tokens[:, -PENALTY_WINDOW:]
        counts = torch.zeros_like(scores).scatter_add_(1, recent, torch.ones_like(recent, dtype=scores.dtype))
        repeated = torch.where(scores < 0, scores * asked.repetition_penalty, scores / asked.repetition_penalty)
        scores = torch.where(counts > 0, repeated - asked.presence_penalty, scores)
        return scores - counts * asked.frequency_penalty

    def _allowed(self, _batch: int, tokens: torch.Tensor) -> list[int]:
        written = tuple(tokens[len(self.prompt) :].tolist())
        end, place = self._wanted_ends[0], len(written)
        texts = [(*choice, end) for choice in self.sampling.choices]
        return sorted({text[place] for text in texts if text[:place] == written and place < len(text)}) or [end]

    def _answer(self, tokens: list[int]) -> list[Chosen]:
        """Up to the end token, if the best beam has one; padding follows it."""
        place = next((place for place, token in enumerate(tokens) if token in self._wanted_ends), None)
        answer = tokens if place is None else [*tokens[:place], self._ends[0]]
        return [Chosen(token) for token in answer]


class RunningBeams:
    """The searches under way, by sequence."""

    def __init__(self) -> None:
        self._running: dict[int, tuple[BeamSearch, Generation]] = {}

    @property
    def cells(self) -> int:
        return sum(search.cells for search, _ in self._running.values())

    def start(self, sequence: int, search: BeamSearch, model: Any, cache: Any) -> None:
        self._running[sequence] = search, search.start(model, cache)

    def step(self, sequence: int) -> list[Chosen]:
        """Nothing until the search has ended, then the whole answer."""
        _, generation = self._running[sequence]
        return generation.step() or []

    def drop(self, sequence: int) -> None:
        running = self._running.pop(sequence, None)
        if running is not None:
            running[1].abandon()

    def clear(self) -> None:
        for sequence in list(self._running):
            self.drop(sequence)
