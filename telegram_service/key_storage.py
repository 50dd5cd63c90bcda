"""The table of API keys, which storage.py makes: a key gives the figures (/metrics)."""

from __future__ import annotations

from common.key_book import KeyColumns
from telegram_service.tables import Table


class ApiKey(Table, KeyColumns):
    """A key that an operator made."""


TABLES = (ApiKey,)
