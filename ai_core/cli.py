"""The command line: `python -m ai_core COMMAND`, installed as `ai-core`."""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import peewee

from ai_core import audit, models_cli, person_cli, re_encrypt_cli
from ai_core.catalog.errors import CatalogError
from ai_core.keys import SCOPES, KeyRefused, create_key, list_keys, revoke_key, rotate_key, verify_key
from ai_core.knowledge import cli as knowledge
from ai_core.knowledge import importer
from ai_core.knowledge.errors import KnowledgeError
from ai_core.legacy import cli as legacy
from ai_core.settings import Settings
from ai_core.storage import KnowledgeRevision, open_storage, utc_now
from common.database import connection
from common.env import SettingError

LOCAL_KEY_FILE = "local_api_key"
ACTOR = "command line"  # in the audit log


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status."""
    options = _parser().parse_args(arguments)
    try:
        settings = Settings.from_environment()
        command: Callable[[Settings, argparse.Namespace], int] = options.command
        return command(settings, options)
    except SettingError as error:
        print(f"ai-core: {error}", file=sys.stderr)
        return 2
    except (KnowledgeError, CatalogError, peewee.PeeweeException, OSError) as error:
        print(f"ai-core: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ai-core", description="Code du Travail Neo: the AI core.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    serve = commands.add_parser("serve", help="start the HTTP server (HOST, PORT)")
    serve.add_argument(
        "--quickstart",
        action="store_true",
        help="first import the Code du travail if it is missing, then print the addresses and a local API key",
    )
    serve.set_defaults(command=_serve)

    _key_commands(commands.add_parser("keys", help="create, list, rotate, revoke API keys"))
    knowledge.add_commands(commands.add_parser("knowledge", help="import and search the Code du travail"))
    models_cli.add_commands(commands.add_parser("models", help="inspect, convert and quantise models"))

    legacy.add_command(
        commands.add_parser("import", help="take over settings, models, keys and figures of the earlier system")
    )

    person_cli.add_command(
        commands.add_parser("person", help="export or erase somebody who is known to several services: person.yml")
    )
    re_encrypt_cli.add_command(
        commands.add_parser("re-encrypt", help="encrypt under the newest SECRET_KEY what older ones encrypted")
    )

    check = commands.add_parser("check-config", help="read every setting and say what is wrong with it")
    check.set_defaults(command=_check_config)
    return parser


def _key_commands(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(required=True, metavar="ACTION")
    create = commands.add_parser("create", help="make a key and print it, this once")
    create.add_argument("name")
    create.add_argument("--scope", action="append", choices=SCOPES, dest="scopes", help="repeatable; default: chat")
    create.add_argument("--days", type=int, help="days until it expires; default: never")
    create.add_argument("--per-minute", type=int, help="its own rate limit; default: RATE_LIMIT_PER_MINUTE")
    create.add_argument("--network", action="append", default=[], help="CIDR that it works from; repeatable")
    create.set_defaults(command=_create_key)
    commands.add_parser("list", help="list the keys").set_defaults(command=_list_keys)
    rotate = commands.add_parser("rotate", help="give a key a new text; the old one stops working")
    rotate.add_argument("id", type=int)
    rotate.set_defaults(command=_rotate_key)
    revoke = commands.add_parser("revoke", help="revoke a key")
    revoke.add_argument("id", type=int)
    revoke.set_defaults(command=_revoke_key)


def _serve(settings: Settings, options: argparse.Namespace) -> int:
    config = Path(__file__).with_name("gunicorn.conf.py")
    if options.quickstart:
        _require_free_port(settings)
        _announce(settings, _prepare(settings))
    os.execv(sys.executable, [sys.executable, "-m", "gunicorn", "--config", str(config)])  # noqa: S606 - our interpreter


def _require_free_port(settings: Settings) -> None:
    """Say so before the long steps, not after them. Raises SettingError."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise SettingError(
                f"PORT: cannot listen on {settings.host}:{settings.port} ({error.strerror}); "
                f"choose another, for instance: PORT={settings.port % 65_535 + 1} make run"
            ) from None


def _prepare(settings: Settings) -> str:
    """Create what a first start needs and return the local API key."""
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = open_storage(settings.database_url)
    with connection(database):
        if KnowledgeRevision.get_or_none(KnowledgeRevision.active == True) is None:  # noqa: E712 - an SQL expression
            try:
                importer.update(database, settings.data_dir, settings.knowledge_file, progress=knowledge.progress)
            except KnowledgeError as error:
                # The assistant still answers, and says in each answer that it has no sources.
                knowledge.progress(f"The Code du travail could not be imported: {error}")
                knowledge.progress("Starting without it; `ai-core knowledge update --from FILE` brings it later.")
        key = _local_key(settings.data_dir / LOCAL_KEY_FILE)
    database.close()
    return key


def _local_key(path: Path) -> str:
    """The key of the person at this machine: kept in a file that only they can read, made when it is missing."""
    if path.is_file():
        text = path.read_text(encoding="ascii").strip()
        try:
            verify_key(text, "127.0.0.1")
            return text
        except KeyRefused as refused:
            knowledge.progress(f"The key in {path} is {refused.reason}: making a new one.")
    _, text = create_key("local", SCOPES)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text + "\n")
    return text


def _announce(settings: Settings, key: str) -> None:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - compared, not bound
    host = f"[{host}]" if ":" in host else host
    knowledge.progress("Loading the model ...")
    process = subprocess.Popen(  # noqa: S603 - our interpreter, our module
        [sys.executable, "-m", "ai_core.announce", f"http://{host}:{settings.port}"], stdin=subprocess.PIPE, text=True
    )
    # Through a pipe: the arguments of a process are there for everybody to read.
    assert process.stdin is not None
    process.stdin.write(key)
    process.stdin.close()


def _create_key(settings: Settings, options: argparse.Namespace) -> int:
    expires_at: datetime | None = utc_now() + timedelta(days=options.days) if options.days is not None else None
    with connection(open_storage(settings.database_url)):
        try:
            record, text = create_key(
                options.name,
                tuple(options.scopes or ("chat",)),
                expires_at=expires_at,
                rate_limit_per_minute=options.per_minute,
                allowed_networks=tuple(options.network),
            )
        except ValueError as error:
            print(f"ai-core: {error}", file=sys.stderr)
            return 2
        audit.note(ACTOR, "keys.create", record.prefix)
    print(f"API key: {text}")
    print(f"Key {record.id} ({', '.join(record.scopes)}) is shown this once: keep it now.")
    return 0


def _list_keys(settings: Settings, _: argparse.Namespace) -> int:
    with connection(open_storage(settings.database_url)):
        for key in list_keys():
            state = "revoked" if key.revoked_at else f"last used {key.last_used_at or 'never'}"
            print(f"{key.id:>4}  cdt-{key.prefix}-...  {','.join(key.scopes):<18}  {state}  {key.name}")
    return 0


def _rotate_key(settings: Settings, options: argparse.Namespace) -> int:
    with connection(open_storage(settings.database_url)):
        rotated = rotate_key(options.id)
        if rotated is not None:
            audit.note(ACTOR, "keys.rotate", f"{options.id},{rotated[0].prefix}")
    if rotated is None:
        print(f"ai-core: there is no live key {options.id}", file=sys.stderr)
        return 1
    print(f"API key: {rotated[1]}")
    return 0


def _revoke_key(settings: Settings, options: argparse.Namespace) -> int:
    with connection(open_storage(settings.database_url)):
        revoked = revoke_key(options.id)
        if revoked:
            audit.note(ACTOR, "keys.revoke", str(options.id))
    print(f"Key {options.id} is revoked." if revoked else f"There is no live key {options.id}.")
    return 0 if revoked else 1


def _check_config(settings: Settings, _: argparse.Namespace) -> int:
    print(f"Settings are valid; data in {settings.data_dir}, listening on {settings.host}:{settings.port}.")
    return 0
