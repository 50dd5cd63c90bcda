"""One entry of models.json: what it declares, or why it cannot be used."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ai_core.catalog.entry import NOT_IN_NAMES, ModelEntry, id_of
from ai_core.catalog.errors import CatalogError, InvalidEntry
from ai_core.catalog.formats import Format, detect

RESERVED = frozenset({"download", "downloads", "load", "unload"})  # they are routes
PARAMETERS = {"temperature": "temperature", "top_p": "top_p", "top_k": "top_k", "max_tokens": "max_length"}
"""What a declaration may preset, and its name among the generation parameters."""
FORMATS = {
    "gguf": Format.GGUF,
    "safetensor": Format.SAFETENSORS,
    "safetensors": Format.SAFETENSORS,
    "pytorch": Format.PYTORCH,
    "bin": Format.PYTORCH,
    "pth": Format.PYTORCH,
    "onnx": Format.ONNX,
    "remote": Format.REMOTE,
    "openai": Format.REMOTE,
}
KNOWN = frozenset({
    "type", "path", "format", "adapter", "adapters", "urls", "remote_model", "remote_key_file", "context_length",
    "threads", "description", "requires_token", "source", *PARAMETERS,
})  # fmt: skip
WITHOUT_EFFECT = {
    "device": "the machine's processor computes",
    "quantization": "the file, or what fits in memory, decides",
    "max_memory": "the memory that there is decides",
    "trust_remote_code": "never: models bring data, not code",
    "use_fast_tokenizer": "always",
}
NOT_HERE = " is not here yet: POST /api/v1/models/download"
HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True, slots=True)
class Declaration:
    """A declared model. `entry` is None where it cannot be loaded as it is: `problem` says why. `preset` are generation
    parameters by their API names; `notes` say which fields have no effect."""

    id: str
    entry: ModelEntry | None
    problem: str | None = None
    format: Format | None = None
    source: str = "declared"
    description: str = ""
    requires_token: bool = False
    preset: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def is_to_come(self) -> bool:
        """Whether only its files are missing, which the Hub has."""
        return self.entry is None and (self.problem or "").endswith(NOT_HERE)

    @classmethod
    def of_entry(cls, entry: ModelEntry, source: str) -> Declaration:
        """A model that settings name, or that lies in the folder of models."""
        return cls(entry.id, entry, format=entry.format, source=source, description=entry.description)

    @classmethod
    def read(cls, model_id: str, fields: Any, *, base: Path, models: Path) -> Declaration:
        """An entry of models.json. Paths are relative to `base`; names on the Hub mean what was fetched to `models`."""
        if not isinstance(fields, dict):
            return cls(model_id, None, "is not an object")
        try:
            return cls._read(model_id, fields, base, models)
        except InvalidEntry as error:
            return cls(model_id, None, str(error), _format(fields))
        except CatalogError as error:
            return cls(model_id, None, f"path: {error}", _format(fields))

    @classmethod
    def _read(cls, model_id: str, fields: Mapping[str, Any], base: Path, models: Path) -> Declaration:
        if model_id in RESERVED:
            raise InvalidEntry("id", f"{model_id} is taken by a route")
        preset = {name: _number(fields, key) for key, name in PARAMETERS.items() if key in fields}
        shared: dict[str, Any] = {
            "source": _text(fields, "source") or "declared",
            "description": _text(fields, "description") or "",
            "requires_token": fields.get("requires_token") is True,
            "preset": preset,
            "notes": tuple(_notes(fields)),
        }
        wanted = _format(fields)
        place = _text(fields, "path")
        path = None if place is None else _place(place, base, models)
        if place is not None and path is None:
            problem = place + NOT_HERE
            return cls(model_id, None, problem, wanted, **shared)
        entry = ModelEntry(
            id=model_id,
            format=_checked(wanted, path),
            path=path,
            adapters=_adapters(fields, base, models),
            default_adapter=_default_adapter(fields),
            urls=tuple(_texts(fields, "urls")),
            remote_model=_text(fields, "remote_model"),
            remote_key=_secret(fields, base),
            context_length=_whole(fields, "context_length"),
            threads=_whole(fields, "threads"),
            description=shared["description"],
        )
        entry.check_files()
        return cls(model_id, entry, format=entry.format, **shared)


def hub_folder(name: str, models: Path) -> Path | None:
    """Where a model of the Hub was fetched to, or None."""
    owner, _, model = name.partition("/")
    places = (models / NOT_IN_NAMES.sub("-", part) for part in (model, f"{owner}--{model}"))
    return next((place for place in places if place.exists()), None)


def _place(text: str, base: Path, models: Path) -> Path | None:
    """A file or folder; None for a name on the Hub that is not here."""
    path = (base / Path(text).expanduser()).absolute()
    if path.exists() or not HUB_NAME.fullmatch(text):
        return path
    return hub_folder(text, models)


def _adapters(fields: Mapping[str, Any], base: Path, models: Path) -> dict[str, Path]:
    named = fields.get("adapters") or {}
    if not isinstance(named, dict) or not all(isinstance(value, str) for value in named.values()):
        raise InvalidEntry("adapters", "is not an object of paths by name")
    single = _text(fields, "adapter")
    wanted = {**named, **({_adapter_name(single): single} if single else {})}
    found = {name: _place(text, base, models) for name, text in wanted.items()}
    for name, path in found.items():
        if path is None:
            raise InvalidEntry("adapter", wanted[name] + NOT_HERE)
    return {name: path for name, path in found.items() if path is not None}


def _default_adapter(fields: Mapping[str, Any]) -> str | None:
    single = _text(fields, "adapter")
    return _adapter_name(single) if single else None


def _adapter_name(text: str) -> str:
    return NOT_IN_NAMES.sub("-", id_of(Path(text))).strip("-._") or "adapter"


def _checked(wanted: Format | None, path: Path | None) -> Format:
    if path is None:
        return wanted or Format.REMOTE
    found = detect(path)
    # What the earlier system called transformers says nothing of the files.
    if wanted not in (None, found, Format.SAFETENSORS, Format.PYTORCH):
        raise InvalidEntry("format", f"{path} is {found.value}, not {wanted.value}")
    return found


def _format(fields: Mapping[str, Any]) -> Format | None:
    for name in ("format", "type"):
        word = str(fields.get(name, "")).lower()
        if word in FORMATS:
            return FORMATS[word]
    return None


def _notes(fields: Mapping[str, Any]) -> list[str]:
    silent = [f"{name} has no effect: {WITHOUT_EFFECT[name]}" for name in fields if name in WITHOUT_EFFECT]
    return silent + [f"{name} is unknown" for name in fields if name not in KNOWN and name not in WITHOUT_EFFECT]


def _text(fields: Mapping[str, Any], name: str) -> str | None:
    value = fields.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidEntry(name, "is not a text")
    return value or None


def _texts(fields: Mapping[str, Any], name: str) -> list[str]:
    value = fields.get(name) or []
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise InvalidEntry(name, "is not a list of texts")
    return value


def _whole(fields: Mapping[str, Any], name: str) -> int | None:
    value = fields.get(name)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise InvalidEntry(name, "is not a whole number")
    return value


def _number(fields: Mapping[str, Any], name: str) -> float:
    value = fields.get(name)
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise InvalidEntry(name, "is not a number")
    return value


def _secret(fields: Mapping[str, Any], base: Path) -> str | None:
    """The servers' key, from a file: models.json is read and copied by people."""
    name = _text(fields, "remote_key_file")
    if name is None:
        return None
    try:
        return (base / name).read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidEntry("remote_key_file", f"cannot be read: {type(error).__name__}") from None
