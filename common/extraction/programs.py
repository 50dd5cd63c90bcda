"""The programs that the child starts: tesseract for pictures, antiword for Word 97. They inherit its limits."""

from __future__ import annotations

import io
import subprocess
from typing import TYPE_CHECKING

from common.extraction.outcome import ExtractionRefused, Refusal

if TYPE_CHECKING:
    from PIL import Image

LANGUAGE = "fra"
TESSERACT = ("tesseract", "stdin", "stdout", "-l", LANGUAGE, "--dpi", "300")
ANTIWORD = ("antiword", "-m", "UTF-8.txt", "-w", "0", "-")


def ocr(image: Image.Image) -> str:
    """The French text on `image`."""
    picture = io.BytesIO()
    image.save(picture, "PNG", compress_level=1)
    return _run(TESSERACT, picture.getvalue())


def word_text(data: bytes) -> str:
    """The text of a Word 97 document."""
    return _run(ANTIWORD, data)


def _run(command: tuple[str, ...], data: bytes) -> str:
    try:
        done = subprocess.run(command, input=data, capture_output=True, check=False)  # noqa: S603 - our own command
    except FileNotFoundError:
        raise ExtractionRefused(Refusal.UNAVAILABLE) from None
    if done.returncode:
        encrypted = b"encrypted" in done.stdout + done.stderr
        raise ExtractionRefused(Refusal.ENCRYPTED if encrypted else Refusal.UNREADABLE)
    return done.stdout.decode("utf-8", "replace")
