"""Embeddings with OpenAI's own client, from a real embedding model with random weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import openai
import pytest
from openai.types import CreateEmbeddingResponse

from ai_core.embedding_model import EmbeddingModel
from tests.ai_core.api.openai_compat.loopback import client_of, served
from tests.ai_core.engine.tiny_embedding_model import CONTEXT, WIDTH, write_tiny_bert
from tests.fakes import Core, build_core

TEXTS = ["licenciement", "preavis", "salaire minimum"]


@pytest.fixture(scope="module")
def served_core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Core, openai.OpenAI]]:
    folder = tmp_path_factory.mktemp("embeddings")
    write_tiny_bert(folder / "tiny bert.gguf")
    core = build_core(folder, EMBEDDING_MODEL_FILE=str(folder / "tiny bert.gguf"), RATE_LIMIT_PER_MINUTE="1000")
    with served(core) as address:
        yield core, client_of(core, address)
    assert core.parts.embeddings is not None
    core.parts.embeddings.memory.stop()
    core.parts.model.stop()


@pytest.fixture
def embedder(served_core: tuple[Core, openai.OpenAI]) -> openai.OpenAI:
    return served_core[1]


@pytest.fixture
def loaded(served_core: tuple[Core, openai.OpenAI]) -> EmbeddingModel:
    assert served_core[0].parts.embeddings is not None
    return served_core[0].parts.embeddings


def embed(client: openai.OpenAI, **options: Any) -> CreateEmbeddingResponse:
    response: CreateEmbeddingResponse = client.embeddings.create(
        **{"model": "tiny-bert", "input": TEXTS, "encoding_format": "float", **options}
    )
    return response


def test_each_text_has_its_vector(embedder: openai.OpenAI) -> None:
    response = embed(embedder)
    assert [item.index for item in response.data] == [0, 1, 2]
    vectors = np.array([item.embedding for item in response.data])
    assert vectors.shape == (3, WIDTH)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert response.model == "tiny-bert"
    assert (
        response.usage.prompt_tokens
        == response.usage.total_tokens
        == sum(len(text.replace(" ", "")) + 2 for text in TEXTS)
    )


def test_it_is_accounted_for(served_core: tuple[Core, openai.OpenAI]) -> None:
    core, client = served_core
    embed(client, user="anne")
    exported = core.app.test_client().get("/api/v1/admin/users/openai/anne/export", headers=core.headers("admin"))
    (row,) = exported.get_json()["requests"]
    assert (row["model"], row["channel"], row["error"]) == ("tiny-bert", "openai", None)
    assert row["prompt_tokens"] == embed(client).usage.total_tokens


def test_one_text_is_a_list_of_one(embedder: openai.OpenAI) -> None:
    alone = embed(embedder, input=TEXTS[0]).data
    assert len(alone) == 1
    together = embed(embedder).data[0].embedding
    assert np.allclose(alone[0].embedding, together, atol=1e-5)


def test_the_client_s_own_choice_is_base64_and_says_the_same(embedder: openai.OpenAI) -> None:
    encoded = embedder.embeddings.create(model="tiny-bert", input=TEXTS)  # it asks for base64 and decodes it
    assert np.allclose(encoded.data[1].embedding, embed(embedder).data[1].embedding, atol=1e-6)
    raw = embedder.embeddings.with_raw_response.create(model="tiny-bert", input=TEXTS, encoding_format="base64")
    assert isinstance(raw.http_response.json()["data"][0]["embedding"], str)


def test_the_model_s_own_dimension_may_be_asked_for_and_no_other(embedder: openai.OpenAI) -> None:
    assert len(embed(embedder, dimensions=WIDTH).data[0].embedding) == WIDTH
    with pytest.raises(openai.BadRequestError, match=f"have {WIDTH}") as caught:
        embed(embedder, dimensions=WIDTH // 2)
    assert caught.value.param == "dimensions"


@pytest.mark.parametrize("texts", [[1, 2], [[1, 2]], [], "", ["a", ""], ["a"] * 2049])
def test_the_input_is_texts(embedder: openai.OpenAI, texts: Any) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        embed(embedder, input=texts)
    assert caught.value.param == "input"


def test_a_text_that_is_too_long_is_refused_not_cut(embedder: openai.OpenAI) -> None:
    with pytest.raises(
        openai.BadRequestError, match=f"longer than {CONTEXT} tokens|Longer than {CONTEXT} tokens"
    ) as caught:
        embed(embedder, input=["a", "a" * 200])
    assert caught.value.param == "input[1]"


def test_a_blank_text_is_refused(embedder: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        embed(embedder, input=["a", "  "])
    assert caught.value.param == "input[1]"


def test_it_is_listed_and_has_one_name(embedder: openai.OpenAI) -> None:
    assert "tiny-bert" in [model.id for model in embedder.models.list()]
    with pytest.raises(openai.NotFoundError, match="tiny-bert") as caught:
        embed(embedder, model="text-embedding-3-small")
    assert caught.value.code == "model_not_found"


def test_it_is_loaded_by_the_first_request_and_again_after_a_rest(
    embedder: openai.OpenAI, loaded: EmbeddingModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = embed(embedder).data[0].embedding
    assert loaded.memory.is_loaded
    assert not loaded.memory.unload_if_idle(), "it was just used"
    monkeypatch.setattr(loaded.memory, "_idle_seconds", 1e-9)
    assert loaded.memory.unload_if_idle()
    assert not loaded.memory.is_loaded
    assert embed(embedder).data[0].embedding == before
