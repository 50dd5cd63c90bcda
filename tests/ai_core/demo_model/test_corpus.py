"""Reading the law's package, and cutting articles into what an answer may quote. The articles here are invented."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from ai_core.demo_model import corpus


def article(number: str, markup: str, state: str = "VIGUEUR") -> dict[str, Any]:
    return {"type": "article", "data": {"num": number, "texteHtml": markup, "etat": state}}


def code(*children: dict[str, Any]) -> dict[str, Any]:
    section = {"type": "section", "data": {"title": "Section 2 : Eclairage des postes."}, "children": list(children)}
    return {"type": "code", "data": {"title": "Code du travail"}, "children": [section]}


def test_reads_a_json_file_and_a_package_alike(tmp_path: Path) -> None:
    tree = json.dumps(code(article("L9999-1", "<p>Une lampe éclaire chaque poste de travail.</p>"))).encode()
    plain = tmp_path / "code.json"
    plain.write_bytes(tree)
    package = tmp_path / "package.tgz"
    with tarfile.open(package, "w:gz") as made:
        member = tarfile.TarInfo(f"package/data/{corpus.CODE_FILE}")
        member.size = len(tree)
        made.addfile(member, io.BytesIO(tree))
    assert corpus.read(plain) == corpus.read(package)
    assert corpus.read(plain)[0].title == "Eclairage des postes"


def test_leaves_out_articles_that_are_not_in_force(tmp_path: Path) -> None:
    path = tmp_path / "code.json"
    path.write_text(json.dumps(code(article("L9999-1", "<p>Ancien texte.</p>", "ABROGE"))))
    assert corpus.read(path) == []


def test_refuses_a_package_without_the_code(tmp_path: Path) -> None:
    package = tmp_path / "package.tgz"
    tarfile.open(package, "w:gz").close()
    with pytest.raises(ValueError, match=corpus.CODE_FILE):
        corpus.read(package)


def test_markup_becomes_paragraphs() -> None:
    assert corpus.plain_text("<p>Un&nbsp;  <a href='x'>lien</a>.</p><br/><p>Deux</p>") == "Un lien.\nDeux"


def test_generic_section_titles_are_passed_over() -> None:
    assert corpus.meaningful_title(("Code du travail", "Durée de la pause", "Ordre public")) == "Durée de la pause"
