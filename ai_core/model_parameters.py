"""Generation parameters of a model, kept in the database with every change.

What a request asks for comes first, then what was set here, then what models.json presets, then the channel's profile.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import peewee

from ai_core.storage import ModelParameters, ModelParametersChange, database_proxy, utc_now
from common.errors import InvalidFields

DEFAULTS: Mapping[str, Any] = {
    "temperature": 1.0,
    "top_k": 50,
    "top_p": 0.9,
    "max_length": 100,
    "repetition_penalty": 1.0,
    "do_sample": True,
    "num_beams": 1,
    "length_penalty": 1.0,
    "early_stopping": False,
    "pad_token_id": None,
    "eos_token_id": None,
}
WITH_BEAMS_ONLY = ("length_penalty", "early_stopping")
FRESH_SECONDS = 5.0
"""Another process may have changed them."""
Preset = Callable[[str], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class StoredParameters:
    """`changed` are those that were set; times are UTC."""

    changed: Mapping[str, Any]
    last_updated: datetime | None


class ParameterStore:
    """`preset` gives what models.json says of a model. Any thread may call; the lock guards what was read."""

    def __init__(self, preset: Preset, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._preset = preset
        self._clock = clock
        self._lock = threading.Lock()
        self._read: dict[str, tuple[float, StoredParameters]] = {}

    def defaults(self, model_id: str) -> dict[str, Any]:
        """Without anything set here."""
        return {**DEFAULTS, **self._preset(model_id)}

    def stored(self, model_id: str) -> StoredParameters:
        """What was set. While the database is away, what was read last."""
        with self._lock:
            at, known = self._read.get(model_id, (float("-inf"), StoredParameters({}, None)))
        if self._clock() - at < FRESH_SECONDS:
            return known
        try:
            row = ModelParameters.get_or_none(ModelParameters.model_id == model_id)
        except (peewee.OperationalError, peewee.InterfaceError):
            return known
        found = StoredParameters({}, None)
        if row is not None:
            found = StoredParameters(json.loads(row.parameters), row.updated_at)
        with self._lock:
            self._read[model_id] = self._clock(), found
        return found

    def for_answers(self, model_id: str) -> dict[str, Any]:
        """What applies to answers of a model beneath what a request asks for."""
        return {**self._preset(model_id), **self.stored(model_id).changed}

    def update(self, model_id: str, changes: Mapping[str, Any], *, actor: str) -> StoredParameters:
        """Set some; the others stay. Raises InvalidFields for what has no effect together."""
        wanted = {**self.stored(model_id).changed, **changes}
        whole = {**self.defaults(model_id), **wanted}
        idle = [name for name in WITH_BEAMS_ONLY if whole[name] != DEFAULTS[name] and whole["num_beams"] == 1]
        if idle:
            raise InvalidFields({name: ["Has an effect with num_beams above 1 only."] for name in idle})
        return self._keep(model_id, wanted, actor)

    def reset(self, model_id: str, *, actor: str) -> StoredParameters:
        """Back to the defaults."""
        return self._keep(model_id, {}, actor)

    def history(self, model_id: str, *, limit: int) -> list[ModelParametersChange]:
        """The newest changes first."""
        changes = ModelParametersChange.select().where(ModelParametersChange.model_id == model_id)
        return list(changes.order_by(ModelParametersChange.id.desc()).limit(limit))

    def _keep(self, model_id: str, parameters: Mapping[str, Any], actor: str) -> StoredParameters:
        now, text = utc_now(), json.dumps(parameters)
        with database_proxy.atomic():
            ModelParameters.insert(model_id=model_id, parameters=text, updated_at=now).on_conflict(
                conflict_target=[ModelParameters.model_id],
                update={ModelParameters.parameters: text, ModelParameters.updated_at: now},
            ).execute()
            ModelParametersChange.create(model_id=model_id, at=now, actor=actor[:120], parameters=text)
        kept = StoredParameters(dict(parameters), now)
        with self._lock:
            self._read[model_id] = self._clock(), kept
        return kept
