"""A parameter reaches the backend or is refused by its name; it is never dropped in silence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ai_core.engine.backends.scripted import ScriptedBackend
from ai_core.engine.sampling import BASIC
from ai_core.parameters import as_used, sampling_for
from common.errors import InvalidFields

PLAIN = replace(ScriptedBackend().info, honours=BASIC)
EVERYTHING = replace(
    PLAIN,
    honours=BASIC
    | {"grammar", "json_schema", "num_beams", "length_penalty", "early_stopping", "eos_token_id", "pad_token_id"},
)
BARE = replace(PLAIN, honours=frozenset({"temperature", "top_p", "max_tokens", "stop", "seed"}))
ASKED: dict[str, Any] = {
    "temperature": 0.4,
    "top_p": 0.8,
    "top_k": 7,
    "repetition_penalty": 1.3,
    "frequency_penalty": 0.5,
    "presence_penalty": -0.5,
    "max_length": 33,
    "seed": 5,
    "stop": ["FIN"],
    "logprobs": 2,
    "json_schema": {"type": "string"},
    "num_beams": 3,
    "length_penalty": 1.5,
    "early_stopping": True,
    "eos_token_id": 4,
    "pad_token_id": 0,
}


def refused(requested: dict[str, Any], info: Any) -> dict[str, Any]:
    with pytest.raises(InvalidFields) as error:
        sampling_for("api", requested, info, model_format="gguf")
    assert error.value.errors is not None
    return dict(error.value.errors)


def test_what_a_model_honours_reaches_it_and_is_reported() -> None:
    sampling = sampling_for("api", ASKED, EVERYTHING, model_format="safetensors")
    assert (sampling.temperature, sampling.top_k, sampling.max_tokens, sampling.num_beams) == (0.4, 7, 33, 3)
    assert sampling.json_schema == '{"type": "string"}'
    assert as_used(sampling, EVERYTHING) == {**ASKED, "do_sample": True}


@pytest.mark.parametrize("name", sorted(EVERYTHING.honours - PLAIN.honours))
def test_what_a_format_cannot_honour_is_refused_with_its_name(name: str) -> None:
    requested = {"num_beams": 2, name: {**ASKED, "grammar": 'root ::= "a"'}[name]}
    assert "gguf" in refused(requested, PLAIN)[name][0]


@pytest.mark.parametrize("name", ["top_k", "repetition_penalty", "frequency_penalty", "logprobs"])
def test_servers_that_know_less_refuse_more(name: str) -> None:
    assert set(refused({name: ASKED[name]}, BARE)) == {name}


@pytest.mark.parametrize(
    "neutral",
    [
        {"num_beams": 1},
        {"length_penalty": 1.0},
        {"early_stopping": False},
        {"eos_token_id": None},
        {"repetition_penalty": 1},
        {"frequency_penalty": 0},
        {"do_sample": True},
        {"logprobs": None},
    ],
)
def test_a_value_that_asks_for_nothing_is_taken_by_every_model(neutral: dict[str, Any]) -> None:
    sampling_for("api", neutral, BARE, model_format="remote")


def test_a_profile_does_not_ask_for_what_the_model_cannot_do() -> None:
    sampling = sampling_for("telegram", {}, BARE, model_format="remote")
    assert sampling.repetition_penalty == 1.0
    assert "repetition_penalty" not in as_used(sampling, BARE)
    assert as_used(sampling, BARE)["max_length"] == 512


def test_parameters_of_beams_need_beams() -> None:
    assert set(refused({"length_penalty": 0.5, "early_stopping": True}, EVERYTHING)) == {
        "length_penalty",
        "early_stopping",
    }


def test_a_grammar_and_a_schema_exclude_each_other() -> None:
    assert set(refused({"grammar": 'root ::= "a"', "json_schema": {}}, EVERYTHING)) == {"json_schema"}


def test_an_empty_schema_asks_for_any_json() -> None:
    assert sampling_for("api", {"json_schema": {}}, EVERYTHING, model_format="gguf").json_schema == "{}"


def test_without_sampling_the_answer_is_greedy() -> None:
    sampling = sampling_for("api", {"do_sample": False, "temperature": 0.9}, PLAIN, model_format="gguf")
    assert sampling.greedy
    assert as_used(sampling, PLAIN)["do_sample"] is False
