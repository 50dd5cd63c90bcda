"""The files of a mail: scanned first, then read in a limited child process; each keeps its outcome and its text."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from common.extraction import ExtractionRefused, Limits, Refusal, extract
from mail_service import texts
from mail_service.parsing import Attachment
from mail_service.scanning import Scanner

MAX_FILES = 10
NOT_SCANNED = "not_scanned"
TOO_LARGE = "too_large"
MAX_SECONDS = 40.0  # for one file


class Infected(Exception):
    """The scanner found something in an attachment."""


@dataclass(frozen=True, slots=True)
class ReadFile:
    """A file that was looked at. `outcome` is the kind that was read, or why none was; `truncated`: there is more."""

    name: str
    size: int
    outcome: str
    text: str = ""
    truncated: bool = False


class AttachmentReader:
    """Reads files up to `max_size` bytes, all those of a mail within `seconds`. Without a scanner none is opened."""

    def __init__(self, scanner: Scanner | None, *, max_size: int, seconds: float) -> None:
        self._scanner = scanner
        self._limits = Limits(bytes=max_size)
        self._seconds = seconds

    def read(self, attachments: Sequence[Attachment]) -> list[ReadFile]:
        """What is in each of the first files. Raises Infected and, where the scanner does not answer, ScannerAway."""
        if self._scanner is not None:
            for attachment in attachments:
                if len(attachment.data) <= self._limits.bytes and self._scanner.finds(attachment.data):
                    raise Infected
        until = time.monotonic() + self._seconds
        return [self._read_one(attachment, until - time.monotonic()) for attachment in attachments[:MAX_FILES]]

    def _read_one(self, attachment: Attachment, seconds: float) -> ReadFile:
        size = len(attachment.data)
        if size > self._limits.bytes:
            return ReadFile(attachment.name, size, TOO_LARGE)
        if self._scanner is None:
            return ReadFile(attachment.name, size, NOT_SCANNED)
        if seconds < 1:
            return ReadFile(attachment.name, size, Refusal.TOO_COSTLY.value)
        try:
            limits = replace(self._limits, seconds=min(seconds, MAX_SECONDS))
            read = extract(attachment.data, attachment.name, limits)
        except ExtractionRefused as refused:
            return ReadFile(attachment.name, size, refused.reason.value)
        return ReadFile(attachment.name, size, read.kind.value, read.text, read.truncated)


def notices_on(files: Sequence[ReadFile], total: int) -> list[str]:
    """What the person should know about their files, of which there were `total`."""
    notices = [texts.NOT_READ[file.outcome].format(name=file.name) for file in files if file.outcome in texts.NOT_READ]
    notices += [texts.ATTACHMENT_SHORTENED.format(name=file.name) for file in files if file.truncated]
    if total > len(files):
        notices.append(texts.TOO_MANY_ATTACHMENTS.format(count=len(files)))
    return notices
