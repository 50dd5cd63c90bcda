"""/export, /delete: what is kept of a person is theirs."""

from __future__ import annotations

import json
from contextlib import suppress

from common.ai_client import AiAway, AiRefused
from telegram_service.bot import Visit
from telegram_service.claim import Claim, RetryLater
from telegram_service.telegram_api import Button
from telegram_service.telegram_errors import MessageGone

FILE_NAME = "code-du-travail-neo.json"
AGAIN = 10.0  # seconds until the AI core is asked again to erase


def export(visit: Visit, _: Claim, __: str) -> None:
    """Send everything as a file, to the person alone."""
    told = visit.bot.personal_data.export(visit.incoming.user)
    content = json.dumps(told, ensure_ascii=False, indent=2).encode()
    if visit.bot.replies.once(visit.incoming.update_id, visit.person.hash, "export"):
        caption = visit.text("export_caption" if told["ai_core"] is not None else "export_failed")
        visit.bot.telegram.send_document(visit.private_address, FILE_NAME, content, caption)


def delete(visit: Visit, _: Claim, __: str) -> None:
    """Ask whether that is really wanted."""
    user = visit.incoming.user
    buttons = [Button(visit.text(f"delete_{choice}"), f"delete:{choice}:{user}") for choice in ("yes", "no")]
    visit.tell_text(visit.text("delete_ask"), keyboard=[buttons])


def erase_everything(visit: Visit) -> None:
    """Erase, then say so, without keeping that it was said. Raises RetryLater while the AI core is away."""
    try:
        erased = visit.bot.personal_data.erase(visit.incoming.user, but=visit.incoming.update_id)
    except (AiAway, AiRefused) as error:
        with suppress(MessageGone):
            visit.change(visit.text("deleted_partly"))
        wait = error.retry_after if isinstance(error, AiAway) else None
        raise RetryLater(wait or AGAIN, "not erased at the AI core") from None
    with suppress(MessageGone):
        visit.change(visit.text("deleted" if erased.everywhere else "deleted_here", count=erased.items))
