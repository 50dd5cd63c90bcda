"""What a file is, by its content: names and declared types come from the sender and prove nothing."""

from __future__ import annotations

import io
import zipfile

from common.extraction.charset import BYTE_ORDER_MARKS
from common.extraction.outcome import ExtractionRefused, Kind, Limits, Refusal

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
TNEF = b"\x78\x9f\x3e\x22"
IMAGES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\x00", b"MM\x00*", b"GIF87a", b"GIF89a")
OPEN_DOCUMENT = (b"application/vnd.oasis.opendocument.text", b"application/vnd.oasis.opendocument.text-template")
MARKUP = (b"<!doctype html", b"<html", b"<?xml", b"<svg", b"{\\rtf", b"%!ps", b"begin:")
PRINTABLE = 0.95  # least part of a text's first bytes


def kind_of(data: bytes, limits: Limits) -> Kind:
    """The kind of `data`. Raises ExtractionRefused for what is none, or unpacks to more than its limit."""
    head = data[:1024]
    if b"%PDF-" in head:  # ISO 32000-1, annex H: readers accept it anywhere in the first 1024 bytes
        return Kind.PDF
    if data.startswith(b"PK\x03\x04"):
        return _kind_of_package(data, limits)
    if data.startswith(OLE):
        return _kind_of_compound_file(data)
    if data.startswith(TNEF):
        return Kind.TNEF
    if data.startswith(IMAGES) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return Kind.IMAGE
    if _is_text(data):
        return Kind.TEXT
    raise ExtractionRefused(Refusal.UNSUPPORTED)


def _kind_of_package(data: bytes, limits: Limits) -> Kind:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as package:
            members = package.infolist()
            names = {member.filename for member in members}
            # zipfile never reads more of a member than the directory declares, so the declared sum is a bound.
            if sum(member.file_size for member in members) > limits.unpacked_bytes:
                raise ExtractionRefused(Refusal.TOO_LARGE)
            if any(member.flag_bits & 1 for member in members):
                raise ExtractionRefused(Refusal.ENCRYPTED)
            if "word/document.xml" in names:
                return Kind.DOCX
            if "mimetype" in names and package.read("mimetype").strip() in OPEN_DOCUMENT:
                return Kind.ODT
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError):
        raise ExtractionRefused(Refusal.UNREADABLE) from None
    raise ExtractionRefused(Refusal.UNSUPPORTED)


def _kind_of_compound_file(data: bytes) -> Kind:
    names = {name.encode("utf-16-le") for name in ("WordDocument", "EncryptedPackage")}
    found = {name.decode("utf-16-le") for name in names if name in data}
    if "EncryptedPackage" in found:  # a DOCX with a password (MS-OFFCRYPTO, section 2.3.4.4)
        raise ExtractionRefused(Refusal.ENCRYPTED)
    if "WordDocument" in found:
        return Kind.DOC
    raise ExtractionRefused(Refusal.UNSUPPORTED)


def _is_text(data: bytes) -> bool:
    start = data[:8192]
    if start.lstrip().lower().startswith(MARKUP):
        return False
    if start.startswith(tuple(mark for mark, _ in BYTE_ORDER_MARKS)):
        return True
    if not start or b"\x00" in start:
        return False
    printable = sum(byte >= 32 or byte in (9, 10, 12, 13) for byte in start)
    return printable / len(start) >= PRINTABLE
