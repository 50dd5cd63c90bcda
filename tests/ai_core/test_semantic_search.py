"""Search with a real embedding model (random weights): vectors come in the background, questions never wait long."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ai_core.checks import check_knowledge
from ai_core.knowledge import current
from ai_core.knowledge.article_vectors import rows_done
from ai_core.knowledge.base import KnowledgeBase
from ai_core.knowledge.places import vectors_directory
from ai_core.semantic_search import SemanticSearch
from ai_core.settings import Settings
from common.env import SettingError
from tests.ai_core.engine.tiny_embedding_model import CONTEXT, write_tiny_bert
from tests.fakes import Core, build_core
from tests.waiting import until

TEXTS = {
    "L1-1": "La lampe est jaune.",
    "L1-2": "Le fil est noir." + " long" * CONTEXT,
    "L1-3": "Une lampe et son fil.",
}


@pytest.fixture
def core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Core]:
    monkeypatch.setattr(current, "LOOK_EVERY", 0.0)
    write_tiny_bert(tmp_path / "tiny.gguf")
    core = build_core(
        tmp_path / "data", started=False, EMBEDDING_MODEL_FILE=str(tmp_path / "tiny.gguf"), EMBEDDING_SEARCH="true"
    )
    core.install_code(TEXTS)
    yield core
    assert core.parts.embeddings is not None
    core.parts.embeddings.memory.stop()


def base_of(core: Core) -> KnowledgeBase:
    base = core.parts.knowledge.get()
    assert base is not None
    return base


def test_articles_get_their_vectors_and_searches_use_them(core: Core) -> None:
    before = base_of(core)
    assert before.nearest is None
    core.parts.knowledge.compute_vectors(lambda: True)
    base = base_of(core)
    assert base.nearest is not None
    positions = base.nearest(f"Lampes\n{TEXTS['L1-3']}", 3)
    assert [base.articles[at].number for at in positions[:1]] == ["L1-3"]
    assert base.search("lampe")


def test_a_new_revision_gets_vectors_of_its_own(core: Core) -> None:
    core.parts.knowledge.compute_vectors(lambda: True)
    core.install_code({**TEXTS, "L1-4": "Un interrupteur."})
    assert base_of(core).nearest is None  # searched by words meanwhile
    core.parts.knowledge.compute_vectors(lambda: True)
    assert base_of(core).nearest is not None


def test_a_build_that_is_not_wanted_stops(core: Core) -> None:
    core.parts.knowledge.compute_vectors(lambda: False)
    assert base_of(core).nearest is None


def test_readiness_says_how_far_the_vectors_are(core: Core) -> None:
    assert check_knowledge(core.parts.knowledge).detail.endswith("; vectors of 0 articles.")
    core.parts.knowledge.compute_vectors(lambda: True)
    assert check_knowledge(core.parts.knowledge).detail.endswith("; vectors of 3 articles.")


def test_a_question_does_not_wait_for_the_model_to_load(core: Core) -> None:
    assert core.parts.embeddings is not None
    semantic = SemanticSearch(core.parts.embeddings)
    assert semantic.query("lampe") is None
    until(lambda: core.parts.embeddings is not None and core.parts.embeddings.memory.is_loaded)
    assert semantic.query("lampe") is not None
    assert semantic.query("") is None  # no text, no direction
    core.parts.embeddings.memory.stop()
    assert semantic.query("lampe") is None


def test_the_prefixes_stand_before_the_texts(core: Core) -> None:
    assert core.parts.embeddings is not None
    plain = SemanticSearch(core.parts.embeddings)
    prefixed = SemanticSearch(core.parts.embeddings, query_prefix="query:", passage_prefix="passage:")
    assert (prefixed.passages(["lampe"]) == plain.passages(["passage: lampe"])).all()
    assert (prefixed.query("lampe") == plain.query("query: lampe")).all()  # type: ignore[union-attr] # it is loaded
    assert prefixed.key != plain.key


def test_another_model_makes_other_vectors(core: Core, tmp_path: Path) -> None:
    core.parts.knowledge.compute_vectors(lambda: True)
    base = base_of(core)
    (made,) = vectors_directory(core.settings.data_dir, base.revision).glob("*.f32")
    assert rows_done(made) == len(TEXTS)
    write_tiny_bert(tmp_path / "tiny.gguf", layers=1)
    assert core.parts.embeddings is not None
    assert SemanticSearch(core.parts.embeddings).key != made.stem


def test_without_the_setting_the_model_takes_no_part(tmp_path: Path) -> None:
    write_tiny_bert(tmp_path / "tiny.gguf")
    core = build_core(tmp_path / "data", started=False, EMBEDDING_MODEL_FILE=str(tmp_path / "tiny.gguf"))
    core.install_code(TEXTS)
    core.parts.knowledge.compute_vectors(lambda: True)
    assert base_of(core).nearest is None


def test_the_setting_without_a_model_is_refused() -> None:
    with pytest.raises(SettingError, match="EMBEDDING_MODEL_FILE"):
        Settings.from_environment({"EMBEDDING_SEARCH": "true"})
