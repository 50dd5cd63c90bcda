"""Reads the little-endian numbers and strings at the start of a model's file, never past its end."""

from __future__ import annotations

import struct
from pathlib import Path
from types import TracebackType

from ai_core.catalog.errors import BrokenModel

LONGEST_STRING = 16 * 1024 * 1024  # bytes; the longest in real headers are chat templates


class HeaderReader:
    """A file whose lengths are not believed: each read is checked against the size of the file. Raises BrokenModel."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.size = path.stat().st_size
            self._file = path.open("rb")
        except OSError as error:
            raise BrokenModel(f"{path}: {error.strerror}") from None

    def __enter__(self) -> HeaderReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    @property
    def position(self) -> int:
        return self._file.tell()

    def bytes(self, count: int) -> bytes:
        data = self._file.read(count) if 0 <= count <= self.size else b""
        if len(data) != count:
            raise BrokenModel(f"{self.path} is cut off or damaged: it has only {self.size} bytes")
        return data

    def number(self, form: str) -> int:
        """A number of the struct module's form, such as I or Q."""
        value: int = struct.unpack("<" + form, self.bytes(struct.calcsize("<" + form)))[0]
        return value

    def text(self) -> str:
        """A string after its 64-bit length."""
        length = self.number("Q")
        if length > LONGEST_STRING:
            raise BrokenModel(f"{self.path} is damaged: a string of {length} bytes in its header")
        try:
            return self.bytes(length).decode("utf-8")
        except UnicodeDecodeError:
            raise BrokenModel(f"{self.path} is damaged: its header holds text that is not UTF-8") from None

    def skip(self, count: int) -> None:
        if not 0 <= count <= self.size - self.position:
            raise BrokenModel(f"{self.path} is cut off or damaged: it has only {self.size} bytes")
        self._file.seek(count, 1)
