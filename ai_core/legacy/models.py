"""The earlier models.json: its entries join ours; an entry of ours with the same id stays as it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ai_core.catalog.declaration import Declaration
from ai_core.catalog.errors import CatalogError
from ai_core.catalog.registry import Registry
from common.legacy.report import ImportReport
from common.legacy.texts import decoded

KIND = "models"


@dataclass(slots=True)
class OldModels:
    """The entries to declare, the default, and a line on each for the operator."""

    models: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    default_model: str | None = None
    told: list[str] = field(default_factory=list)


def read_models(path: Path, registry: Registry, report: ImportReport) -> OldModels:
    """What of `path` our models.json does not have. Raises OSError, CatalogError when it is no models.json."""
    try:
        content = json.loads(decoded(path.read_bytes()))
        entries, default = content["models"], content.get("default_model")
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        raise CatalogError(f"{path.name} has no object `models`") from None
    if not isinstance(entries, dict):
        raise CatalogError(f"{path.name}: `models` is not an object")
    found, ours = OldModels(), registry.all()
    for number, (model_id, fields) in enumerate(entries.items(), 1):
        if model_id in ours:
            report.count(KIND, "here already")
            found.told.append(f"{model_id}: is declared here already and stays as it is")
            continue
        declaration = Declaration.read(model_id, fields, base=registry.file.parent, models=registry.models)
        if declaration.entry is None and not declaration.is_to_come:
            report.reject(KIND, path.name, number, declaration.problem or "", {"id": model_id})
            found.told.append(f"{model_id}: rejected: {declaration.problem}")
            continue
        report.count(KIND, "taken")
        found.models[model_id] = fields
        found.told += [f"{model_id}: {line}" for line in (declaration.problem or "ready to load", *declaration.notes)]
    if isinstance(default, str) and (default in found.models or default in ours) and registry.default_model is None:
        found.default_model = default
        found.told.append(f"default_model: {default}")
    return found
