"""`keys create`, `keys list`, `keys revoke` on the command line of a service that has a KeyBook."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, Protocol

import peewee

from common.database import connection
from common.key_book import SCOPES, KeyBook


class KeyHolder(Protocol):
    """The composed parts of a service."""

    @property
    def database(self) -> peewee.Database: ...

    @property
    def keys(self) -> KeyBook: ...


def add_key_commands(parser: argparse.ArgumentParser, parts_of: Callable[[Any], KeyHolder]) -> None:
    """Each action is a command of (settings, options); `parts_of` composes the service from its settings, its tables
    in place."""
    commands = parser.add_subparsers(required=True, metavar="ACTION")
    create = commands.add_parser("create", help="make a key and print it, this once")
    create.add_argument("name")
    create.add_argument("--scope", choices=SCOPES, default="admin", help="metrics opens /metrics alone; default: admin")
    create.set_defaults(command=lambda settings, options: _create(parts_of(settings), options))
    listing = commands.add_parser("list", help="every key, without its secret")
    listing.set_defaults(command=lambda settings, _: _list(parts_of(settings)))
    revoke = commands.add_parser("revoke", help="end a key; it stays in the list")
    revoke.add_argument("id", type=int)
    revoke.set_defaults(command=lambda settings, options: _revoke(parts_of(settings), options))


def _create(parts: KeyHolder, options: argparse.Namespace) -> int:
    with connection(parts.database):
        record, text = parts.keys.create(options.name, options.scope)
    print(f"API key: {text}\nKey {record.id} ({record.scope}) is shown this once: keep it now.")
    return 0


def _list(parts: KeyHolder) -> int:
    with connection(parts.database):
        for key in parts.keys.all():
            state = "revoked" if key.revoked_at else f"last used {key.last_used_at or 'never'}"
            print(f"{key.id:>4}  cdt-{key.prefix}-...  {key.scope:<7}  {state}  {key.name}")
    return 0


def _revoke(parts: KeyHolder, options: argparse.Namespace) -> int:
    with connection(parts.database):
        revoked = parts.keys.revoke(options.id)
    print(f"Key {options.id} is revoked." if revoked else f"There is no live key {options.id}.")
    return 0 if revoked else 1
