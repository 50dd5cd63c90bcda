"""/models, /switch: which model answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from common.ai_client import AiAway, AiRefused
from telegram_service.bot import Visit
from telegram_service.claim import Claim
from telegram_service.telegram_api import Button, Keyboard

DATA = "model"
SHOWN = 20  # models of which there is a button
ID_BYTES = 64 - len(DATA) - 1  # of a button's data


def show(visit: Visit, _: Claim, __: str) -> None:
    """The models that there are."""
    models, chosen = _models(visit), visit.person.preferences.model
    if models is None:
        visit.tell("assistant_away")
        return
    lines = [
        visit.text(
            "model_line",
            model=model["id"],
            marks=(visit.text("model_loaded") if _is_loaded(model) else "")
            + (visit.text("model_chosen") if model["id"] == chosen else ""),
        )
        for model in models
    ]
    visit.tell_text(visit.text("models", models="\n".join(lines)) if lines else visit.text("models_none"))


def switch(visit: Visit, _: Claim, wanted: str) -> None:
    """Choose a model, by name or by button."""
    if wanted:
        visit.tell_text(choose_model(visit, wanted))
    else:
        visit.tell_text(visit.text("switch"), keyboard=model_keyboard(visit))


def model_keyboard(visit: Visit) -> Keyboard:
    """A button for each model, and one for the service's own."""
    models = [model for model in _models(visit) or () if len(str(model["id"]).encode()) <= ID_BYTES]
    rows = [[Button(_label(visit, model), f"{DATA}:{model['id']}")] for model in models[:SHOWN]]
    return [*rows, [Button(visit.text("switch_default"), f"{DATA}:")]]


def choose_model(visit: Visit, wanted: str) -> str:
    """Keep the choice; returns what is said. An administrator's choice is loaded for everybody."""
    models = _models(visit) if wanted else ()
    if models is None:
        return visit.text("assistant_away")
    if wanted and wanted not in {str(model["id"]) for model in models}:
        return visit.text("unknown_model", model=wanted)
    visit.bot.people.choose(visit.incoming.user, replace(visit.person.preferences, model=wanted or None))
    if not wanted:
        return visit.text("switched_default")
    told = visit.text("switched", model=wanted)
    if visit.is_admin:
        try:
            visit.bot.ai.load_model(wanted)
        except (AiAway, AiRefused):
            return f"{told} {visit.text('switch_failed', model=wanted)}"
        return f"{told} {visit.text('switch_loading', model=wanted)}"
    return told


def _models(visit: Visit) -> Sequence[Mapping[str, Any]] | None:
    """None while the AI core does not answer: a list is not worth waiting for."""
    try:
        return visit.bot.ai.models()
    except (AiAway, AiRefused):
        return None


def _is_loaded(model: Mapping[str, Any]) -> bool:
    return model.get("status") == "loaded"


def _label(visit: Visit, model: Mapping[str, Any]) -> str:
    return f"{model['id']}{visit.text('model_loaded') if _is_loaded(model) else ''}"
