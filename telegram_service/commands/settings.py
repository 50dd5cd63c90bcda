"""/settings: what a person can choose, shown with buttons that step through the values."""

from __future__ import annotations

from telegram_service.bot import Visit
from telegram_service.claim import Claim
from telegram_service.telegram_api import Button, Keyboard

DATA = "set"


def show(visit: Visit, _: Claim, __: str) -> None:
    """The settings with their buttons."""
    visit.tell_text(settings_text(visit), keyboard=settings_keyboard(visit))


def settings_text(visit: Visit) -> str:
    """What is chosen."""
    chosen = visit.person.preferences
    return visit.text(
        "settings",
        language=visit.text("language_name"),
        length=visit.text(f"length_{chosen.length}"),
        style=_style(visit),
        model=f"`{chosen.model}`" if chosen.model else visit.text("model_default"),
        history=_history(visit),
    )


def settings_keyboard(visit: Visit) -> Keyboard:
    """A button for each setting."""
    length = visit.text(f"length_{visit.person.preferences.length}")
    return [
        [
            Button(visit.text("settings_language", language=visit.text("language_name")), f"{DATA}:language"),
            Button(visit.text("settings_length", length=length), f"{DATA}:length"),
        ],
        [
            Button(visit.text("settings_style", style=_style(visit)), f"{DATA}:style"),
            Button(visit.text("settings_history", history=_history(visit)), f"{DATA}:history"),
        ],
        [Button(visit.text("settings_model"), f"{DATA}:model")],
    ]


def _style(visit: Visit) -> str:
    temperature = visit.person.preferences.temperature
    return visit.text("style_default" if temperature is None else f"style_{temperature:.1f}")


def _history(visit: Visit) -> str:
    return visit.text("history_on" if visit.person.preferences.keep_history else "history_off")
