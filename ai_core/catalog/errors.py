"""What can be wrong with a model's files. Messages are one line for the operator: the file, and what to do."""

from __future__ import annotations


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
