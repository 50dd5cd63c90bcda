"""One model as it is declared: what it is called, where its files or servers are, how it is to be loaded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

from ai_core.catalog import model_folder
from ai_core.catalog.errors import InvalidEntry
from ai_core.catalog.formats import Format, detect, formats_in, is_adapter
from ai_core.catalog.gguf_header import SPLIT_NAME

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")  # goes into addresses
NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+")
MOST_CONTEXT = 1_048_576  # tokens
MOST_THREADS = 512
TAKES_ADAPTERS = (Format.GGUF, Format.SAFETENSORS, Format.PYTORCH)


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A declared model. Raises InvalidEntry naming the field, for what is wrong without looking at the disk;
    `check_files` looks there.

    `path` is a GGUF file (of a split one the first), a folder of GGUF quantisations of one model, or the folder of
    another format; a remote model has `urls` instead, servers of the OpenAI API with the path before /chat/completions.
    `adapters` are LoRA adapters by name: GGUF files on GGUF, peft folders elsewhere; the `default_adapter` is part of
    the model, which never answers without it. `context_length` in tokens and `threads`: None leaves them to the
    backend. `remote_model` is the name that the servers know it by.
    """

    id: str
    format: Format
    path: Path | None = None
    adapters: Mapping[str, Path] = field(default_factory=dict)
    default_adapter: str | None = None
    urls: tuple[str, ...] = ()
    remote_model: str | None = None
    remote_key: str | None = field(default=None, repr=False)
    context_length: int | None = None
    threads: int | None = None
    description: str = ""

    def __post_init__(self) -> None:
        _require_name("id", self.id)
        _require_range("context_length", self.context_length, MOST_CONTEXT)
        _require_range("threads", self.threads, MOST_THREADS)
        if self.format is Format.REMOTE:
            self._require_remote()
        else:
            self._require_local()
        for name in self.adapters:
            _require_name("adapters", name)
        if self.default_adapter is not None and self.default_adapter not in self.adapters:
            raise InvalidEntry("default_adapter", f"{self.default_adapter!r} is none of the adapters")
        object.__setattr__(self, "adapters", MappingProxyType(dict(self.adapters)))

    @classmethod
    def from_path(
        cls,
        path: Path,
        *,
        adapters: Mapping[str, Path] | None = None,
        context_length: int | None = None,
        threads: int | None = None,
    ) -> ModelEntry:
        """The model in a file or folder, its format detected and its id taken from its name. Raises CatalogError."""
        format_ = detect(path)
        if format_ is not Format.GGUF and path.is_file():
            path = path.parent  # these formats are folders, whichever of their files was named
        entry = cls(
            id=id_of(path),
            format=format_,
            path=path,
            adapters=adapters or {},
            context_length=context_length,
            threads=threads,
        )
        entry.check_files()
        return entry

    def check_files(self) -> None:
        """Look whether the files are there, whole, and what the entry says. Raises CatalogError."""
        if self.path is None:
            return
        if not self.path.exists():
            raise InvalidEntry("path", f"{self.path} does not exist")
        found = formats_in(self.path) if self.path.is_dir() else [detect(self.path)]
        if self.format not in found:
            raise InvalidEntry("format", f"{self.path} is {found[0].value}, not {self.format.value}")
        if self.format is not Format.GGUF and not self.path.is_dir():
            raise InvalidEntry("path", f"{self.path} is a file; give the folder with {model_folder.CONFIG}")
        for name, adapter in self.adapters.items():
            self._check_adapter(name, adapter)

    def _check_adapter(self, name: str, adapter: Path) -> None:
        if not adapter.exists():
            raise InvalidEntry("adapters", f"{name}: {adapter} does not exist")
        if not is_adapter(adapter):
            raise InvalidEntry("adapters", f"{name}: {adapter} is not a LoRA adapter")
        if adapter.is_dir() is (self.format is Format.GGUF):
            wanted = "a LoRA adapter in GGUF" if self.format is Format.GGUF else "peft's folder of a LoRA adapter"
            raise InvalidEntry("adapters", f"{name}: on a {self.format.value} model give {wanted}, not {adapter}")

    def _require_local(self) -> None:
        if self.path is None:
            raise InvalidEntry("path", f"is needed for a {self.format.value} model")
        for name, value in (("urls", self.urls), ("remote_model", self.remote_model), ("remote_key", self.remote_key)):
            if value:
                raise InvalidEntry(name, "is for remote models only")
        if self.adapters and self.format not in TAKES_ADAPTERS:
            raise InvalidEntry("adapters", f"cannot be used on a {self.format.value} model")

    def _require_remote(self) -> None:
        if self.path is not None:
            raise InvalidEntry("path", "a remote model has urls instead")
        if self.adapters:
            raise InvalidEntry("adapters", "cannot be used on a remote model; name the adapter as remote_model")
        if self.threads is not None:
            raise InvalidEntry("threads", "cannot be set for a remote model")
        if not self.urls:
            raise InvalidEntry("urls", "a remote model needs the address of one server at least")
        for url in self.urls:
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
                raise InvalidEntry("urls", f"{_without_secrets(url)!r} is not an http(s) address without key or query")


def id_of(path: Path) -> str:
    """A model's id from the name of its file or folder."""
    split = SPLIT_NAME.fullmatch(path.name)
    stem = split["stem"] if split else path.resolve().name if path.is_dir() else path.stem
    return NOT_IN_NAMES.sub("-", stem).strip("-._")[:100] or "model"


def _without_secrets(url: str) -> str:
    return url.split("?")[0].rpartition("@")[2]


def _require_name(field_name: str, name: str) -> None:
    if not NAME.fullmatch(name):
        raise InvalidEntry(field_name, f"{name!r} may hold letters, digits, and . _ - after the first, 100 at most")


def _require_range(field_name: str, value: int | None, maximum: int) -> None:
    if value is not None and not 1 <= value <= maximum:
        raise InvalidEntry(field_name, f"{value} is not between 1 and {maximum}")
