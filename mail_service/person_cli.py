"""`mail-service person`: this service's part of an export or an erasure across all services."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import Any

from common.database import connection
from common.env import SettingError
from common.named_person import NamedPerson, NotAPerson
from common.redis_store import RedisStore
from common.traces import clear_database, clear_redis
from mail_service.addresses import normalised
from mail_service.composition import Parts, compose
from mail_service.mail_queue import PREFIX
from mail_service.people import CHANNEL
from mail_service.settings import Settings


def add_command(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("action", choices=("export", "erase"))
    parser.description = "Reads who it is as JSON from standard input: common/named_person.py."
    parser.set_defaults(command=_person)


def _person(settings: Settings, options: argparse.Namespace) -> int:
    addresses = _addresses()
    parts = compose(settings)
    with connection(parts.database):
        told: dict[str, Any] = {
            "ai_core": [[CHANNEL, name] for one in addresses for name in parts.people.hashes_of(one)]
        }
        data = parts.personal_data(settings)
        if options.action == "export":
            told["mail"] = [data.export(address) for address in addresses]
        else:
            told["mail"] = [asdict(data.erase(address)) for address in addresses]
    if options.action == "erase" and addresses:
        _clear_traces(settings, parts)
    print(json.dumps(told, ensure_ascii=False))
    return 0


def _addresses() -> list[str]:
    try:
        found = [normalised(address) for address in NamedPerson.parse(sys.stdin.read()).mail]
        if None in found:
            raise NotAPerson("one of mail is no address")
    except NotAPerson as error:
        raise SettingError(f"standard input: {error}") from None
    return [address for address in found if address is not None]


def _clear_traces(settings: Settings, parts: Parts) -> None:
    clear_database(parts.database)
    clear_redis(RedisStore(settings.redis_url, prefix=PREFIX))
