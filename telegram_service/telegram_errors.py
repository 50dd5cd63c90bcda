"""How the Bot API says no, as words. None of them quotes what was sent or where to."""

from __future__ import annotations


class TelegramError(Exception):
    """Telegram did not do what it was asked."""


class TelegramAway(TelegramError):
    """No answer. `uncertain`: it may have done it all the same; asking again can do it twice."""

    def __init__(self, reason: str, *, uncertain: bool, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.uncertain = uncertain
        self.retry_after = retry_after


class Flooded(TelegramError):
    """Too much at once, for Telegram or already for us: nothing was done; `retry_after` seconds from now it may be."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"{retry_after:.0f} s")
        self.retry_after = retry_after


class Blocked(TelegramError):
    """Nothing reaches this chat any more: the person blocked the bot or is gone, or the bot may not write there."""


class MessageGone(TelegramError):
    """The message to change is not there, or cannot be changed any more."""


class EntitiesRefused(TelegramError):
    """Telegram does not like how the text is marked up."""


class TelegramRefused(TelegramError):
    """Anything else, and for good. `description` is Telegram's own and may quote the request: never log it."""

    def __init__(self, status: int, description: str) -> None:
        super().__init__(f"status {status}")
        self.status = status
        self.description = description


_GONE = ("message to edit not found", "message can't be edited", "message_id_invalid", "message to delete not found",
         "message can't be deleted", "message to react not found")  # fmt: skip
_BLOCKED = ("chat not found", "user not found", "peer_id_invalid", "not enough rights", "have no rights to send",
            "chat_write_forbidden", "user is deactivated", "topic_closed")  # fmt: skip


def error_of(status: int, description: str, retry_after: float | None) -> TelegramError:
    """The word for an error object of the Bot API (https://core.telegram.org/bots/api#making-requests). Its texts are
    not documented; these are those of tdlib/telegram-bot-api."""
    text = description.lower()
    if status == 429:
        return Flooded(retry_after or 1.0)
    if status == 403 or (status == 400 and any(known in text for known in _BLOCKED)):
        return Blocked()
    if status == 401 or text == "not found":  # the token: an operator puts it right, and nothing is lost meanwhile
        return TelegramAway("token", uncertain=False)
    if status >= 500:
        return TelegramAway(f"status_{status}", uncertain=True)
    if any(known in text for known in _GONE):
        return MessageGone()
    if status == 400 and "entit" in text:
        return EntitiesRefused()
    return TelegramRefused(status, description)
