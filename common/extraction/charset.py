"""Text in a charset that nobody named."""

from __future__ import annotations

BYTE_ORDER_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
# What French texts were written in before UTF-8, most usual first: Windows, Unix, Macintosh, DOS.
CHARSETS = ("cp1252", "iso8859_15", "mac_roman", "cp850")
FRENCH = frozenset("àâäæçèéêëîïôœùûüÿÀÂÆÇÈÉÊËÎÏÔŒÙÛÜ«»’‘“”–…€°\u00a0§")
SAMPLE = 100_000  # bytes


def decoded(data: bytes) -> str:
    """The text of `data`. A byte order mark is certain, and so is UTF-8, be it broken in a few places; else the charset
    that gives the most letters and signs of French."""
    for mark, charset in BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return data.decode(charset, "replace")
    text = data.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    if not broken or sum(character > "\x7f" for character in text) > 2 * broken:
        return text
    return data.decode(max(CHARSETS, key=lambda charset: _french(data[:SAMPLE], charset)), "replace")


def _french(data: bytes, charset: str) -> int:
    return sum(character in FRENCH for character in data.decode(charset, "ignore"))
