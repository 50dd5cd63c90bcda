"""Which models there are: models.json, what settings name, what was fetched. models.json is re-read when it changes."""

from __future__ import annotations

import json
import logging
import os
import shutil
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ai_core.catalog.declaration import Declaration
from ai_core.catalog.entry import ModelEntry
from ai_core.catalog.errors import CatalogError

logger = logging.getLogger(__name__)

FILE_MODE = 0o640


class RegistryError(CatalogError):
    """models.json cannot be read or written."""


@dataclass(frozen=True, slots=True)
class _Content:
    """What models.json said when it was last whole."""

    models: Mapping[str, Any] = field(default_factory=dict)
    default_model: str | None = None


class Registry:
    """For any thread; the lock guards what was read. `models` is the folder of fetched models, `named` what settings
    name, which wins over the file. A file that is missing declares nothing; one that is broken leaves what was there,
    and `problems` says so."""

    def __init__(self, file: Path, models: Path, named: Sequence[Declaration] = ()) -> None:
        self.file = file
        self.models = models
        self._named = tuple(named)
        self._lock = threading.RLock()
        self._seen: tuple[int, int, int] | None = None
        self._content = _Content()
        self._problem: str | None = None

    def all(self) -> dict[str, Declaration]:
        """Every model by id, in the order of models.json, then what lies in the folder, then what settings name."""
        content = self._read()
        declared = {
            model_id: Declaration.read(model_id, fields, base=self.file.parent, models=self.models)
            for model_id, fields in content.models.items()
        }
        paths = [each.entry.path for each in declared.values() if each.entry is not None and each.entry.path]
        known = {place for path in paths for place in (path, *path.parents)}
        for found in self._found():
            if self.models / found.id not in known:
                declared.setdefault(found.id, found)
        return {**declared, **{declaration.id: declaration for declaration in self._named}}

    def get(self, model_id: str) -> Declaration | None:
        return self.all().get(model_id)

    @property
    def default_model(self) -> str | None:
        """The id that models.json names to begin with."""
        return self._read().default_model

    def problems(self) -> dict[str, str]:
        """What is wrong, by the name of the model, or of the file itself."""
        wrong = {found.id: found.problem for found in self.all().values() if found.problem is not None}
        return wrong if self._problem is None else {self.file.name: self._problem, **wrong}

    def add(self, model_id: str, fields: Mapping[str, Any]) -> None:
        """Declare a model, or declare it anew; what else the file holds stays. Raises RegistryError."""

        def change(content: dict[str, Any]) -> None:
            content.setdefault("models", {})[model_id] = dict(fields)

        self._change(change)

    def adopt(self, models: Mapping[str, Mapping[str, Any]], default_model: str | None) -> None:
        """Declare those of `models` that are not declared yet, all at once; `default_model` counts where there is none.
        Raises RegistryError."""

        def change(content: dict[str, Any]) -> None:
            declared = content.setdefault("models", {})
            for model_id, fields in models.items():
                declared.setdefault(model_id, dict(fields))
            if default_model in declared:
                content.setdefault("default_model", default_model)

        self._change(change)

    def remove(self, model_id: str) -> None:
        """Take a model out of the file; its files stay. Raises RegistryError."""

        def change(content: dict[str, Any]) -> None:
            content.get("models", {}).pop(model_id, None)
            if content.get("default_model") == model_id:
                del content["default_model"]

        if model_id in self._read().models:
            self._change(change)

    def owns(self, path: Path) -> bool:
        """Whether `path` lies in our folder of models, so that it may be removed."""
        folder = self.models.resolve()
        return folder in path.resolve().parents

    # -- the file -----------------------------------------------------------------------------------------------------

    def _read(self) -> _Content:
        with self._lock:
            try:
                seen = _state(self.file)
                if seen != self._seen:
                    self._content, self._problem = _parsed(self.file), None
                    self._seen = seen
            except FileNotFoundError:
                self._content, self._problem, self._seen = _Content(), None, None
            except (OSError, ValueError) as error:
                self._complain(str(error))
            return self._content

    def _complain(self, problem: str) -> None:
        if problem != self._problem:
            logger.warning("models.json not read", extra={"reason": problem})
        self._problem = problem

    def _change(self, change: Any) -> None:
        with self._lock:
            try:
                content = json.loads(self.file.read_text(encoding="utf-8")) if self.file.exists() else {}
                if not isinstance(content, dict) or not isinstance(content.get("models", {}), dict):
                    raise RegistryError(f"{self.file.name} is not as it should be; repair it first")
                change(content)
                self._write(content)
            except (OSError, ValueError) as error:
                raise RegistryError(f"{self.file.name}: {error}") from error

    def _write(self, content: Mapping[str, Any]) -> None:
        """All at once, with a copy of what was there."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        if self.file.exists():
            stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S.%f")
            shutil.copy2(self.file, self.file.with_name(f"{self.file.name}.{stamp}.bak"))
        new = self.file.with_name(f".{self.file.name}.new")
        with new.open("w", encoding="utf-8") as file:
            json.dump(content, file, ensure_ascii=False, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        new.chmod(FILE_MODE)
        new.replace(self.file)

    def _found(self) -> list[Declaration]:
        """What lies in the folder of models without being declared."""
        found = []
        for path in sorted(self.models.iterdir()) if self.models.is_dir() else []:
            if not path.name.startswith("."):
                try:
                    found.append(Declaration.of_entry(ModelEntry.from_path(path), "folder"))
                except CatalogError as error:
                    found.append(Declaration(path.name, None, str(error), source="folder"))
        return found


def _state(file: Path) -> tuple[int, int, int]:
    status = file.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino


def _parsed(file: Path) -> _Content:
    """Raises OSError, ValueError."""
    content = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(content, dict) or not isinstance(content.get("models", {}), dict):
        raise ValueError('is not {"models": {...}}')
    default = content.get("default_model")
    return _Content(content.get("models", {}), default if isinstance(default, str) else None)
