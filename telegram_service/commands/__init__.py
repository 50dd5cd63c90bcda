"""What the bot can be told to do: one file for each group of commands."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from telegram_service.bot import Visit
from telegram_service.claim import Claim
from telegram_service.commands import administration, conversing, greeting, models, personal, settings, status

Command = Callable[[Visit, Claim, str], None]

COMMANDS: Mapping[str, Command] = {
    "start": greeting.start,
    "help": greeting.show_help,
    "aide": greeting.show_help,
    "privacy": greeting.privacy,
    "ask": conversing.ask,
    "reset": conversing.reset,
    "retry": conversing.retry,
    "cancel": conversing.cancel,
    "annuler": conversing.cancel,
    "models": models.show,
    "switch": models.switch,
    "settings": settings.show,
    "status": status.show,
    "export": personal.export,
    "delete": personal.delete,
    "stats": administration.stats,
    "broadcast": administration.broadcast,
    "block": administration.block,
    "unblock": administration.unblock,
}
