"""/start, /help, /privacy: who the bot is."""

from __future__ import annotations

from telegram_service.bot import Visit
from telegram_service.claim import Claim


def start(visit: Visit, _: Claim, __: str) -> None:
    """Welcome, that this is an AI, what is kept."""
    notice = visit.text("notice", days=visit.bot.manners.retention_days)
    visit.tell_text(f"{visit.text('welcome')}\n\n{notice}")


def show_help(visit: Visit, _: Claim, __: str) -> None:
    """What the bot can do."""
    visit.tell("help")


def privacy(visit: Visit, _: Claim, __: str) -> None:
    """What is kept, for how long."""
    visit.tell("privacy", days=visit.bot.manners.retention_days)
