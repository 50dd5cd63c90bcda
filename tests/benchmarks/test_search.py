"""The retrieval bench counts as it says, and says what it needs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.ai_core.knowledge.small_code import write_package
from tests.benchmarks.search import first_rank, main, read_questions


def test_the_table_and_the_json_have_both_searches(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    questions = tmp_path / "questions.json"
    questions.write_text(json.dumps([{"query": "préavis de démission", "gold": ["L9102-2"]}]))
    report = tmp_path / "report.json"
    package = write_package(tmp_path / "legi.tgz")
    assert main(["--questions", str(questions), "--source", str(package), "--json", str(report)]) == 0
    assert "plain BM25" in capsys.readouterr().out
    plain, ours, *_ = json.loads(report.read_text())["figures"]
    assert (plain["name"], ours["name"]) == ("plain BM25", "ours")
    assert ours["hit_1"] == ours["mrr_10"] == 1.0


def test_missing_questions_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--questions", str(tmp_path / "none.json")]) == 2
    assert "none.json" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["", "[]", "{}", '[{"query": "x"}]', "[3]"])
def test_questions_of_another_shape_are_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "questions.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"questions\.json"):
        read_questions(path)


def test_the_rank_is_that_of_the_first_gold_article() -> None:
    assert first_rank(["a", "b", "c"], frozenset("cb")) == 2
    assert first_rank(["a"], frozenset("z")) == 0
