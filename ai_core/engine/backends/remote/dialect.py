"""What each kind of server honours, and how a request is said to it.

OpenAI's API leaves out top_k and repetition_penalty; vLLM and llama-server add them under different names, and both
have defaults of their own (min_p, the model's generation_config): all that bears on the choice of tokens is sent.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import Enum
from typing import Any

from ai_core.engine.request import GenerationRequest
from ai_core.engine.sampling import PENALTY_WINDOW, SamplingParameters

SMALLEST_TOP_P = 1e-6  # vLLM refuses 0, which keeps the likeliest token as this does
OPENAI = frozenset(
    {
        "temperature",
        "top_p",
        "max_tokens",
        "stop",
        "seed",
        "frequency_penalty",
        "presence_penalty",
        "logprobs",
        "json_schema",
    }
)
MORE = frozenset({"top_k", "repetition_penalty"})
GRAMMAR = frozenset({"grammar"})
VLLM_WITH_GRAMMAR = (0, 12)  # has structured_outputs; versions before it had it under other names


class Kind(str, Enum):
    LLAMA_SERVER = "llama-server"
    VLLM = "vLLM"
    OTHER = "OpenAI-compatible server"

    def honours(self, version: Sequence[int]) -> frozenset[str]:
        """The fields of SamplingParameters that a server of this kind and version honours."""
        if self is Kind.LLAMA_SERVER or (self is Kind.VLLM and tuple(version) >= VLLM_WITH_GRAMMAR):
            return OPENAI | MORE | GRAMMAR
        return OPENAI | MORE if self is Kind.VLLM else OPENAI


def body(
    request: GenerationRequest, kind: Kind, *, model: str, max_tokens: int, system_role: bool = True
) -> dict[str, Any]:
    """The JSON of POST /chat/completions."""
    sampling = request.sampling
    messages = request.messages if system_role else without_system(request.messages)
    said: dict[str, Any] = {
        "model": model,
        "messages": [{"role": role, "content": content} for role, content in messages],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": max_tokens,
        "temperature": sampling.temperature,
        "top_p": max(sampling.top_p, SMALLEST_TOP_P),
        "frequency_penalty": sampling.frequency_penalty,
        "presence_penalty": sampling.presence_penalty,
    }
    if sampling.stop:
        said["stop"] = list(sampling.stop)
    if sampling.seed is not None:
        said["seed"] = sampling.draw_seed()
    if sampling.logprobs is not None:
        # At least one: llama-server gives no log-probability at all for 0.
        said |= {"logprobs": True, "top_logprobs": max(1, sampling.logprobs)}
    return said | _format(sampling, kind) | _own(sampling, kind)


def without_system(messages: Sequence[tuple[str, str]]) -> Sequence[tuple[str, str]]:
    """For models that know no system role: their convention is to open the first user turn with it."""
    if len(messages) < 2 or messages[0][0] != "system":
        return messages
    (_, system), (role, content), *rest = messages
    return [(role, f"{system}\n\n{content}"), *rest]


def tokenize_body(kind: Kind, model: str, text: str, *, special: bool) -> dict[str, Any]:
    """The JSON of POST /tokenize."""
    if kind is Kind.LLAMA_SERVER:
        return {"content": text, "add_special": False, "parse_special": special}
    return {"model": model, "prompt": text, "add_special_tokens": False}


def _format(sampling: SamplingParameters, kind: Kind) -> dict[str, Any]:
    if sampling.json_schema is not None:
        schema = {"name": "answer", "schema": json.loads(sampling.json_schema), "strict": True}
        return {"response_format": {"type": "json_schema", "json_schema": schema}}
    if sampling.grammar is not None:
        return (
            {"structured_outputs": {"grammar": sampling.grammar}}
            if kind is Kind.VLLM
            else {"grammar": sampling.grammar}
        )
    return {}


def _own(sampling: SamplingParameters, kind: Kind) -> dict[str, Any]:
    """What goes beyond OpenAI's API."""
    if kind is Kind.LLAMA_SERVER:
        return {
            "top_k": sampling.top_k,
            "min_p": 0.0,
            "repeat_penalty": sampling.repetition_penalty,
            "repeat_last_n": PENALTY_WINDOW,
        }
    if kind is Kind.VLLM:
        return {
            "top_k": sampling.top_k or -1,  # older versions do not take 0 for off
            "min_p": 0.0,
            "repetition_penalty": sampling.repetition_penalty,
        }
    return {}
