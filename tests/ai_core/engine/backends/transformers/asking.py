"""Requests to a backend in its own tokens, and what the library itself answers to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ai_core.engine.backends.base import Chunk
from ai_core.engine.backends.transformers import TransformersBackend
from ai_core.engine.request import GenerationRequest
from ai_core.engine.sampling import SamplingParameters

SYSTEM = "Vous répondez aux questions sur le temps de travail. "


def ask(
    backend: TransformersBackend,
    text: str,
    *,
    shared: str = "",
    adapter: str | None = None,
    deadline: float | None = None,
    conversation: str | None = None,
    **sampling: Any,
) -> GenerationRequest:
    """Continue `shared` and `text`; greedy and of 20 tokens unless `sampling` says otherwise."""
    prefix = backend.tokenize(shared, special=True)
    return GenerationRequest(
        [*prefix, *backend.tokenize(text, special=True)],
        shared_prefix=len(prefix),
        sampling=SamplingParameters(**{"temperature": 0, "max_tokens": 20, **sampling}),
        adapter=adapter,
        deadline=deadline,
        conversation=conversation,
    )


def library_answer(folder: Path, prompt: list[int], **options: Any) -> list[int]:
    """The new tokens that a plain generate() of the model in `folder` gives, its end token left out."""
    import transformers

    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return model_answer(model, prompt, **options)


def model_answer(model: Any, prompt: list[int], **options: Any) -> list[int]:
    """As library_answer, of a model that is loaded."""
    asked = torch.tensor([prompt])
    tokens: list[int] = model.generate(
        asked,
        attention_mask=torch.ones_like(asked),
        **{"do_sample": False, "max_new_tokens": 20, "eos_token_id": 1, "pad_token_id": 1, **options},
    )[0, len(prompt) :].tolist()
    return tokens[: tokens.index(1)] if 1 in tokens else tokens


def text_of(backend: TransformersBackend, tokens: list[int]) -> str:
    return b"".join(backend.piece(token) for token in tokens).decode("utf-8", "replace")


def choose(backend: TransformersBackend, sequence: int, prompt: list[int], count: int, **sampling: Any) -> list[int]:
    """Decode `count` tokens of one sequence by hand."""
    sampler = backend.sampler(SamplingParameters(**{"temperature": 0, "max_tokens": count, **sampling}), prompt)
    tokens, position, chosen = prompt, 0, []
    for _ in range(count):
        ((best,),) = backend.decode([Chunk(sequence, position, tokens, sampler)])
        position, tokens = position + len(tokens), [best.token]
        chosen.append(best.token)
    return chosen
