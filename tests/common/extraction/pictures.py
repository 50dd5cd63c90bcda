"""Letters as pictures: what a telephone or a scanner sends."""

from __future__ import annotations

import io
import random
import textwrap
from pathlib import Path

import matplotlib
from PIL import Image, ImageDraw, ImageFilter, ImageFont

FONT = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSerif.ttf"
ORIENTATION = 0x0112  # of Exif
TURNED_RIGHT = 6  # the camera was turned: rotate by 90 degrees to see it upright


def letter(text: str, *, width: int = 1700, size: int = 34) -> Image.Image:
    """`text` typed on a white sheet."""
    lines = [line for paragraph in text.split("\n") for line in textwrap.wrap(paragraph, 70) or [""]]
    sheet = Image.new("L", (width, 200 + len(lines) * size * 2), 255)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.truetype(str(FONT), size)
    for at, line in enumerate(lines):
        draw.text((120, 100 + at * size * 1.6), line, fill=20, font=font)
    return sheet


def photograph(sheet: Image.Image) -> bytes:
    """A JPEG of `sheet` on a table: a little askew, uneven, not quite sharp, from a camera held sideways."""
    table = Image.new("L", (sheet.width + 200, sheet.height + 200), 150)
    table.paste(sheet, (100, 100))
    photo = table.rotate(1.2, fillcolor=150).filter(ImageFilter.GaussianBlur(0.8))
    chance = random.Random(7)
    noise = Image.frombytes("L", photo.size, chance.randbytes(photo.width * photo.height))
    photo = Image.blend(photo, noise, 0.06).rotate(90, expand=True)
    exif = Image.Exif()
    exif[ORIENTATION] = TURNED_RIGHT
    return encoded(photo, "JPEG", quality=70, exif=exif)


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    """`image` as a file."""
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()
