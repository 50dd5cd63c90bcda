"""The command line: `python -m telegram_service COMMAND`, installed as `telegram-service`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import peewee

from common.ai_client import AiAway, AiRefused
from common.env import SettingError
from common.health import Status, run_checks
from common.keys_cli import add_key_commands
from common.log import configure_logging
from common.process import Progress, end_when_stuck, heartbeat, stop_on_signals
from common.redis_store import RedisAway
from telegram_service import person_cli, re_encrypt_cli
from telegram_service.composition import Parts, compose
from telegram_service.legacy import cli as legacy
from telegram_service.process import SILENCE, run_poller, run_worker
from telegram_service.settings import Settings
from telegram_service.telegram_api import UPDATES, TelegramError
from telegram_service.texts import LANGUAGES, menu, say


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status."""
    options = _parser().parse_args(arguments)
    try:
        command: Callable[[Settings, argparse.Namespace], int] = options.command
        return command(Settings.from_environment(), options)
    except SettingError as error:
        print(f"telegram-service: {error}", file=sys.stderr)
        return 2
    except TelegramError as error:
        print(f"telegram-service: Telegram: {type(error).__name__} {error}".rstrip(), file=sys.stderr)
        return 1
    except (AiAway, AiRefused) as error:
        print(f"telegram-service: the AI core: {error}", file=sys.stderr)
        return 1
    except (peewee.PeeweeException, RedisAway, OSError) as error:
        # The text of a database's error may quote what it was given.
        said = "the database does not answer" if isinstance(error, peewee.PeeweeException) else str(error)
        print(f"telegram-service: {said}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="telegram-service", description="Code du Travail Neo: questions by Telegram.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, command, text in (
        ("serve", _serve, "start the web process: webhook, health, metrics (HOST, PORT)"),
        ("worker", _worker, "answer what came in; start as many as you like"),
        ("poller", _poller, "ask Telegram for updates, where it cannot reach a webhook; one at a time"),
        ("check-config", _check_config, "read every setting, and say what is wrong"),
        ("doctor", _doctor, "look at queue, database, Telegram, webhook and AI core"),
        ("queue", _queue, "how many updates are where"),
    ):
        commands.add_parser(name, help=text).set_defaults(command=command)
    _webhook_command(
        commands.add_parser("set-webhook", help="tell Telegram where to post updates (WEBHOOK_URL), and set-menu")
    )
    menus = commands.add_parser("set-menu", help="give the bot its commands and descriptions in both languages")
    menus.add_argument("--dry-run", action="store_true", help="only say what would be done")
    menus.set_defaults(command=_set_menu)
    _people_commands(commands.add_parser("users", help="export or erase all that is held of a person"))
    _letter_commands(commands.add_parser("dead-letters", help="list, revive what was given up"))
    person_cli.add_command(
        commands.add_parser("person", help="export or erase somebody who is known to several services: person.yml")
    )
    re_encrypt_cli.add_command(
        commands.add_parser("re-encrypt", help="encrypt under the newest SECRET_KEY what older ones encrypted")
    )
    legacy.add_command(
        commands.add_parser("import", help="take over people, settings and conversations of the earlier system")
    )
    add_key_commands(commands.add_parser("keys", help="create, list, revoke keys for /metrics"), _with_database)
    return parser


def _webhook_command(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    parser.add_argument("--remove", action="store_true", help="let a poller take updates instead; none is dropped")
    parser.set_defaults(command=_set_webhook)


def _people_commands(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(required=True, metavar="ACTION")
    for name, command in (("export", _export), ("erase", _erase)):
        one = commands.add_parser(name)
        one.add_argument("id", type=int, help="Telegram's number of the person")
        one.set_defaults(command=command)


def _letter_commands(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(required=True, metavar="ACTION")
    commands.add_parser("list", help="without anything personal").set_defaults(command=_list_letters)
    revive = commands.add_parser("revive", help="try again, as if they had just come")
    revive.add_argument("id", type=int, nargs="+")
    revive.set_defaults(command=_revive)


def _serve(settings: Settings, _: argparse.Namespace) -> int:
    if settings.webhook_secret is None:
        raise SettingError("WEBHOOK_SECRET: must be set")
    config = Path(__file__).with_name("gunicorn.conf.py")
    os.execv(sys.executable, [sys.executable, "-m", "gunicorn", "--config", str(config)])  # noqa: S606 - our interpreter


def _worker(settings: Settings, _: argparse.Namespace) -> int:
    parts, stopping, progress = _begin(settings), stop_on_signals(), Progress()
    beat = heartbeat(
        settings.notify_socket, settings.watchdog_usec, settings.watchdog_pid, progress, SILENCE, "Answers people."
    )
    beat.start()
    parts.await_database(stopping, progress.note)
    end_when_stuck(progress, settings.processing_timeout)
    run_worker(parts.worker(settings), parts.scheduler(settings), stopping, progress, grace=settings.shutdown_grace)
    beat.stop()
    return 0


def _poller(settings: Settings, _: argparse.Namespace) -> int:
    if settings.webhook_url is not None:
        raise SettingError("WEBHOOK_URL: must not be set where updates are polled")
    parts, stopping, progress = _begin(settings), stop_on_signals(), Progress()
    beat = heartbeat(
        settings.notify_socket, settings.watchdog_usec, settings.watchdog_pid, progress, 2 * SILENCE, "Polls."
    )
    beat.start()
    end_when_stuck(progress, 4 * SILENCE)
    run_poller(parts.poller(), stopping, progress)
    beat.stop()
    return 0


def _begin(settings: Settings) -> Parts:
    configure_logging("telegram_service", settings.log_level, settings.data_dir / "logs")
    return compose(settings)


def _check_config(settings: Settings, _: argparse.Namespace) -> int:
    way = f"webhook {settings.webhook_url}" if settings.webhook_url else "no WEBHOOK_URL: updates are polled"
    print(f"Settings are valid; {way}; data in {settings.data_dir}.")
    return 0


def _doctor(settings: Settings, _: argparse.Namespace) -> int:
    readiness = run_checks(compose(settings).checks(settings))
    for name, check in readiness.checks.items():
        print(f"{check.status.value:<9} {name:<9} {check.detail}")
    return 0 if all(check.status is Status.OK for check in readiness.checks.values()) else 1


def _queue(settings: Settings, _: argparse.Namespace) -> int:
    mailbox = compose(settings).mailbox
    for name, value in (*mailbox.lengths().items(), *sorted(mailbox.figures().items())):
        print(f"{name:<16} {value:>10}")
    return 0


def _set_webhook(settings: Settings, options: argparse.Namespace) -> int:
    url, secret, telegram = settings.webhook_url, settings.webhook_secret, compose(settings).telegram
    if not options.remove and not (url and secret):
        raise SettingError("WEBHOOK_URL: must be set, and WEBHOOK_SECRET too")
    known = telegram.webhook()
    print(f"Bot:     @{telegram.me().get('username')}")
    print(
        f"Now:     {known.get('url') or 'no webhook'}; {known.get('pending_update_count', 0)} updates wait at Telegram"
    )
    wanted = f"{url}, {settings.webhook_max_connections} connections, {', '.join(UPDATES)}"
    print(f"Wanted:  {'no webhook' if options.remove else wanted}")
    if options.dry_run:
        print("Nothing was changed.")
    elif options.remove:
        telegram.delete_webhook()
        print("Removed. Updates wait at Telegram for a poller.")
    elif url and secret:
        telegram.set_webhook(url, secret, connections=settings.webhook_max_connections)
        print("Set.")
    return _set_menu(settings, options)


def _set_menu(settings: Settings, options: argparse.Namespace) -> int:
    telegram = compose(settings).telegram
    for language, code in (("fr", ""), *((language, language) for language in LANGUAGES)):
        print(f"{code or 'default':<8} {', '.join(menu(language))}")
        if not options.dry_run:
            telegram.set_commands(menu(language), language=code)
            telegram.set_descriptions(say(language, "description"), say(language, "short_description"), language=code)
    print("Nothing was changed." if options.dry_run else "Set.")
    return 0


def _export(settings: Settings, options: argparse.Namespace) -> int:
    parts = _with_database(settings)
    print(json.dumps(parts.bot.personal_data.export(options.id), indent=2, ensure_ascii=False))
    return 0


def _erase(settings: Settings, options: argparse.Namespace) -> int:
    print(f"Erased: {_with_database(settings).bot.personal_data.erase(options.id).items} things.")
    return 0


def _list_letters(settings: Settings, _: argparse.Namespace) -> int:
    for letter in compose(settings).mailbox.dead_letters():
        counted = f"{letter.attempts} attempts, {letter.deaths} deaths"
        print(f"{letter.update_id:>12}  {letter.died_at:%Y-%m-%d %H:%M}  {counted}  {letter.reason}")
    return 0


def _revive(settings: Settings, options: argparse.Namespace) -> int:
    mailbox = compose(settings).mailbox
    missing = [number for number in options.id if not mailbox.revive(number)]
    for number in missing:
        print(f"telegram-service: there is no dead letter {number}", file=sys.stderr)
    return 1 if missing else 0


def _with_database(settings: Settings) -> Parts:
    parts = compose(settings)
    parts.prepare_database()
    return parts
