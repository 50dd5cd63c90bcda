"""One reader for each kind of file: bytes in, the text of one page after another out, as far as somebody asks."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from typing import Any

from common.extraction import programs
from common.extraction.charset import decoded
from common.extraction.outcome import ExtractionRefused, Limits, Refusal

SCANNED_BELOW = 16  # characters: a page with fewer is looked at as a picture
SCAN_DOTS_PER_INCH = 220
OCR_SIDE = 3500  # pixels: more brings tesseract nothing
OCR_SMALL_SIDE = 1000  # pixels: letters of less are too small for it


def pdf_pages(data: bytes, limits: Limits) -> Iterator[str]:
    """The text of each page; a page without any, such as a scan, is read as a picture."""
    import pypdfium2  # type: ignore[import-untyped]

    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        reason = Refusal.ENCRYPTED if "password" in str(error).lower() else Refusal.UNREADABLE
        raise ExtractionRefused(reason) from error
    for page in document:
        text = page.get_textpage().get_text_bounded()
        yield text if len(text.strip()) >= SCANNED_BELOW else _scanned_page(page, limits)


def _scanned_page(page: Any, limits: Limits) -> str:
    width, height = page.get_size()
    wanted = SCAN_DOTS_PER_INCH / 72
    if width * height <= 0:
        return ""
    scale = min(wanted, OCR_SIDE / max(width, height), (limits.pixels / (width * height)) ** 0.5)
    return programs.ocr(page.render(scale=scale, grayscale=True).to_pil())


def doc_pages(data: bytes, limits: Limits) -> Iterator[str]:  # noqa: ARG001 - all readers have one signature
    """The text of a Word 97 document."""
    yield programs.word_text(data)


def docx_pages(data: bytes, limits: Limits) -> Iterator[str]:  # noqa: ARG001
    """The text of a Word document."""
    import docx2txt  # type: ignore[import-untyped]

    yield docx2txt.process(io.BytesIO(data))


def odt_pages(data: bytes, limits: Limits) -> Iterator[str]:  # noqa: ARG001
    """The text of an OpenDocument text."""
    import odfdo

    yield odfdo.Document(io.BytesIO(data)).get_formatted_text()


def image_pages(data: bytes, limits: Limits) -> Iterator[str]:
    """The text that tesseract sees on each frame, the picture turned as its camera said."""
    from PIL import Image, ImageOps, ImageSequence

    warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit follows
    try:
        image = Image.open(io.BytesIO(data))
    except (OSError, Image.DecompressionBombError) as error:
        raise ExtractionRefused(Refusal.UNREADABLE) from error
    if image.width * image.height > limits.pixels:
        raise ExtractionRefused(Refusal.TOO_LARGE)
    for frame in ImageSequence.Iterator(image):
        upright = ImageOps.exif_transpose(frame).convert("L")
        largest = max(upright.size)
        if largest > OCR_SIDE:
            upright.thumbnail((OCR_SIDE, OCR_SIDE))
        elif largest < OCR_SMALL_SIDE:
            upright = upright.resize((upright.width * 2, upright.height * 2))
        yield programs.ocr(upright)


def text_pages(data: bytes, limits: Limits) -> Iterator[str]:  # noqa: ARG001
    """A plain text in whatever charset it is."""
    yield decoded(data)
