"""Files that people attach give their text; files that would hurt cost one child process."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from common.extraction import Extracted, ExtractionRefused, Kind, Limits, Refusal, extract
from tests.common.extraction.pictures import encoded, letter, photograph

FILES = Path(__file__).parent / "files"
QUESTION = "Mon employeur peut-il renouveler la période d’essai sans mon accord écrit ?"

pytestmark = pytest.mark.skipif(
    not (shutil.which("tesseract") and shutil.which("antiword")) and os.environ.get("CI") != "true",
    reason="tesseract-ocr-fra or antiword is not installed: tests/system_packages.sh",
)


def refusal(data: bytes, limits: Limits | None = None) -> Refusal:
    with pytest.raises(ExtractionRefused) as refused:
        extract(data, "piece.bin", limits)
    return refused.value.reason


def package(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in members.items():
            zipped.writestr(name, content)
    return file.getvalue()


def docx(*paragraphs: str) -> bytes:
    namespace = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    body = "".join(f"<w:p><w:r><w:t>{paragraph}</w:t></w:r></w:p>" for paragraph in paragraphs)
    document = f'<?xml version="1.0"?><w:document xmlns:w="{namespace}"><w:body>{body}</w:body></w:document>'
    return package({"word/document.xml": document.encode()})


@pytest.mark.parametrize("kind", [Kind.DOC, Kind.DOCX, Kind.ODT, Kind.PDF])
def test_a_letter_is_read_whatever_wrote_it(kind: Kind) -> None:
    read = extract((FILES / f"letter.{kind.value}").read_bytes(), f"letter.{kind.value}")
    assert (read.kind, read.pages, read.truncated) == (kind, 1, False)
    together = " ".join(read.text.split())
    assert "Mon contrat à durée indéterminée prévoit une période d’essai de quatre mois." in together
    assert "2 150 €" in together


@pytest.mark.parametrize(
    "charset", ["utf-8", "utf-8-sig", "cp1252", "iso8859-15", "mac_roman", "cp850", "utf-16", "utf-16-be"]
)
def test_a_plain_text_is_read_in_any_charset(charset: str) -> None:
    text = "Objet : congés payés\n\nÀ l'été, mon employeur a refusé mes congés : où est-ce réglé ? Voilà ma question."
    data = ("\ufeff" if charset == "utf-16-be" else "").encode(charset) + text.encode(charset)
    assert extract(data, "lettre.txt") == Extracted(text, Kind.TEXT, 1, False)


def test_a_photographed_letter_is_read() -> None:
    read = extract(photograph(letter(f"Madame, Monsieur,\n\n{QUESTION}\n\nCordialement")), "IMG_0001.JPG")
    assert read.kind is Kind.IMAGE
    assert "renouveler la période d" in " ".join(read.text.split())


def test_a_scanned_pdf_is_read_as_a_picture() -> None:
    read = extract(encoded(letter(QUESTION), "PDF", resolution=200), "scan.pdf")
    assert read.kind is Kind.PDF
    assert "sans mon accord écrit" in " ".join(read.text.split())


def test_each_page_of_a_fax_is_read() -> None:
    pages = [letter(f"Page {number} : la période d'essai") for number in ("une", "deux")]
    read = extract(encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:]), "fax.tif")
    assert read.pages == 2
    assert "une" in read.text
    assert "deux" in read.text


def test_the_content_tells_the_kind_whatever_the_name_says() -> None:
    assert extract((FILES / "letter.pdf").read_bytes(), "photo.jpg").kind is Kind.PDF
    assert refusal(b"MZ\x90\x00\x03" + bytes(100)) is Refusal.UNSUPPORTED
    assert refusal(package({"letter.txt": b"Bonjour"})) is Refusal.UNSUPPORTED
    assert refusal(b"<!DOCTYPE html><p>Bonjour") is Refusal.UNSUPPORTED
    assert refusal(b"") is Refusal.UNSUPPORTED


def test_control_characters_do_not_come_through() -> None:
    assert extract(b"Bonjour, Madame.\x1b[2J \r\n\r\n\r\n\r\nfin\t.", "a.txt").text == "Bonjour, Madame.[2J\n\nfin\t."


def test_what_is_broken_or_empty_is_refused_by_name() -> None:
    assert refusal(b"%PDF-1.7\nrien") is Refusal.UNREADABLE
    assert refusal(b"\xff\xd8\xff\xe0 no picture") is Refusal.UNREADABLE
    assert refusal((FILES / "letter.docx").read_bytes()[:2000]) is Refusal.UNREADABLE
    assert refusal(docx()) is Refusal.EMPTY
    assert refusal(encoded(Image.new("L", (600, 400), 255), "PNG")) is Refusal.EMPTY


def test_limits_of_size() -> None:
    assert refusal(b"a" * 11, Limits(bytes=10)) is Refusal.TOO_LARGE
    assert refusal(package({"word/document.xml": bytes(2_000_000)}), Limits(unpacked_bytes=1_000_000)) is (
        Refusal.TOO_LARGE
    )
    assert refusal(encoded(Image.new("1", (2_000, 2_000)), "PNG"), Limits(pixels=1_000_000)) is Refusal.TOO_LARGE


def test_a_long_text_is_cut_and_says_so() -> None:
    read = extract(("Congés payés. " * 1_000).encode(), "long.txt", Limits(characters=100))
    assert (len(read.text), read.truncated) == (100, True)
    pages = [letter(f"Page {at}") for at in range(3)]
    read = extract(encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:]), "fax.tif", Limits(pages=2))
    assert (read.pages, read.truncated) == (2, True)


def test_a_bomb_of_entities_costs_one_child() -> None:
    entities = "".join(f'<!ENTITY e{at} "{f"&e{at - 1};" * 10}">' for at in range(1, 12))
    bomb = f'<?xml version="1.0"?><!DOCTYPE b [<!ENTITY e0 "aaaaaaaaaa">{entities}]><b>&e11;</b>'
    assert refusal(package({"word/document.xml": bomb.encode()})) in (Refusal.UNREADABLE, Refusal.TOO_COSTLY)


def test_memory_is_limited() -> None:
    wide = docx("a" * 60_000_000)
    assert refusal(wide, Limits(memory=200_000_000)) in (Refusal.TOO_COSTLY, Refusal.UNREADABLE)


def test_a_reader_that_hangs_is_killed_with_what_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # tesseract replaced by one that never ends: the child waits for it until its own alarm.
    slow = tmp_path / "tesseract"
    slow.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 600\n")
    slow.chmod(0o755)
    monkeypatch.setitem(extractor_environment(), "PATH", f"{tmp_path}:/usr/bin:/bin")
    assert refusal(encoded(letter("Bonjour"), "PNG"), Limits(seconds=2.0)) is Refusal.TOO_COSTLY
    pid = int((tmp_path / "pid").read_text())
    until = time.monotonic() + 10
    while is_running(pid):
        assert time.monotonic() < until


def test_without_its_program_a_kind_is_refused_clearly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(extractor_environment(), "PATH", str(tmp_path))
    assert refusal((FILES / "letter.doc").read_bytes()) is Refusal.UNAVAILABLE


def test_the_child_ends_by_itself_when_nobody_waits_for_it(tmp_path: Path) -> None:
    program = (
        "from common.extraction import outcome, child, readers\n"
        "import time\n"
        "child.confine(outcome.Limits(seconds=1.0))\n"
        "time.sleep(600)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=60, check=False).returncode < 0


def extractor_environment() -> dict[str, str]:
    from common.extraction import extractor

    return extractor.ENVIRONMENT


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
