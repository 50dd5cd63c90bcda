"""What pressed buttons do. Their data is short words between colons: NAME:VALUE..."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from telegram_service.bot import Visit
from telegram_service.commands.models import choose_model, model_keyboard
from telegram_service.commands.personal import erase_everything
from telegram_service.commands.settings import DATA as SETTINGS
from telegram_service.commands.settings import settings_keyboard, settings_text
from telegram_service.conversation import RATE_DATA
from telegram_service.preferences import LANGUAGES, LENGTHS, TEMPERATURES
from telegram_service.updates import STOP_DATA

T = TypeVar("T")


def press(visit: Visit) -> None:
    """Do what the button says. Raises RetryLater and Telegram's errors."""
    name, *values = visit.incoming.data.split(":")
    act = _BUTTONS.get(name)
    if act is None or not act(visit, values):
        visit.answer_query(visit.text("button_gone"))


def _stop(visit: Visit, values: Sequence[str]) -> bool:
    # It took effect where the update came in, on answers to whoever pressed it.
    asked = list(values) == [str(visit.incoming.user)]
    visit.answer_query(visit.text("stopping" if asked or visit.incoming.is_private else "not_yours"))
    return True


def _rate(visit: Visit, values: Sequence[str]) -> bool:
    if len(values) != 2 or values[0] not in ("1", "-1") or not values[1].isdecimal():
        return False
    people = visit.bot.people.hashes_of(visit.incoming.user)
    if not visit.bot.usage.rate(int(values[1]), people, int(values[0])):
        visit.answer_query(visit.text("too_old" if visit.incoming.is_private else "not_yours"))
        return True
    visit.answer_query(visit.text("thanks"))
    if visit.incoming.message_id is not None:
        visit.bot.telegram.set_keyboard(visit.incoming.chat, visit.incoming.message_id, ())
    return True


def _set(visit: Visit, values: Sequence[str]) -> bool:
    """A button of the settings: the next value of one of them."""
    chosen = visit.person.preferences
    match values:
        case ["language"]:
            chosen = replace(chosen, language=_next(LANGUAGES, visit.language))
        case ["length"]:
            chosen = replace(chosen, length=_next(LENGTHS, chosen.length))
        case ["style"]:
            chosen = replace(chosen, temperature=_next((None, *TEMPERATURES), chosen.temperature))
        case ["history"]:
            chosen = replace(chosen, keep_history=not chosen.keep_history)
            if not chosen.keep_history:
                visit.bot.history.begin_anew(visit.incoming.lane)
        case ["model"]:
            visit.answer_query()
            visit.change(visit.text("switch"), keyboard=model_keyboard(visit))
            return True
        case _:
            return False
    visit.bot.people.choose(visit.incoming.user, chosen)
    visit = replace(visit, person=replace(visit.person, preferences=chosen))
    visit.answer_query(visit.text("settings_saved"))
    visit.change(settings_text(visit), keyboard=settings_keyboard(visit))
    return True


def _model(visit: Visit, values: Sequence[str]) -> bool:
    if len(values) != 1:
        return False
    visit.answer_query()
    visit.change(choose_model(visit, values[0]))
    return True


def _delete(visit: Visit, values: Sequence[str]) -> bool:
    if list(values) not in (["yes", str(visit.incoming.user)], ["no", str(visit.incoming.user)]):
        visit.answer_query(visit.text("not_yours"))
        return True
    visit.answer_query()
    if values[0] == "no":
        visit.change(visit.text("delete_kept"))
    else:
        erase_everything(visit)
    return True


def _next(values: Sequence[T], current: T) -> T:
    return values[(values.index(current) + 1) % len(values)] if current in values else values[0]


_BUTTONS: Mapping[str, Callable[[Visit, Sequence[str]], bool]] = {
    STOP_DATA: _stop,
    RATE_DATA: _rate,
    SETTINGS: _set,
    "model": _model,
    "delete": _delete,
}
