"""`telegram-service re-encrypt`: after it an older secret can be taken out of SECRET_KEY."""

from __future__ import annotations

import argparse

from common.crypto import secret_keys
from common.database import migrate
from common.re_encryption import Renewer, re_encrypt_tables
from common.re_encryption_report import report, retire_keys
from common.redis_store import RedisStore
from common.retired_keys import RetiredKeys
from telegram_service.mailbox import PREFIX
from telegram_service.people import People
from telegram_service.re_encryption import re_encrypt_redis, re_hash
from telegram_service.settings import Settings
from telegram_service.storage import COMPONENT, FIRST_TABLES, MIGRATIONS
from telegram_service.tables import bind_tables


def add_command(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("--check", action="store_true", help="only say whether an older secret is still needed")
    parser.set_defaults(command=_re_encrypt)


def _re_encrypt(settings: Settings, options: argparse.Namespace) -> int:
    secrets = secret_keys(settings.secret_key, settings.data_dir / "secret_key")
    database, store = bind_tables(settings.database_url, secrets), RedisStore(settings.redis_url, prefix=PREFIX)
    migrate(database, COMPONENT, MIGRATIONS)
    retired = RetiredKeys(database, secrets)
    # First: what is gone from then on is found by the keys that are kept.
    kept = retire_keys(retired, secrets, retention_days=settings.retention_days, dry=options.check)
    renewer = Renewer(secrets, dry=options.check)
    tallies = re_encrypt_tables(database, FIRST_TABLES, renewer)
    tallies["queue"] = re_encrypt_redis(store, renewer)
    tallies["people"] = re_hash(database, People(database, store, secrets, retired), dry=options.check)
    lines, status = report({**tallies, "hashing keys": kept}, dry=options.check)
    print("\n".join(lines))
    return status
