"""Of the sheets of service-public.fr those that name articles of the Code are read, with their text and references."""

from __future__ import annotations

import tarfile
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ai_core.knowledge import sheet_package
from ai_core.knowledge.errors import PackageInvalid
from ai_core.knowledge.sheet import Sheet
from ai_core.knowledge.sheet_package import read_sheets
from tests.ai_core.knowledge.small_code import write_archive, write_json, write_package
from tests.ai_core.knowledge.small_sheets import HOLIDAYS, element, paragraph, sheet, write_sheets

REFERENCE = ("Code du travail : article L9102-2",)


def read_one(tmp_path: Path, content: Any) -> Sheet:
    (found,) = read_sheets(write_sheets(tmp_path / "one.tgz", {"particuliers/F1": content})).sheets
    return found


def test_sheets_of_the_code_are_read_once_each(tmp_path: Path) -> None:
    found = read_sheets(write_sheets(tmp_path / "fiches.tgz"))
    assert [(sheet.number, sheet.audience) for sheet in found.sheets] == [
        ("F2883", "particuliers"),
        ("F2258", "professionnels"),
    ]
    assert found.revision.startswith("1.199.0-")
    assert found.source == "fiches.tgz"


def test_a_sheet_has_its_page_themes_date_and_references(tmp_path: Path) -> None:
    resigning = read_sheets(write_sheets(tmp_path / "fiches.tgz")).sheets[0]
    assert resigning.title == "Quitter son travail"
    assert resigning.url == "https://www.service-public.fr/particuliers/vosdroits/F2883"
    assert resigning.section == ("Travail",)
    assert resigning.updated == date(2020, 8, 21)
    assert resigning.references == ("article L9102-2", "articles L9101-1 à L9101-3", "article L9999-1")


def test_a_chapter_is_a_part_of_plain_lines(tmp_path: Path) -> None:
    parts = read_sheets(write_sheets(tmp_path / "fiches.tgz")).sheets[0].parts
    assert [part.heading for part in parts] == ["", "CDI > Lettre", "CDI > Préavis", "CDD"]
    assert parts[0].text == "Vous voulez démissionner ?"
    assert parts[1].text == "Écrivez une lettre de démission."
    assert parts[2].text.splitlines() == [
        "Le préavis dure neuf jours :",
        "- neuf en été,",
        "- neuf en hiver.",
        "À savoir : le dimanche compte.",
        "Marin :",
        "Port | Jours",
    ]


def test_the_revision_follows_the_content(tmp_path: Path) -> None:
    first = read_sheets(write_sheets(tmp_path / "1.tgz")).revision
    assert read_sheets(write_sheets(tmp_path / "2.tgz")).revision == first
    assert read_sheets(write_sheets(tmp_path / "3.tgz", {"particuliers/F1": HOLIDAYS})).revision != first


@pytest.mark.parametrize(
    "content",
    [
        sheet("Sans texte", references=REFERENCE),
        sheet("Sans numéro", element("Texte", paragraph("Rien.")), references=("Code du travail",)),
        {"children": [element("ServiceComplementaire", "Code du travail")]},
    ],
)
def test_what_is_no_sheet_on_the_code_is_left_out(tmp_path: Path, content: Any) -> None:
    package = write_sheets(tmp_path / "fiches.tgz", {"particuliers/F1": content, "particuliers/F2": HOLIDAYS})
    assert [sheet.number for sheet in read_sheets(package).sheets] == ["F2"]


@pytest.mark.parametrize(
    "content",
    [
        "Code du travail",
        ["Code du travail"],
        {"note": "Code du travail"},
        {"children": ["Code du travail"]},
        sheet("Code du travail", element("Texte", paragraph("x")), references=REFERENCE, date="hier"),
    ],
)
def test_a_sheet_of_another_shape_is_refused_by_its_number(tmp_path: Path, content: Any) -> None:
    with pytest.raises(PackageInvalid, match=r"one\.tgz: sheet F1 has an unexpected shape"):
        read_one(tmp_path, content)


def test_a_sheet_nested_too_deep_is_refused(tmp_path: Path) -> None:
    content = b'["Code du travail", ' + b"[" * 100_000
    deep = write_archive(tmp_path / "deep.tgz", [(tarfile.TarInfo("package/data/particuliers/F1.json"), content)])
    with pytest.raises(PackageInvalid, match="RecursionError"):
        read_sheets(deep)


def test_other_packages_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PackageInvalid, match="0 sheets"):
        read_sheets(write_package(tmp_path / "legi.tgz"))
    with pytest.raises(PackageInvalid, match="not gzipped"):
        read_sheets(write_json(tmp_path / "code.json"))
    with pytest.raises(PackageInvalid, match="no such file"):
        read_sheets(tmp_path / "nowhere.tgz")


def test_a_huge_sheet_and_too_many_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = write_sheets(tmp_path / "fiches.tgz")
    with monkeypatch.context() as patched:
        patched.setattr(sheet_package, "MAX_SHEET_BYTES", 100)
        with pytest.raises(PackageInvalid, match="more than the 100 allowed"):
            read_sheets(package)
    monkeypatch.setattr(sheet_package, "MAX_SHEETS", 1)
    with pytest.raises(PackageInvalid, match="2 sheets"):
        read_sheets(package)


def test_a_link_in_place_of_a_sheet_is_refused(tmp_path: Path) -> None:
    link = tarfile.TarInfo("package/data/particuliers/F1.json")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    with pytest.raises(PackageInvalid, match="not a plain file"):
        read_sheets(write_archive(tmp_path / "link.tgz", [(link, b"")]))
