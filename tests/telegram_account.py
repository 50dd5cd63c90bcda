"""What the fake Bot API server knows of the bot itself: its webhook, its updates, its menus."""

from __future__ import annotations

import re
from typing import Any

from tests import telegram_rules as rules
from tests.telegram_calls import Told, method
from tests.telegram_rules import bad
from tests.telegram_updates import Updates


class Account:
    """`commands` and `descriptions` by what they are for (scope or kind) and language."""

    def __init__(self, bot: dict[str, Any], updates: Updates) -> None:
        self.commands: dict[tuple[str, str], list[dict[str, str]]] = {}
        self.descriptions: dict[tuple[str, str], str] = {}
        self._bot = bot
        self._updates = updates

    @method()
    def get_me(self, told: Told) -> object:
        return {**self._bot, "can_join_groups": True, "can_read_all_group_messages": False}

    @method("url", optional=("secret_token", "max_connections", "allowed_updates", "drop_pending_updates"))
    def set_webhook(self, told: Told) -> object:
        # Plain HTTP is what a local Bot API server allows, and this one stands on the loopback.
        if not re.match(r"https://|http://(127\.0\.0\.1|localhost|\[::1\])[:/]", told["url"]):
            raise bad("bad webhook: An HTTPS URL must be provided for webhook")
        secret, connections = told.get("secret_token"), int(told.get("max_connections", 40))
        if secret is not None and not re.fullmatch(r"[A-Za-z0-9_-]{1,256}", secret):
            raise bad("secret token contains unallowed characters")
        if not 1 <= connections <= 100:
            raise bad("max_connections is out of range")
        self._drop(told)
        self._updates.set_webhook(told["url"], secret, connections, told.get("allowed_updates"))
        return True

    @method(optional=("drop_pending_updates",))
    def delete_webhook(self, told: Told) -> object:
        self._drop(told)
        self._updates.set_webhook("", None, 40, None)
        return True

    @method()
    def get_webhook_info(self, told: Told) -> object:
        waiting = self._updates.waiting()
        return {"has_custom_certificate": False, **self._updates.webhook, "pending_update_count": waiting}

    @method(optional=("offset", "limit", "timeout", "allowed_updates"))
    def get_updates(self, told: Told) -> object:
        if told.get("allowed_updates"):
            self._updates.allowed = frozenset(told["allowed_updates"])
        limit, timeout = int(told.get("limit", 100)), float(told.get("timeout", 0))
        return self._updates.get(int(told.get("offset", 0)), min(max(limit, 1), 100), min(timeout, 50))

    @method("commands", optional=("scope", "language_code"))
    def set_my_commands(self, told: Told) -> object:
        self.commands[_whose(told)] = [dict(command) for command in rules.checked_commands(told["commands"])]
        return True

    @method(optional=("scope", "language_code"))
    def get_my_commands(self, told: Told) -> object:
        return self.commands.get(_whose(told), [])

    @method(optional=("scope", "language_code"))
    def delete_my_commands(self, told: Told) -> object:
        self.commands.pop(_whose(told), None)
        return True

    @method(optional=("description", "language_code"))
    def set_my_description(self, told: Told) -> object:
        return self._describe("description", told, 512)

    @method(optional=("short_description", "language_code"))
    def set_my_short_description(self, told: Told) -> object:
        return self._describe("short_description", told, 120)

    def _describe(self, kind: str, told: Told, most: int) -> bool:
        if len(told.get(kind, "")) > most:
            raise bad(f"{kind} is too long")
        self.descriptions[kind, told.get("language_code", "")] = told.get(kind, "")
        return True

    def _drop(self, told: Told) -> None:
        if str(told.get("drop_pending_updates")).lower() in ("true", "1"):
            self._updates.drop()


def _whose(told: Told) -> tuple[str, str]:
    return (told.get("scope") or {}).get("type", "default"), told.get("language_code", "")
