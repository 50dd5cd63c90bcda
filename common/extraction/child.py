"""The process that opens files: `python -m common.extraction.child LIMITS`, the file on stdin, JSON on stdout.

It takes its own limits before it reads a byte, and ends by itself should its parent die first.
"""

from __future__ import annotations

import functools
import json
import os
import re
import resource
import signal
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict

from common.extraction import readers
from common.extraction.kinds import kind_of
from common.extraction.outcome import Extracted, ExtractionRefused, Kind, Limits, Refusal
from common.extraction.tnef import tnef_pages

ENOUGH_TIME = 0.7  # part of the time after which no further page is begun: what is read is better than nothing
OUTPUT_PER_CHARACTER = 12  # bytes: a character outside the BMP as two JSON escapes
NICENESS = 5
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\ufeff\ufffe\uffff]|[\ud800-\udfff]")
_GAPS = re.compile(r"[ \t]+\n")
_BLANK_LINES = re.compile(r"\n{3,}")

Reader = Callable[[bytes, Limits], Iterator[str]]


def main() -> None:
    """Read one file."""
    limits = Limits(**json.loads(sys.argv[1]))
    confine(limits)
    json.dump(answer(sys.stdin.buffer.read(limits.bytes + 1), limits), sys.stdout)


def confine(limits: Limits) -> None:
    """Lower what this process and its children may take, for good."""
    seconds = int(limits.seconds) + 1
    for limit, value in (
        (resource.RLIMIT_AS, limits.memory),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, output_bytes(limits)),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_CORE, 0),
    ):
        _, most = resource.getrlimit(limit)
        value = value if most == resource.RLIM_INFINITY else min(value, most)
        resource.setrlimit(limit, (value, value))
    signal.setitimer(signal.ITIMER_REAL, limits.seconds)  # SIGALRM ends it
    os.nice(NICENESS)


def output_bytes(limits: Limits) -> int:
    """The most that the child can have to say."""
    return limits.characters * OUTPUT_PER_CHARACTER + 1_000


def answer(data: bytes, limits: Limits) -> Mapping[str, object]:
    """What the parent is told: the fields of Extracted, or `refused`."""
    try:
        return asdict(read(data, limits))
    except ExtractionRefused as refused:
        return {"refused": refused.reason}
    except MemoryError:
        return {"refused": Refusal.TOO_COSTLY}
    except Exception:  # noqa: BLE001 - libraries raise anything over a broken file, and this file is all there is here
        return {"refused": Refusal.UNREADABLE}


def read(data: bytes, limits: Limits) -> Extracted:
    """The text of `data` within `limits`. Raises ExtractionRefused."""
    if len(data) > limits.bytes:
        raise ExtractionRefused(Refusal.TOO_LARGE)
    kind = kind_of(data, limits)
    enough = time.monotonic() + limits.seconds * ENOUGH_TIME
    texts: list[str] = []
    length, truncated = 0, False
    for page in _readers()[kind](data, limits):
        if len(texts) == limits.pages:
            truncated = True
            break
        texts.append(_clean(page))
        length += len(texts[-1])
        if length > limits.characters or time.monotonic() > enough:
            truncated = True
            break
    text = "\n\n".join(filter(None, texts))
    if not text:
        raise ExtractionRefused(Refusal.EMPTY)
    return Extracted(text[: limits.characters], kind, len(texts), truncated)


def _readers() -> Mapping[Kind, Reader]:
    return {
        Kind.PDF: readers.pdf_pages,
        Kind.DOC: readers.doc_pages,
        Kind.DOCX: readers.docx_pages,
        Kind.ODT: readers.odt_pages,
        Kind.IMAGE: readers.image_pages,
        Kind.TEXT: readers.text_pages,
        Kind.TNEF: functools.partial(tnef_pages, read=_read_member),
    }


def _read_member(data: bytes, limits: Limits) -> Iterator[str]:
    kind = kind_of(data, limits)
    if kind is not Kind.TNEF:  # one inside the other is nobody's mail
        yield from _readers()[kind](data, limits)


def _clean(text: str) -> str:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x0c", "\n")
    visible = _CONTROL.sub("", unicodedata.normalize("NFC", lines))
    return _BLANK_LINES.sub("\n\n", _GAPS.sub("\n", visible)).strip()


if __name__ == "__main__":
    main()
