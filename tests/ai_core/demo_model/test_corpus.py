"""The training material is what the importer imports: same texts, same titles, nothing repealed. All invented here."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ai_core.demo_model import corpus
from ai_core.knowledge.errors import PackageInvalid
from tests.ai_core.knowledge.small_code import article, code, section, write_json, write_package


def lamps(*articles: dict[str, Any]) -> dict[str, Any]:
    return code(section("Section 2 : Eclairage des postes.", *articles))


def test_reads_a_json_file_and_a_package_alike(tmp_path: Path) -> None:
    tree = lamps(article("L9999-1", "<p>Une lampe éclaire chaque poste de travail.</p>"))
    plain, packed = write_json(tmp_path / "code.json", tree), write_package(tmp_path / "package.tgz", tree)
    assert corpus.read(plain) == corpus.read(packed)
    (read,) = corpus.read(plain)
    assert (read.number, read.title) == ("L9999-1", "Eclairage des postes")
    assert read.units == ("Une lampe éclaire chaque poste de travail.",)


def test_leaves_out_articles_that_are_not_in_force(tmp_path: Path) -> None:
    old = article("L9999-1", "<p>Ancien texte.</p>", end=date(2010, 1, 1))
    path = write_json(tmp_path / "code.json", lamps(old, article("L9999-2", "<p>Texte.</p>")))
    assert [read.number for read in corpus.read(path)] == ["L9999-2"]


def test_refuses_a_file_that_is_not_the_code(tmp_path: Path) -> None:
    path = tmp_path / "code.json"
    path.write_text("{}")
    with pytest.raises(PackageInvalid, match=r"code\.json"):
        corpus.read(path)
