"""What only a real model shows: parameters, adapters, log-probabilities, JSON that keeps to a schema."""

from __future__ import annotations

from typing import Any, Literal

import openai
import pytest
from pydantic import BaseModel

from tests.ai_core.api.openai_compat.test_chat import HELLO, ask
from tests.ai_core.api.openai_compat.test_completions import TEXT, go_on


def test_parameters_reach_the_model(model: openai.OpenAI) -> None:
    def answer(**options: Any) -> str | None:
        return ask(model, model="tiny", max_tokens=12, **options).choices[0].message.content

    assert answer(temperature=0) == answer(temperature=0)
    assert answer(temperature=2, top_p=1, seed=-7) == answer(temperature=2, top_p=1, seed=-7)
    assert answer(temperature=2, top_p=1, seed=-7) != answer(temperature=2, top_p=1, seed=8)
    plain = answer(temperature=0)
    assert answer(temperature=0, frequency_penalty=2.0) != plain
    assert answer(temperature=0, presence_penalty=2.0) != plain
    assert answer(temperature=0, extra_body={"repetition_penalty": 1.9}) != plain
    assert answer(temperature=2, seed=3, extra_body={"top_k": 1}) == plain


def test_an_adapter_is_a_model_of_its_own(model: openai.OpenAI) -> None:
    bare = ask(model, model="tiny", temperature=0, max_tokens=8)
    adapted = ask(model, model="tiny+droit", temperature=0, max_tokens=8)
    assert adapted.model == "tiny+droit"
    assert adapted.choices[0].message.content != bare.choices[0].message.content


def test_log_probabilities(model: openai.OpenAI) -> None:
    completion = ask(model, model="tiny", temperature=0, max_tokens=5, logprobs=True, top_logprobs=2)
    logprobs = completion.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content is not None
    text = b"".join(bytes(token.bytes or []) for token in logprobs.content).decode()
    assert text.strip() == completion.choices[0].message.content
    assert all(len(token.top_logprobs) == 2 for token in logprobs.content)
    assert all(token.top_logprobs[0].logprob == token.logprob for token in logprobs.content), "greedy"
    own = ask(model, model="tiny", temperature=0, max_tokens=5, logprobs=True).choices[0].logprobs
    assert own is not None
    assert [token.top_logprobs for token in own.content or []] == [[]] * 5


class Notice(BaseModel):
    days: Literal[30, 60]
    paid: bool


def test_an_answer_keeps_to_the_schema_of_a_pydantic_model(model: openai.OpenAI) -> None:
    completion = model.chat.completions.parse(model="tiny", messages=HELLO, response_format=Notice, max_tokens=200)
    assert isinstance(completion.choices[0].message.parsed, Notice)


def test_an_answer_is_any_json_object(model: openai.OpenAI) -> None:
    # A random model does not end its objects by itself; whatever it writes is the beginning of one.
    completion = ask(model, model="tiny", response_format={"type": "json_object"}, max_tokens=20, temperature=0)
    assert (completion.choices[0].message.content or "").startswith("{")


def test_a_schema_that_is_none_is_refused_by_its_name(model: openai.OpenAI) -> None:
    schema = {"name": "a", "schema": {"type": "nonsense"}}
    with pytest.raises(openai.BadRequestError) as caught:
        ask(model, model="tiny", response_format={"type": "json_schema", "json_schema": schema})
    assert caught.value.param == "response_format"


def test_a_stream_brings_log_probabilities(model: openai.OpenAI) -> None:
    stream = model.chat.completions.create(
        model="tiny", messages=HELLO, stream=True, logprobs=True, max_tokens=5, temperature=0
    )
    tokens = [
        token for chunk in stream for each in chunk.choices if each.logprobs for token in each.logprobs.content or []
    ]
    assert len(tokens) == 5


def test_sixteen_tokens_are_written_unless_asked_otherwise(model: openai.OpenAI) -> None:
    assert go_on(model, model="tiny").usage.completion_tokens == 16  # type: ignore[union-attr]
    completion = go_on(model, model="tiny", max_tokens=4)
    assert completion.usage is not None
    assert completion.usage.completion_tokens == 4
    assert completion.choices[0].finish_reason == "length"


def test_log_probabilities_are_parallel_lists(model: openai.OpenAI) -> None:
    choice = go_on(model, model="tiny", logprobs=2, max_tokens=4, temperature=0).choices[0]
    logprobs = choice.logprobs
    assert logprobs is not None
    assert "".join(logprobs.tokens or []) == choice.text
    assert logprobs.text_offset == [0, 1, 2, 3]
    assert len(logprobs.token_logprobs or []) == 4
    for token, logprob, top in zip(
        logprobs.tokens or [], logprobs.token_logprobs or [], logprobs.top_logprobs or [], strict=True
    ):
        assert top[token] == logprob == max(top.values()), "greedy"


def test_a_streamed_continuation(model: openai.OpenAI) -> None:
    whole = go_on(model, model="tiny", max_tokens=6, temperature=0, logprobs=0)
    chunks = list(
        model.completions.create(
            model="tiny", prompt=TEXT, max_tokens=6, temperature=0, logprobs=0, stream=True,
            stream_options={"include_usage": True},
        )
    )  # fmt: skip
    assert chunks[-1].usage == whole.usage
    told = [chunk.choices[0] for chunk in chunks[:-1]]
    assert "".join(choice.text for choice in told) == whole.choices[0].text
    offsets = [offset for choice in told if choice.logprobs for offset in choice.logprobs.text_offset or []]
    assert whole.choices[0].logprobs is not None
    assert offsets == whole.choices[0].logprobs.text_offset
    assert [choice.finish_reason for choice in told if choice.finish_reason] == ["length"]


def test_the_loaded_model_its_adapters_and_their_grounded_names_are_listed(model: openai.OpenAI) -> None:
    assert [listed.id for listed in model.models.list()] == [
        "tiny", "tiny:grounded", "tiny+droit", "tiny+droit:grounded",
    ]  # fmt: skip


def test_each_can_be_shown_and_asked(model: openai.OpenAI) -> None:
    for listed in model.models.list():
        assert model.models.retrieve(listed.id) == listed
        assert (listed.object, listed.owned_by) == ("model", "code-du-travail-neo")
        model.chat.completions.create(model=listed.id, messages=[{"role": "user", "content": "a"}], max_tokens=1)
