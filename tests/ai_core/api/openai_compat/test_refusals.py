"""Whatever is wrong with a request is a BadRequestError that names the parameter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.ai_core.api.openai_compat.loopback import client_of, served
from tests.ai_core.api.openai_compat.test_chat import ask
from tests.ai_core.api.openai_compat.test_completions import go_on
from tests.fakes import build_core

TOOL = {"type": "function", "function": {"name": "chercher", "parameters": {"type": "object"}}}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[openai.OpenAI]:
    """One client for all: nothing here reaches the model."""
    core = build_core(tmp_path_factory.mktemp("refusals"), RATE_LIMIT_PER_MINUTE="1000")
    with served(core) as address:
        yield client_of(core, address)
    core.parts.model.stop()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n", 2),
        ("tools", [TOOL]),
        ("tool_choice", "auto"),
        ("functions", [{"name": "chercher"}]),
        ("function_call", "auto"),
        ("parallel_tool_calls", True),
        ("logit_bias", {"1": 5}),
        ("store", True),
        ("modalities", ["text", "audio"]),
        ("audio", {"voice": "alloy", "format": "wav"}),
        ("reasoning_effort", "high"),
        ("service_tier", "flex"),
    ],
)
def test_what_is_not_there_is_refused_by_its_name(client: openai.OpenAI, name: str, value: Any) -> None:
    with pytest.raises(openai.BadRequestError, match="Not supported") as caught:
        ask(client, **{name: value})
    assert (caught.value.param, caught.value.type) == (name, "invalid_request_error")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", 2.5),
        ("temperature", "hot"),
        ("top_p", -0.1),
        ("max_tokens", 0),
        ("max_completion_tokens", 4096),
        ("frequency_penalty", 3),
        ("stop", [""]),
        ("stop", ["a"] * 9),
        ("seed", 2**70),
        ("top_logprobs", 2),
        ("stream_options", {"include_usage": True}),
        ("response_format", {"type": "xml"}),
        ("response_format", {"type": "json_schema"}),
        ("response_format", {"type": "text", "json_schema": {"name": "a"}}),
        ("messages", []),
        ("messages", [{"role": "tool", "content": "a", "tool_call_id": "1"}]),
        ("messages", [{"role": "user", "content": None}]),
        ("messages", [{"role": "user", "content": " \x00 "}]),
        ("messages", [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]}]),
        ("messages", [{"role": "user", "content": []}]),
        ("messages", [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]),
        ("messages", [{"role": "system", "content": "a"}]),
        ("messages", [{"role": "user", "content": "a" * 20_001}]),
        ("model", ""),
    ],
)
def test_a_wrong_value_is_refused_by_its_name(client: openai.OpenAI, name: str, value: Any) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, **{name: value})
    assert (caught.value.param, caught.value.code) == (name, "invalid_fields")


def test_an_unknown_parameter_is_refused_by_its_name(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="Unknown field") as caught:
        ask(client, extra_body={"temprature": 1})
    assert caught.value.param == "temprature"


def test_two_names_of_one_parameter_cannot_both_be_set(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="together with max_tokens"):
        ask(client, max_tokens=1, max_completion_tokens=2)


@pytest.mark.parametrize(
    ("name", "value"),
    [("echo", True), ("suffix", "fin"), ("best_of", 2), ("n", 2), ("logit_bias", {"50256": -100})],
)
def test_what_completions_lack_is_refused_by_its_name(client: openai.OpenAI, name: str, value: Any) -> None:
    with pytest.raises(openai.BadRequestError, match="Not supported") as caught:
        go_on(client, **{name: value})
    assert caught.value.param == name


@pytest.mark.parametrize("prompt", [[1, 2, 3], [[1, 2]], ["a", "b"], [], "", "  "])
def test_a_prompt_is_one_text(client: openai.OpenAI, prompt: Any) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        go_on(client, prompt=prompt)
    assert caught.value.param == "prompt"
