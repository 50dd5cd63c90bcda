"""Embeddings of GGUF models on llama.cpp itself, with tiny random models; the oracle is the library's own Llama."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import gguf
import llama_cpp
import numpy as np
import psutil
import pytest

from ai_core.engine.backends.base import BackendError
from ai_core.engine.backends.llama_cpp import embedder as module
from ai_core.engine.backends.llama_cpp.embedder import LlamaCppEmbedder
from ai_core.engine.batch_engine import BatchEngine
from ai_core.engine.embedding import Embedder, Embeddings, TokenizedText, Vector
from ai_core.engine.job import InvalidInput, JobFailed
from tests.ai_core.engine.tiny_embedding_model import (
    CLS,
    CONTEXT,
    PAD,
    SEP,
    UNKNOWN,
    WIDTH,
    write_tiny_bert,
    write_tiny_decoder,
)
from tests.ai_core.engine.tiny_model import IM_END, write_tiny_model

TEXTS = [
    "Bonjour tout le monde",
    "préavis de démission",
    "a",
    "3 mois, au plus ; sinon rien !",
    "Bonjour tout le monde.",
]
SAME = 0.9999
"""Cosine of vectors of one text: the order of sums differs with what else is in a batch."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("embedding")


@pytest.fixture(scope="module")
def bert(folder: Path) -> Path:
    return write_tiny_bert(folder / "bert.gguf")


@pytest.fixture
def embedder(bert: Path) -> Iterator[LlamaCppEmbedder]:
    embedder = LlamaCppEmbedder(bert, threads=1)
    yield embedder
    embedder.close()


def embed(embedder: Embedder, texts: Sequence[str]) -> Embeddings:
    engine: BatchEngine[TokenizedText, Vector] = BatchEngine(embedder)
    job = embedder.job(texts)
    engine.submit(job)
    while engine.step():
        pass
    return job.result(0)


def by_the_library(path: Path, texts: Sequence[str]) -> np.ndarray:
    """One text after the other."""
    size = 2 * CONTEXT
    model = llama_cpp.Llama(
        str(path), embedding=True, n_ctx=size, n_batch=size, n_ubatch=size, n_threads=1, verbose=False
    )
    vectors = [model.embed(text, normalize=True) for text in texts]
    model.close()
    return np.array(vectors)


def test_the_model_describes_itself(embedder: LlamaCppEmbedder) -> None:
    info = embedder.info
    assert (info.name, info.architecture, info.pooling, info.quantization) == ("tiny", "bert", "mean", "all F32")
    assert (info.dimension, info.context_length) == (WIDTH, CONTEXT)
    assert info.description == "random weights, for tests"
    assert info.size_bytes > 100_000


@pytest.mark.parametrize("pooling", [gguf.PoolingType.MEAN, gguf.PoolingType.CLS, gguf.PoolingType.LAST])
def test_an_encoder_gives_what_the_library_gives(folder: Path, pooling: gguf.PoolingType) -> None:
    path = write_tiny_bert(folder / f"{pooling.name}.gguf", pooling=pooling)
    embedder = LlamaCppEmbedder(path, threads=1)
    together = embed(embedder, TEXTS)
    alone = np.concatenate([embed(embedder, [text]).vectors for text in TEXTS])
    oracle = by_the_library(path, TEXTS)
    assert embedder.info.pooling == pooling.name.lower()
    assert together.vectors.shape == (len(TEXTS), WIDTH)
    assert together.vectors.dtype == np.float32
    assert np.linalg.norm(together.vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert np.diag(alone @ oracle.T).min() > SAME
    assert np.diag(together.vectors @ oracle.T).min() > SAME
    assert np.sort(oracle @ oracle.T, axis=1)[:, -2].max() < SAME, "the texts must differ by more than that"
    embedder.close()


def test_a_decoder_gives_what_the_library_gives(folder: Path) -> None:
    path = write_tiny_decoder(folder / "decoder.gguf")
    embedder = LlamaCppEmbedder(path, threads=1)
    assert embedder.info.pooling == "last"
    oracle = by_the_library(path, TEXTS)
    for _ in range(3):  # nothing stays in memory
        assert np.diag(embed(embedder, TEXTS).vectors @ oracle.T).min() > SAME
    embedder.close()


def test_many_texts_of_many_jobs_keep_their_places(embedder: LlamaCppEmbedder) -> None:
    engine: BatchEngine[TokenizedText, Vector] = BatchEngine(embedder)
    words = [f"{number} {letter * (number % 40 + 1)}" for number, letter in enumerate("abcdefghij" * 30)]
    jobs = [embedder.job(words[start : start + 60]) for start in range(0, 300, 60)]
    engine.start()
    for job in jobs:
        engine.submit(job)
    vectors = np.concatenate([job.result(60).vectors for job in jobs])
    engine.stop()
    assert engine.stats().steps_total >= 300 // module.BATCH_TEXTS
    for place in (0, 59, 60, 171, 299):
        assert vectors[place] @ embed(embedder, [words[place]]).vectors[0] > SAME


def test_batches_respect_tokens_and_texts(embedder: LlamaCppEmbedder) -> None:
    short, long = TokenizedText((CLS, SEP), False), TokenizedText((CLS,) * 200, False)
    assert embedder.fitting([long, long, short, long]) == 3
    assert embedder.fitting([TokenizedText((CLS,) * 600, True), short]) == 1
    assert embedder.most_pieces == module.BATCH_TEXTS


def test_a_text_longer_than_the_context_is_cut_and_says_so(bert: Path, embedder: LlamaCppEmbedder) -> None:
    fitting, long = "x" * (CONTEXT - 2), "x" * (CONTEXT - 2) + "y" * 1000
    result = embed(embedder, [fitting, "a", long])
    assert result.truncated == (False, False, True)
    assert result.tokens == (CONTEXT, 3, CONTEXT)
    assert result.vectors[0] @ result.vectors[2] == pytest.approx(1, abs=1e-3)  # the closing token is kept
    shorter = LlamaCppEmbedder(bert, threads=1, context_length=32)
    assert embed(shorter, [long]).tokens == (32,)
    shorter.close()


def test_the_closing_token_of_a_cut_text_is_the_models_own(folder: Path, embedder: LlamaCppEmbedder) -> None:
    assert embedder.job(["x" * 1000]).todo[0].tokens[-1] == SEP
    decoder = LlamaCppEmbedder(write_tiny_decoder(folder / "closing.gguf"), threads=1)
    assert decoder.job(["x" * 1000]).todo[0].tokens[-2:] == (ord("x"), IM_END)
    decoder.close()


def test_a_text_may_fill_a_batch_longer_than_usual(folder: Path) -> None:
    long = LlamaCppEmbedder(write_tiny_bert(folder / "long.gguf", context=1500), threads=1)
    assert long.info.context_length == module.DEFAULT_CONTEXT
    result = embed(long, ["x" * 2000, "a"])
    assert result.tokens == (module.DEFAULT_CONTEXT, 3)
    long.close()


def test_control_tokens_written_in_a_text_are_text(embedder: LlamaCppEmbedder) -> None:
    tokens = embedder.job(["a [SEP] [PAD]"]).todo[0].tokens
    assert (tokens[0], tokens[-1]) == (CLS, SEP)
    assert not {PAD, UNKNOWN, CLS, SEP} & set(tokens[1:-1])
    assert len(embedder.job(["\ud800"]).todo[0].tokens) == 3  # half a character is a question mark


@pytest.mark.parametrize(
    ("texts", "field"), [([], "input"), (["a"] * 2049, "input"), (["a", ""], r"input\[1\]"), (["\n \t"], r"input\[0\]")]
)
def test_what_cannot_be_embedded_is_refused_by_name(embedder: LlamaCppEmbedder, texts: list[str], field: str) -> None:
    with pytest.raises(InvalidInput, match=f"^{field}: "):
        embedder.job(texts)


def test_models_that_embed_nothing_are_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "text.gguf").write_text("no model")
    with pytest.raises(BackendError, match=r"text\.gguf is not a GGUF file"):
        LlamaCppEmbedder(tmp_path / "text.gguf")
    with pytest.raises(BackendError, match=r"cannot read missing\.gguf"):
        LlamaCppEmbedder(tmp_path / "missing.gguf")
    generating = write_tiny_model(folder / "generating.gguf")
    ranking = write_tiny_decoder(folder / "ranking.gguf", pooling=gguf.PoolingType.RANK)
    whole = write_tiny_decoder(folder / "tokens.gguf", pooling=gguf.PoolingType.NONE)
    for path in (generating, ranking, whole):
        with pytest.raises(BackendError, match=f"{path.name}: no embedding model"):
            LlamaCppEmbedder(path, threads=1)


def test_a_batch_that_the_library_refuses_fails_its_job_only(embedder: LlamaCppEmbedder) -> None:
    engine: BatchEngine[TokenizedText, Vector] = BatchEngine(embedder)
    broken, sound = embedder.job(["a"]), embedder.job(["b"])
    broken.todo[0] = TokenizedText((10**6,), False)  # type: ignore[index]
    engine.submit(broken)
    engine.step()
    engine.submit(sound)
    engine.step()
    with pytest.raises(JobFailed):
        broken.result(0)
    assert sound.result(0).vectors.shape == (1, WIDTH)


def test_an_unloaded_model_says_so_and_closes_twice(bert: Path) -> None:
    embedder = LlamaCppEmbedder(bert, threads=1)
    piece = embedder.job(["a"]).todo
    embedder.close()
    embedder.close()
    with pytest.raises(BackendError, match="unloaded"):
        embedder.job(["a"])
    with pytest.raises(BackendError, match="unloaded"):
        embedder.compute(piece, lambda: True)


def test_unloading_gives_the_memory_back(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "ai_core")  # pytest would keep what llama.cpp says of a hundred layers
    path = write_tiny_bert(folder / "many-layers.gguf", layers=100)
    process = psutil.Process(os.getpid())

    def load_and_unload() -> int:
        embedder = LlamaCppEmbedder(path, threads=1)
        embed(embedder, TEXTS)
        embedder.close()
        return int(process.memory_info().rss)

    before = max(load_and_unload() for _ in range(3))
    after = [load_and_unload() for _ in range(12)][-1]
    assert after - before < path.stat().st_size, "twelve times a model, but less than one stayed"
