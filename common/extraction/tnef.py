"""Outlook's winmail.dat: the message's own text, then the texts of the files inside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from common.extraction.charset import decoded
from common.extraction.outcome import ExtractionRefused, Limits

MEMBERS = 10  # files inside one winmail.dat that are read


def tnef_pages(data: bytes, limits: Limits, *, read: Callable[[bytes, Limits], Iterator[str]]) -> Iterator[str]:
    """The message's text, then what `read` finds in each member; a member that cannot be read is passed over."""
    from tnefparse import TNEF  # type: ignore[import-untyped]

    message = TNEF(data)
    body = message.body
    if body:
        yield decoded(body) if isinstance(body, bytes) else str(body)
    for member in message.attachments[:MEMBERS]:
        try:
            yield from read(member.data, limits)
        except ExtractionRefused:
            continue
