"""Generation parameters: a profile for each channel, what a request overrides, and what GGUF cannot honour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ai_core.engine.request import SamplingParameters
from common.errors import InvalidFields

DEFAULT_PROFILE = SamplingParameters(temperature=0.3, top_p=0.9, top_k=40, repetition_penalty=1.0, max_tokens=512)
PROFILES: Mapping[str, SamplingParameters] = {
    "telegram": SamplingParameters(temperature=0.7, top_p=0.9, top_k=40, repetition_penalty=1.1, max_tokens=512),
    "mail": SamplingParameters(temperature=0.3, top_p=0.95, top_k=50, repetition_penalty=1.15, max_tokens=1500),
}

# Names of SPEC's parameters that mean a field of SamplingParameters under another name.
_RENAMED = {"max_length": "max_tokens"}
# Parameters of other backends: the value that asks nothing of GGUF, any other is refused.
_NEUTRAL_ON_GGUF: Mapping[str, Any] = {
    "num_beams": 1,
    "length_penalty": 1.0,
    "early_stopping": False,
    "pad_token_id": None,
    "eos_token_id": None,
}


def sampling_for(channel: str, requested: Mapping[str, Any]) -> SamplingParameters:
    """The channel's profile with what the request asks for. Raises InvalidFields for what GGUF cannot honour."""
    refused = [name for name, neutral in _NEUTRAL_ON_GGUF.items() if requested.get(name, neutral) != neutral]
    if refused:
        raise InvalidFields({name: ["A GGUF model cannot honour this parameter."] for name in refused})
    known = {_RENAMED.get(name, name): value for name, value in requested.items() if name not in _NEUTRAL_ON_GGUF}
    do_sample = known.pop("do_sample", True)
    if "stop" in known:
        known["stop"] = tuple(known["stop"])
    sampling = replace(PROFILES.get(channel, DEFAULT_PROFILE), **known)
    return sampling if do_sample else replace(sampling, temperature=0.0)


def as_used(sampling: SamplingParameters) -> dict[str, Any]:
    """`parameters_used`: what reached the backend, under the names of the API."""
    return {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "repetition_penalty": sampling.repetition_penalty,
        "max_length": sampling.max_tokens,
        "do_sample": sampling.temperature > 0,
        "seed": sampling.seed,
        "stop": list(sampling.stop),
    }
