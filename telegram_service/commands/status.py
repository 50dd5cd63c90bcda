"""/status: whether the service works."""

from __future__ import annotations

from common.ai_client import AiAway, AiRefused
from telegram_service.bot import Visit
from telegram_service.claim import Claim


def show(visit: Visit, _: Claim, __: str) -> None:
    """The AI core, the model that serves, the queue."""
    away = visit.bot.ai.health()
    visit.tell(
        "status",
        ai=visit.text("status_away" if away else "status_ok"),
        model=_model(visit),
        waiting=visit.bot.mailbox.lengths()["waiting"],
    )


def _model(visit: Visit) -> str:
    try:
        loaded = [str(model["id"]) for model in visit.bot.ai.models() if model.get("status") == "loaded"]
    except (AiAway, AiRefused):
        loaded = []
    return ", ".join(f"`{model}`" for model in loaded) or "–"
