"""What goes into the child process (limits) and what comes out of it: a text, or a refusal with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Kind(str, Enum):
    """What a file is, told by its content, whatever its name says."""

    PDF = "pdf"
    DOC = "doc"
    DOCX = "docx"
    ODT = "odt"
    TNEF = "tnef"  # Outlook's winmail.dat: its own text and the texts of what it holds
    IMAGE = "image"
    TEXT = "text"


class Refusal(str, Enum):
    """Why a file gives no text."""

    TOO_LARGE = "too_large"  # more bytes than the limit, packed or unpacked, or more pixels
    UNSUPPORTED = "unsupported"  # none of the kinds above
    ENCRYPTED = "encrypted"  # a password is needed
    UNREADABLE = "unreadable"  # broken
    EMPTY = "empty"  # read, but it holds no text
    TOO_COSTLY = "too_costly"  # time, memory or output ran out before the first page was read
    UNAVAILABLE = "unavailable"  # the program that reads this kind is not installed


class ExtractionRefused(Exception):
    """The file gives no text, for `reason`."""

    def __init__(self, reason: Refusal) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may cost. A text that a limit cuts short is `truncated`, not refused."""

    bytes: int = 10_485_760
    unpacked_bytes: int = 104_857_600  # of all members of a DOCX or ODT
    pixels: int = 80_000_000
    pages: int = 30
    characters: int = 50_000
    memory: int = 1_073_741_824  # bytes of address space, of the child and of each program that it starts
    seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class Extracted:
    """The text of a file: NFC, lines ended by newlines, no control characters. `pages` were read (1 where the kind has
    none); `truncated` says that there is more."""

    text: str
    kind: Kind
    pages: int
    truncated: bool
