"""Header values as text: RFC 2047 words, raw 8-bit bytes, folded lines, whatever else comes. Nothing raises."""

from __future__ import annotations

import re
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message

from common.extraction.charset import decoded

MAX_VALUES = 200  # of one name: more is an attack
MAX_LENGTH = 20_000  # characters of one value
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069]|[\ud800-\udfff]")
_FOLD = re.compile(r"\r?\n(?=[ \t])")


def header_values(message: Message, name: str) -> list[str]:
    """The values of every header `name`, from top to bottom, decoded and unfolded."""
    # raw_items, because reading a header with 8-bit bytes any other way loses them.
    values = [str(value) for header, value in message.raw_items() if header.lower() == name.lower()]
    return [decoded_header(value) for value in values[:MAX_VALUES]]


def header_value(message: Message, name: str) -> str:
    """The first value of `name`, or an empty text."""
    return next(iter(header_values(message, name)), "")


def clean(text: str) -> str:
    """`text` on one line, without control characters or marks that turn the reading direction."""
    return " ".join(_CONTROL.sub(" ", text).split())


def decoded_header(raw: str) -> str:
    """A raw value, bytes above 127 in it being lone surrogates as the parser leaves them, as text."""
    text = _FOLD.sub("", decoded(raw[:MAX_LENGTH].encode("utf-8", "surrogateescape")))
    try:
        return clean("".join(_word(word, charset) for word, charset in decode_header(text)))
    except (HeaderParseError, ValueError):  # binascii.Error is a ValueError
        return clean(text)


def _word(word: str | bytes, charset: str | None) -> str:
    if isinstance(word, str):
        return word
    if charset is None:  # what stands between encoded words, as decode_header hands it over
        return word.decode("raw-unicode-escape", "replace")
    try:
        return word.decode(charset, "replace")
    except (LookupError, ValueError):
        return decoded(word)
