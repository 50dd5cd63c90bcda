"""Answers that keep to a grammar or a JSON schema, from a model that knows nothing of either."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import llama_cpp
import numpy as np
import pytest

from ai_core.engine.backends.base import Chunk
from ai_core.engine.backends.llama_cpp import LlamaCppBackend
from ai_core.engine.engine import Engine
from ai_core.engine.errors import InvalidRequest
from ai_core.engine.request import FinishReason, GenerationRequest
from ai_core.engine.sampling import SamplingParameters
from tests.ai_core.engine.driving import request, run

PROMPT = list("Combien de jours de congés ?".encode())
SCHEMA = {
    "type": "object",
    "properties": {
        "réponse": {"type": "string", "minLength": 3, "maxLength": 12},
        "articles": {"type": "array", "items": {"type": "string", "pattern": "^L\\d{4}-\\d$"}, "maxItems": 2},
        "sûr": {"type": "boolean"},
        "jours": {"type": ["integer", "null"]},
    },
    "required": ["réponse", "articles", "sûr"],
}


def asked(max_tokens: int = 400, **sampling: Any) -> GenerationRequest:
    return GenerationRequest(PROMPT, sampling=SamplingParameters(**{"max_tokens": max_tokens, **sampling}))


def logits_after_prompt(llama: LlamaCppBackend) -> np.ndarray:
    llama.clear()
    llama.decode([Chunk(0, 0, PROMPT, llama.sampler(SamplingParameters(temperature=0), PROMPT))])
    pointer = llama_cpp.llama_get_logits_ith(llama._context, -1)
    return np.array(pointer[: llama.limits.vocabulary])


def first(llama: LlamaCppBackend, **sampling: Any) -> int:
    llama.clear()
    chunk = Chunk(0, 0, PROMPT, llama.sampler(SamplingParameters(**sampling), PROMPT))
    return llama.decode([chunk])[0][0].token


@pytest.mark.parametrize(
    "how",
    [
        {"temperature": 0},
        {"temperature": 1.5, "seed": 7},
        {"temperature": 2, "seed": 3, "top_k": 0, "top_p": 1},
        {"temperature": 0, "repetition_penalty": 1.3, "frequency_penalty": 0.5},
        {"temperature": 1, "seed": 1, "presence_penalty": -1.0, "top_k": 3},
    ],
    ids=str,
)
def test_a_schema_is_kept_however_tokens_are_chosen(llama: LlamaCppBackend, how: dict[str, Any]) -> None:
    ((text, finished),) = run(Engine(llama), asked(json_schema=json.dumps(SCHEMA), **how))
    assert finished.reason is FinishReason.STOP
    value = json.loads(text)
    assert {"réponse", "articles", "sûr"} <= value.keys()
    assert 3 <= len(value["réponse"]) <= 12


def test_company_changes_nothing(llama: LlamaCppBackend) -> None:
    engine = Engine(llama)
    schema = json.dumps(SCHEMA)
    ((alone, _),) = run(engine, asked(json_schema=schema, temperature=1, seed=5))
    ((plain, _),) = run(engine, request(max_tokens=30))
    answers = run(
        engine,
        asked(json_schema=schema, temperature=1, seed=5),
        request(max_tokens=30),
        asked(grammar='root ::= "oui" | "non"', temperature=0),
        asked(json_schema=schema, temperature=1, seed=6),
    )
    assert [text for text, _ in answers[:2]] == [alone, plain]
    assert answers[2][0] in ("oui", "non")
    assert json.loads(answers[3][0]) != json.loads(alone)


@pytest.mark.parametrize(
    "how",
    [
        {"temperature": 0},
        {"temperature": 1.2, "seed": 9},
        {"temperature": 0.8, "seed": 2, "repetition_penalty": 1.2, "presence_penalty": 0.7, "top_k": 0},
    ],
    ids=str,
)
def test_a_grammar_that_allows_everything_changes_nothing(llama: LlamaCppBackend, how: dict[str, Any]) -> None:
    engine = Engine(llama)
    ((free, _),) = run(engine, asked(40, **how))
    ((bound, _),) = run(engine, asked(40, grammar="root ::= .*", **how))
    assert bound == free


def test_where_the_first_choice_is_refused_the_likeliest_allowed_one_is_taken(llama: LlamaCppBackend) -> None:
    logits = logits_after_prompt(llama)
    digits = sorted(b"0123456789", key=lambda token: -logits[token])
    assert int(logits.argmax()) not in digits
    assert first(llama, temperature=0, grammar="root ::= [0-9]") == digits[0]
    drawn = {first(llama, temperature=9, top_k=2, top_p=1, seed=seed, grammar="root ::= [0-9]") for seed in range(30)}
    assert drawn == set(digits[:2])
    evenly = {"temperature": 50, "top_k": 0, "top_p": 1, "grammar": "root ::= [0-9]"}
    assert {first(llama, seed=seed, **evenly) for seed in range(120)} == set(digits)


def test_penalties_count_before_the_likeliest_is_found(llama: LlamaCppBackend) -> None:
    logits = logits_after_prompt(llama)
    letters = sorted(b"abcdefghijklmnopqrstuvwxyz", key=lambda token: -logits[token])
    best, second = next((one, two) for one, two in pairwise(letters[1:]) if logits[one] - logits[two] < 1.5)
    sampling = SamplingParameters(temperature=0, presence_penalty=2.0, grammar=f"root ::= [{best:c}{second:c}]")
    llama.clear()
    ((chosen,),) = llama.decode([Chunk(0, 0, PROMPT, llama.sampler(sampling, [best]))])
    assert chosen.token == second


def test_log_probabilities_are_the_models_own_opinion(llama: LlamaCppBackend) -> None:
    logits = logits_after_prompt(llama)
    sampling = SamplingParameters(temperature=0, logprobs=1, grammar="root ::= [0-9]")
    llama.clear()
    ((chosen,),) = llama.decode([Chunk(0, 0, PROMPT, llama.sampler(sampling, PROMPT))])
    assert chosen.top[0][0] == int(logits.argmax()) != chosen.token
    expected = logits[chosen.token] - np.log(np.exp(logits.astype(np.float64)).sum())
    assert chosen.logprob == pytest.approx(expected, abs=0.1)


def test_the_answer_ends_with_the_grammar(llama: LlamaCppBackend) -> None:
    ((text, finished),) = run(Engine(llama), asked(grammar='root ::= "L1234-5" | "日本"', temperature=0))
    assert text in ("L1234-5", "日本")
    assert (finished.reason, finished.completion_tokens) == (FinishReason.STOP, len(text.encode()))


def test_an_answer_may_also_be_empty(llama: LlamaCppBackend) -> None:
    ((text, finished),) = run(Engine(llama), asked(grammar='root ::= ""', temperature=0))
    assert (text, finished.reason) == ("", FinishReason.STOP)


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"grammar": "root ::= other"}, "grammar: line 1: there is no rule named other"),
        ({"grammar": ""}, "grammar: there is no rule named root"),
        ({"grammar": "root ::= root"}, "grammar: it allows no text"),
        ({"grammar": "root ::= " + "(" * 100_000}, "grammar: longer than"),
        ({"json_schema": ""}, "json_schema: not JSON"),
        ({"json_schema": '{"type": "text"}'}, "json_schema: 'text' is no type"),
        ({"json_schema": '{"$ref": "https://example.org"}'}, "json_schema: .ref 'https://example.org' is not in this"),
        ({"json_schema": json.dumps({"required": ["x" * 1000]})}, "json_schema: required names 'xxx"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_cannot_be_used_is_refused_with_its_name_and_the_reason(
    llama: LlamaCppBackend, parameters: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InvalidRequest, match=f"^{reason}") as refusal:
        Engine(llama).submit(asked(**parameters))
    assert len(str(refusal.value)) < 400


def test_a_model_that_never_ends_keeps_to_nothing(llama: LlamaCppBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llama._vocabulary, "end", -1)
    for sampling in (SamplingParameters(grammar='root ::= "a"'), SamplingParameters(choices=((65,),))):
        with pytest.raises(InvalidRequest, match="no token that ends"):
            llama.sampler(sampling, PROMPT)


@pytest.mark.parametrize(
    "grammar",
    ['root ::= "a" root "b" | "a" root "c" | "a"', 'root ::= a root "x" | "z"\na ::= b\nb ::= | "y"'],
    ids=["ambiguous", "empty on the left"],
)
def test_grammars_that_would_stop_the_process_are_followed(llama: LlamaCppBackend, grammar: str) -> None:
    ((text, finished),) = run(Engine(llama), asked(100, grammar=grammar, temperature=2, seed=1))
    assert finished.reason in (FinishReason.LENGTH, FinishReason.STOP)
    assert text


def test_an_answer_that_can_be_read_in_too_many_ways_ends_and_leaves_the_others_alone(llama: LlamaCppBackend) -> None:
    grammar = 'root ::= root root | "a"'
    (endless, other) = run(Engine(llama), asked(1500, grammar=grammar, temperature=0), request(max_tokens=50))
    assert set(endless[0]) == {"a"}
    assert endless[1].reason is FinishReason.STOP
    assert other[1].reason is FinishReason.LENGTH


def test_drafts_that_are_right_are_taken_and_a_wrong_one_is_not(llama: LlamaCppBackend) -> None:
    sampling = SamplingParameters(temperature=0, grammar='root ::= "oui, " [a-z]{8}')
    for drafted, taken in ((b"oui, ", 6), (b"oui! ", 4), (b"non", 1)):
        llama.clear()
        sampler = llama.sampler(sampling, PROMPT)
        chunk = Chunk(0, 0, [*PROMPT, *drafted], sampler, drafted=len(drafted))
        ((*chosen,),) = llama.decode([chunk])
        assert len(chosen) == taken
        assert bytes(one.token for one in chosen[:5]) == b"oui, "[:taken]
