"""Generation parameters: a profile for each channel, what a request overrides, and what the loaded model honours."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from ai_core.engine.backends.base import ModelInfo
from ai_core.engine.request import SamplingParameters
from common.errors import InvalidFields

DEFAULT_PROFILE = SamplingParameters(temperature=0.3, top_p=0.9, top_k=40, repetition_penalty=1.0, max_tokens=512)
PROFILES: Mapping[str, SamplingParameters] = {
    "telegram": SamplingParameters(temperature=0.7, top_p=0.9, top_k=40, repetition_penalty=1.1, max_tokens=512),
    "mail": SamplingParameters(temperature=0.3, top_p=0.95, top_k=50, repetition_penalty=1.15, max_tokens=1500),
}

# Names of SPEC's parameters that mean a field of SamplingParameters under another name.
_FIELDS = {"max_length": "max_tokens", "do_sample": "temperature"}
_NAMES = {"max_tokens": "max_length"}
# Values that ask for nothing, so that a model which does not know the parameter can take them.
_NEUTRAL: Mapping[str, Any] = {
    "top_p": 1.0,
    "repetition_penalty": 1.0,
    "frequency_penalty": 0.0,
    "presence_penalty": 0.0,
    "stop": [],
    "seed": None,
    "logprobs": None,
    "grammar": None,
    "json_schema": None,
    "num_beams": 1,
    "length_penalty": 1.0,
    "early_stopping": False,
    "pad_token_id": None,
    "eos_token_id": None,
    "do_sample": True,
}
_WITH_BEAMS_ONLY = ("length_penalty", "early_stopping")
_ALWAYS_TOLD = ("temperature", "top_p", "top_k", "repetition_penalty", "max_tokens", "seed", "stop")
_DEFAULTS = {field.name: field.default for field in fields(SamplingParameters)}


def sampling_for(
    channel: str, requested: Mapping[str, Any], info: ModelInfo, *, model_format: str
) -> SamplingParameters:
    """The channel's profile with what the request asks for. Raises InvalidFields for what the model cannot honour."""
    _refuse(requested, info.honours, model_format)
    profile = PROFILES.get(channel, DEFAULT_PROFILE)
    unknown = {name: _DEFAULTS[name] for name in _DEFAULTS if name not in info.honours}
    known = {_FIELDS.get(name, name): value for name, value in requested.items() if name != "do_sample"}
    wanted = {name: _as_field(name, value) for name, value in known.items() if name in info.honours}
    sampling = replace(profile, **{**unknown, **wanted})
    return sampling if requested.get("do_sample", True) else replace(sampling, temperature=0.0)


def as_used(sampling: SamplingParameters, info: ModelInfo) -> dict[str, Any]:
    """`parameters_used`: what reached the backend, under the names of the API."""
    used: dict[str, Any] = {"do_sample": sampling.temperature > 0}
    for name in sorted(info.honours & _DEFAULTS.keys() - {"choices"}):
        value = getattr(sampling, name)
        if name in _ALWAYS_TOLD or value != _DEFAULTS[name]:
            used[_NAMES.get(name, name)] = _as_json(name, value)
    return used


def _refuse(requested: Mapping[str, Any], honours: frozenset[str], model_format: str) -> None:
    refused = {
        name: [f"The format of the loaded model ({model_format}) cannot honour this parameter."]
        for name, value in requested.items()
        if _FIELDS.get(name, name) not in honours and (name not in _NEUTRAL or value != _NEUTRAL[name])
    }
    if None not in (requested.get("grammar"), requested.get("json_schema")):
        refused["json_schema"] = ["Cannot be asked for together with grammar."]
    if requested.get("num_beams", 1) == 1:
        asked = [name for name in _WITH_BEAMS_ONLY if requested.get(name, _NEUTRAL[name]) != _NEUTRAL[name]]
        refused |= {name: ["Has an effect with num_beams above 1 only."] for name in asked if name not in refused}
    if refused:
        raise InvalidFields(refused)


def _as_field(name: str, value: Any) -> Any:
    if name == "stop":
        return tuple(value)
    if name == "json_schema" and value is not None:
        return json.dumps(value, ensure_ascii=False)
    return value


def _as_json(name: str, value: Any) -> Any:
    if name == "stop":
        return list(value)
    return json.loads(value) if name == "json_schema" else value
