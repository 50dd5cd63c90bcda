"""Small files that become large, and files that reach for others: each costs one limited child, or nothing."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import struct
import zipfile
import zlib
from pathlib import Path

import pytest
from PIL import Image

from common.extraction import ExtractionRefused, Limits, Refusal, extract
from tests.common.extraction.test_extraction import docx, package, refusal
from tests.security.services import WEBHOOK_SECRET, Service

pytestmark = pytest.mark.skipif(
    not shutil.which("tesseract") and os.environ.get("CI") != "true",
    reason="tesseract-ocr-fra is not installed: tests/system_packages.sh",
)
LIMITS = Limits(seconds=4.0)
SECRET = "ein Geheimnis dieses Rechners"
OPEN_DOCUMENT = b"application/vnd.oasis.opendocument.text"
COSTS = (Refusal.TOO_COSTLY, Refusal.TOO_LARGE, Refusal.UNREADABLE, Refusal.UNSUPPORTED, Refusal.EMPTY)


def odt(body: str, declared: str = "") -> bytes:
    """`declared` is the document type of content.xml."""
    office = "urn:oasis:names:tc:opendocument:xmlns:office:1.0"
    text = "urn:oasis:names:tc:opendocument:xmlns:text:1.0"
    content = (
        f'<?xml version="1.0"?>{declared}<office:document-content xmlns:office="{office}" xmlns:text="{text}">'
        f"<office:body><office:text><text:p>{body}</text:p></office:text></office:body></office:document-content>"
    )
    manifest = (
        '<?xml version="1.0"?><manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">'
        f'<manifest:file-entry manifest:full-path="/" manifest:media-type="{OPEN_DOCUMENT.decode()}"/>'
        '<manifest:file-entry manifest:full-path="content.xml" manifest:media-type="text/xml"/></manifest:manifest>'
    )
    members = {"mimetype": OPEN_DOCUMENT, "content.xml": content.encode(), "META-INF/manifest.xml": manifest.encode()}
    return package(members)


def what_is_said_of(data: bytes) -> str:
    """The text, or the reason why there is none."""
    try:
        return extract(data, None, LIMITS).text
    except ExtractionRefused as refused:
        return refused.reason.value


def test_an_open_document_is_read_or_the_next_tests_show_nothing() -> None:
    assert "Bonjour" in what_is_said_of(odt("Bonjour"))


@pytest.mark.parametrize("make", [odt, None], ids=["odt", "docx"])
def test_a_document_reads_no_other_file(tmp_path: Path, make: object) -> None:
    """XML external entities (CWE-611): files of this machine, and addresses of its networks."""
    (tmp_path / "secret").write_text(SECRET)
    for target in (f"file://{tmp_path}/secret", "http://127.0.0.1:9/", str(tmp_path / "secret")):
        declared = f'<!DOCTYPE x [<!ENTITY e SYSTEM "{target}">]>'
        if make is odt:
            data = odt("Bonjour &e;", declared)
        else:
            namespace = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
            paragraph = "<w:p><w:r><w:t>a &e;</w:t></w:r></w:p>"
            body = f'<w:document xmlns:w="{namespace}"><w:body>{paragraph}</w:body></w:document>'
            data = package({"word/document.xml": f'<?xml version="1.0"?>{declared}{body}'.encode()})
        assert SECRET not in what_is_said_of(data)


def test_entities_within_entities_cost_one_child() -> None:
    entities = "".join(f'<!ENTITY e{at} "{f"&e{at - 1};" * 10}">' for at in range(1, 12))
    bomb = odt("&e11;", f'<!DOCTYPE b [<!ENTITY e0 "aaaaaaaaaa">{entities}]>')
    assert refusal(bomb, LIMITS) in COSTS


def lying_zip() -> bytes:
    """A DOCX whose directory says that its text has ten bytes: it has fifty million."""
    data = bytearray(docx("a" * 50_000_000))
    for mark, place in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        start = data.index(mark)
        data[start + place : start + place + 4] = struct.pack("<I", 10)
    return bytes(data)


def test_a_zip_that_lies_about_its_size_gives_no_more_than_it_said() -> None:
    assert refusal(lying_zip(), LIMITS) in COSTS


def test_a_zip_in_a_zip_in_a_zip_is_not_opened() -> None:
    inner = package({"0": bytes(1_000_000)})
    for _ in range(4):
        inner = package({str(at): inner for at in range(8)})
    assert refusal(inner, LIMITS) is Refusal.UNSUPPORTED
    assert refusal(package({"word/document.xml": inner}), LIMITS) in COSTS


def test_a_zip_of_very_many_members_is_refused() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as zipped:
        for at in range(20_000):
            zipped.writestr(str(at), b"")
    assert refusal(file.getvalue(), LIMITS) in COSTS


@pytest.mark.parametrize("content", ["xl/workbook.xml", "ppt/presentation.xml"])
def test_tables_and_slides_are_not_opened(content: str) -> None:
    assert refusal(package({content: bytes(20_000_000)}), LIMITS) is Refusal.UNSUPPORTED


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress], ids=["gzip", "zlib"])
def test_what_is_only_compressed_is_not_opened(pack: object) -> None:
    assert refusal(pack(bytes(50_000_000)), LIMITS) is Refusal.UNSUPPORTED  # type: ignore[operator]


def pdf(stream: bytes, *, filters: str = "/FlateDecode") -> bytes:
    """One page whose content is `stream`, packed as `filters` say."""
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 4 0 R >>",
        f"<< /Length {len(stream)} /Filter [{filters}] >>\nstream\n".encode() + stream + b"\nendstream",
    ]
    made, places = b"%PDF-1.7\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(made))
        made += b"%d 0 obj\n" % number + content + b"\nendobj\n"
    table = b"xref\n0 5\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % place for place in places)
    return made + table + b"trailer << /Size 5 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % len(made)


def test_a_pdf_stream_that_unpacks_to_half_a_gigabyte_costs_one_child() -> None:
    packed = zlib.compress(bytes(500_000_000), 1)
    for _ in range(2):
        packed = zlib.compress(packed, 9)
    assert len(packed) < 30_000
    assert refusal(pdf(packed, filters="/FlateDecode /FlateDecode /FlateDecode"), LIMITS) in COSTS


def test_a_pdf_page_as_large_as_a_town_is_drawn_small() -> None:
    data = pdf(zlib.compress(b" ")).replace(b"[0 0 600 800]", b"[0 0 9999999 9999999]")
    assert refusal(data, LIMITS) in COSTS


def png_of(width: int, height: int) -> bytes:
    """A header that promises that many pixels, and almost none."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1_000))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data


@pytest.mark.parametrize("size", [(100_000, 100_000), (2**31 - 1, 1), (2**31 - 1, 2**31 - 1)])
def test_a_picture_of_huge_dimensions_is_refused_by_its_header(size: tuple[int, int]) -> None:
    assert refusal(png_of(*size), LIMITS) in (Refusal.TOO_LARGE, Refusal.UNREADABLE)


def test_a_second_page_larger_than_the_first_is_no_way_round() -> None:
    file = io.BytesIO()
    pages = [Image.new("1", (100, 100), 1), Image.new("1", (20_000, 20_000), 1)]
    pages[0].save(file, "TIFF", compression="group4", save_all=True, append_images=pages[1:])
    assert len(file.getvalue()) < 300_000
    assert refusal(file.getvalue(), LIMITS) in COSTS


def test_a_picture_of_endless_frames_ends(tmp_path: Path) -> None:
    file = io.BytesIO()
    frames = [Image.new("P", (16, 16), at % 2) for at in range(400)]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=10)
    assert refusal(file.getvalue(), LIMITS) in COSTS


def test_compressed_requests_are_not_unpacked(service: Service) -> None:
    _, key = service.make_key()
    headers = {"X-API-Key": key, "X-Telegram-Bot-Api-Secret-Token": WEBHOOK_SECRET, "Content-Encoding": "gzip"}
    paths = {"ai_core": "/api/v1/chat", "telegram_service": "/webhook", "mail_service": "/api/v1/people/export"}
    body = gzip.compress(b'{"message": "' + b"a" * 60_000_000 + b'"}')
    assert len(body) < 65_536
    response = service.client().post(paths[service.name], data=body, headers=headers, content_type="application/json")
    assert response.status_code in (400, 415)
