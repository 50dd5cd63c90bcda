"""Text completions with OpenAI's own client: a text goes on as it stands."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from openai.types import Completion

from tests.fakes import Core

TEXT = "Le salarié "


def go_on(client: openai.OpenAI, **options: Any) -> Completion:
    completion: Completion = client.completions.create(**{"model": "scripted", "prompt": TEXT, **options})
    return completion


@pytest.mark.parametrize("prompt", [TEXT, [TEXT]])
def test_a_text_goes_on(client: openai.OpenAI, prompt: Any) -> None:
    completion = go_on(client, prompt=prompt)
    (choice,) = completion.choices
    assert (choice.text, choice.finish_reason, choice.logprobs) == ("Bonjour.", "stop", None)
    assert (completion.object, completion.model) == ("text_completion", "scripted")
    assert completion.usage is not None
    assert completion.usage.completion_tokens == len("Bonjour.")


def test_the_model_reads_the_text_and_nothing_else(client: openai.OpenAI, core: Core) -> None:
    go_on(client)
    assert core.prompt_bytes().decode() == TEXT + "Bonjour."


def test_spaces_at_the_beginning_are_part_of_it(core: Core, client: openai.OpenAI) -> None:
    core.loader.backends[-1]._answer = " est libre. "
    assert go_on(client).choices[0].text == " est libre. "
    assert go_on(client).choices[0].text == " est libre. ", "also the second time"
