from __future__ import annotations

import os
from pathlib import Path

import pytest

from ai_core.content_filter import ContentFilter, FilterError
from common.errors import InvalidFields
from tests.fakes import build_core


def refused(rules: ContentFilter, text: str) -> bool:
    try:
        rules.check("message", text)
    except InvalidFields:
        return True
    return False


def test_words_phrases_and_expressions_are_found_whatever_their_case_and_accents(tmp_path: Path) -> None:
    file = tmp_path / "filter.txt"
    file.write_text("# ce que nous refusons\nbombe\nfaux  papiers\n/num[eé]ro \\d{4}/\n\n", encoding="utf-8")
    rules = ContentFilter(file)
    assert refused(rules, "Une BOMBÉ ?")
    assert refused(rules, "des faux\npapiers")
    assert refused(rules, "Le numéro 1234")
    assert not refused(rules, "bombes, faux-papiers, numéro 12")


def test_without_a_file_everything_passes() -> None:
    assert not refused(ContentFilter(None), "bombe")


def test_a_changed_file_is_read_again_and_a_broken_one_leaves_the_rules(tmp_path: Path) -> None:
    file = tmp_path / "filter.txt"
    file.write_text("bombe", encoding="utf-8")
    rules = ContentFilter(file)
    file.write_text("lampe", encoding="utf-8")
    os.utime(file, (1, 1))
    assert not refused(rules, "bombe")
    assert refused(rules, "lampe")
    file.write_text("/(/", encoding="utf-8")
    assert refused(rules, "lampe")
    file.unlink()
    assert refused(rules, "lampe")
    with pytest.raises(FileNotFoundError):
        ContentFilter(file)


def test_a_line_that_is_no_expression_is_named_at_the_start(tmp_path: Path) -> None:
    file = tmp_path / "filter.txt"
    file.write_text("bombe\n/(/", encoding="utf-8")
    with pytest.raises(FilterError, match="line 2"):
        ContentFilter(file)


def test_a_refused_question_is_a_422_and_reaches_no_model(tmp_path: Path) -> None:
    file = tmp_path / "filter.txt"
    file.write_text("bombe", encoding="utf-8")
    core = build_core(tmp_path / "data", CONTENT_FILTER_FILE=str(file))
    response = core.app.test_client().post("/api/v1/chat", json={"message": "Une bombe ?"}, headers=core.headers())
    assert response.status_code == 422
    assert response.json is not None
    assert (response.json["code"], list(response.json["errors"])) == ("content_refused", ["message"])
    assert "bombe" not in response.text
    assert core.backend.batches == []
    core.parts.model.stop()
