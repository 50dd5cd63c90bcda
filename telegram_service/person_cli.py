"""`telegram-service person`: this service's part of an export or an erasure across all services; the AI core has its
own, which needs no key of this service with rights over people."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from common.env import SettingError
from common.named_person import NamedPerson, NotAPerson
from common.redis_store import RedisStore
from common.traces import clear_database, clear_redis
from telegram_service.composition import compose
from telegram_service.mailbox import PREFIX
from telegram_service.people import CHANNEL
from telegram_service.settings import Settings


def add_command(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("action", choices=("export", "erase"))
    parser.description = "Reads who it is as JSON from standard input: common/named_person.py."
    parser.set_defaults(command=_person)


def _person(settings: Settings, options: argparse.Namespace) -> int:
    try:
        users = NamedPerson.parse(sys.stdin.read()).telegram
    except NotAPerson as error:
        raise SettingError(f"standard input: {error}") from None
    parts = compose(settings)
    parts.prepare_database()
    data = parts.bot.personal_data
    told: dict[str, Any] = {"ai_core": [[CHANNEL, str(user)] for user in users]}
    if options.action == "export":
        told["telegram"] = [data.export(user, here=True) for user in users]
    else:
        told["telegram"] = [{"items": data.erase(user, here=True).items} for user in users]
        if users:
            clear_database(parts.database)
            clear_redis(RedisStore(settings.redis_url, prefix=PREFIX))
    print(json.dumps(told, ensure_ascii=False, default=str))
    return 0
