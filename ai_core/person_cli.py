"""`ai-core person`: the AI core's part of an export or an erasure across all services.

The process that serves is asked over the loopback, because caches in its memory know people, too. Where none serves
there are no such caches, and the database is enough.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import peewee
import requests

from ai_core import audit
from ai_core.keys import create_key, revoke_key
from ai_core.operations import SECRET_FILE
from ai_core.people import People
from ai_core.settings import Settings
from ai_core.storage import open_storage, utc_now
from ai_core.usage import UsageLog
from common.crypto import secret_keys
from common.database import connection
from common.env import SettingError
from common.named_person import NamedPerson, NotAPerson
from common.retired_keys import RetiredKeys
from common.traces import clear_database

ACTOR = "command line"  # in the audit log
TIMEOUT = 30.0  # seconds
KEY_LIVES = timedelta(minutes=10)


def add_command(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("action", choices=("export", "erase"))
    parser.description = "Reads who it is as JSON from standard input: common/named_person.py."
    parser.set_defaults(command=_person)


def _person(settings: Settings, options: argparse.Namespace) -> int:
    try:
        names = NamedPerson.parse(sys.stdin.read()).ai_core
    except NotAPerson as error:
        raise SettingError(f"standard input: {error}") from None
    database = open_storage(settings.database_url)
    with connection(database):
        told = _over_http(settings, options.action, names)
        if told is None:
            told = _in_database(settings, database, options.action, names)
        if options.action == "erase":
            clear_database(database)
    print(json.dumps({"ai_core": told}, ensure_ascii=False, default=str))
    return 0


def _over_http(settings: Settings, action: str, names: tuple[tuple[str, str], ...]) -> list[Mapping[str, Any]] | None:
    """What the serving process says; None where none serves. Raises OSError for other answers."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - compared, not bound
    base = f"http://{f'[{host}]' if ':' in host else host}:{settings.port}/api/v1/admin/users"
    with _admin_key() as key, requests.Session() as session:
        session.trust_env = False  # no proxy for the loopback
        session.headers["X-API-Key"] = key
        found: list[Mapping[str, Any]] = []
        for channel, user in names:
            url = f"{base}/{quote(channel, safe='')}/{quote(user, safe='')}"
            method, url = ("GET", f"{url}/export") if action == "export" else ("DELETE", url)
            try:
                answer = session.request(method, url, timeout=TIMEOUT)
            except requests.ConnectionError:
                return None
            if answer.status_code != 200:
                raise OSError(f"the AI core answered {answer.status_code}")
            found.append(answer.json())
        return found


@contextmanager
def _admin_key() -> Iterator[str]:
    """A key for this one command."""
    record, text = create_key("person command", ("admin",), expires_at=utc_now() + KEY_LIVES)
    audit.note(ACTOR, "keys.create", record.prefix)
    try:
        yield text
    finally:
        revoke_key(record.id)
        audit.note(ACTOR, "keys.revoke", str(record.id))


def _in_database(
    settings: Settings, database: peewee.Database, action: str, names: tuple[tuple[str, str], ...]
) -> list[Mapping[str, Any]]:
    secrets = secret_keys(settings.secret_key, settings.data_dir / SECRET_FILE)
    people = People(secrets, UsageLog(database), {}, RetiredKeys(database, secrets))
    found: list[Mapping[str, Any]] = []
    for channel, user in names:
        about = {"channel": channel, "user_id": user}
        if action == "export":
            found.append({**about, "requests": people.export(channel, user)})
        else:
            found.append({"erased": people.erase(channel, user)})
            audit.note(ACTOR, "people.erase", people.hash_of(channel, user))
    return found
