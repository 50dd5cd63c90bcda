"""What can be wrong with a model's files. Messages are one line for the operator: the file, and what to do."""

from __future__ import annotations

from collections.abc import Sequence


class CatalogError(Exception):
    """Something about a model on the disk; the message says which file and what helps."""


class UnknownFormat(CatalogError):
    """The files are none of the formats that can be loaded."""


class AdapterNotModel(UnknownFormat):
    """A LoRA adapter: it works only on top of its base model."""


class BrokenModel(CatalogError):
    """The format is known, but a file is empty, cut off, damaged or missing."""


class InvalidEntry(CatalogError):
    """A model is declared wrongly. `field` is the name of the field that is wrong."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field


class TargetTaken(CatalogError):
    """The file to write is there already, or another process is writing it."""


class NoSpace(CatalogError):
    """The disk has too little room for what would be written."""


class Cancelled(CatalogError):
    """Somebody asked for the work to stop; it left nothing behind."""


class ChildFailed(CatalogError):
    """A child process ended badly. `code` is its status, below 0 a signal; `lines` are the last that it printed."""

    def __init__(self, what: str, code: int, lines: Sequence[str]) -> None:
        ending = f"was ended by signal {-code}" if code < 0 else f"failed (status {code})"
        super().__init__(f"{what} {ending}: {lines[-1].strip() if lines else 'it printed nothing'}")
        self.code = code
        self.lines = tuple(lines)
