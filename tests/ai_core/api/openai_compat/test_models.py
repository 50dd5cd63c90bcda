"""Which models a client may ask for."""

from __future__ import annotations

import openai
import pytest

from tests.fakes import SCRIPTED, Core


@pytest.mark.parametrize("name", ["gpt-4o", "meta-llama/Llama-3", "scripted:", "é"])
def test_another_one_is_not_found(client: openai.OpenAI, name: str) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve(name)
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


def test_a_model_that_is_being_loaded_is_there(empty: tuple[Core, openai.OpenAI]) -> None:
    core, client = empty
    core.loader.allowed.clear()
    core.parts.model.begin(SCRIPTED)
    assert [listed.id for listed in client.models.list()] == ["scripted", "scripted:grounded"]
    core.loader.allowed.set()
    assert core.parts.model.wait(10)


def test_without_a_model_the_list_is_empty(empty: tuple[Core, openai.OpenAI]) -> None:
    assert list(empty[1].models.list()) == []
