"""The command line: `python -m mail_service COMMAND`, installed as `mail-service`."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import peewee

from common.database import connection
from common.env import SettingError
from common.health import Status, run_checks
from common.keys_cli import add_key_commands
from common.log import configure_logging
from common.process import Progress, end_when_stuck, heartbeat, stop_on_signals
from common.redis_store import RedisAway
from common.systemd import Heartbeat
from mail_service import person_cli, re_encrypt_cli
from mail_service.addresses import normalised
from mail_service.composition import Parts, checked_templates, compose
from mail_service.imap_server import MailAway
from mail_service.legacy import cli as legacy
from mail_service.personal_data import erase_messages
from mail_service.process import STUCK_AFTER, run_poller, run_worker
from mail_service.settings import Settings
from mail_service.states import State

STEPS = ("retry", "hold", "release")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status."""
    options = _parser().parse_args(arguments)
    try:
        command: Callable[[Settings, argparse.Namespace], int] = options.command
        return command(Settings.from_environment(), options)
    except SettingError as error:
        print(f"mail-service: {error}", file=sys.stderr)
        return 2
    except (peewee.PeeweeException, MailAway, RedisAway, OSError) as error:
        # The text of a database's error may quote what it was given.
        said = "the database does not answer" if isinstance(error, peewee.PeeweeException) else str(error)
        print(f"mail-service: {said}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mail-service", description="Code du Travail Neo: questions by mail.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, command, text in (
        ("serve", _serve, "start the web process: health, metrics, operator API (HOST, PORT)"),
        ("poller", _poller, "watch the mailbox"),
        ("worker", _worker, "answer what the poller took in; start as many as you like"),
        ("check-config", _check_config, "read every setting and template, and say what is wrong"),
        ("doctor", _doctor, "look at mailbox, SMTP, AI core, database, queue and scanner"),
        ("statistics", _statistics, "figures of the service"),
    ):
        commands.add_parser(name, help=text).set_defaults(command=command)
    _message_commands(commands.add_parser("messages", help="list, show, retry, hold, release, erase"))
    _people_commands(commands.add_parser("users", help="export or erase all that is held of a person"))
    legacy.add_command(
        commands.add_parser("import", help="take over settings, mailbox, logs and exports of the earlier system")
    )
    person_cli.add_command(
        commands.add_parser("person", help="export or erase somebody who is known to several services: person.yml")
    )
    re_encrypt_cli.add_command(
        commands.add_parser("re-encrypt", help="encrypt under the newest SECRET_KEY what older ones encrypted")
    )
    add_key_commands(commands.add_parser("keys", help="create, list, revoke keys of the operator API"), compose)
    return parser


def _message_commands(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(required=True, metavar="ACTION")
    listing = commands.add_parser("list", help="the newest messages, without anything personal")
    listing.add_argument("--state", choices=[state.value for state in State])
    listing.add_argument("--reason")
    listing.add_argument("--limit", type=int, default=50)
    listing.set_defaults(command=_list_messages)
    for name, command in (("show", _show_message), ("erase", _erase_message), *((step, _step) for step in STEPS)):
        one = commands.add_parser(name)
        one.add_argument("id", type=int)
        one.set_defaults(command=command, step=name)


def _people_commands(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(required=True, metavar="ACTION")
    for name, command in (("export", _export), ("erase", _erase)):
        one = commands.add_parser(name)
        one.add_argument("address", type=_address)
        one.set_defaults(command=command)


def _serve(settings: Settings, _: argparse.Namespace) -> int:
    checked_templates(settings)
    config = Path(__file__).with_name("gunicorn.conf.py")
    os.execv(sys.executable, [sys.executable, "-m", "gunicorn", "--config", str(config)])  # noqa: S606 - our interpreter


def _poller(settings: Settings, _: argparse.Namespace) -> int:
    parts, progress = _begin(settings), Progress()
    poller, beat = parts.poller(), _heartbeat(settings, progress, "Watches the mailbox.")
    beat.start()
    end_when_stuck(progress, settings.processing_timeout * STUCK_AFTER)
    run_poller(
        poller, parts.idle_watch(settings, poller), parts.scheduler(settings, poller), stop_on_signals(), progress
    )
    beat.stop()
    return 0


def _worker(settings: Settings, _: argparse.Namespace) -> int:
    parts, progress = _begin(settings), Progress()
    beat = _heartbeat(settings, progress, "Answers mail.")
    beat.start()
    end_when_stuck(progress, settings.processing_timeout * STUCK_AFTER)
    run_worker(parts.work(settings), stop_on_signals(), progress)
    beat.stop()
    return 0


def _heartbeat(settings: Settings, progress: Progress, status: str) -> Heartbeat:
    silence = settings.processing_timeout
    return heartbeat(settings.notify_socket, settings.watchdog_usec, settings.watchdog_pid, progress, silence, status)


def _begin(settings: Settings) -> Parts:
    configure_logging("mail_service", settings.log_level, settings.data_dir / "logs")
    logging.getLogger("imapclient").setLevel(logging.WARNING)  # it would log what people write
    return compose(settings)


def _check_config(settings: Settings, _: argparse.Namespace) -> int:
    checked_templates(settings)
    print(f"Settings and templates are valid; {settings.email_address}, data in {settings.data_dir}.")
    return 0


def _doctor(settings: Settings, _: argparse.Namespace) -> int:
    readiness = run_checks(compose(settings).checks(settings))
    for name, check in readiness.checks.items():
        print(f"{check.status.value:<9} {name:<9} {check.detail}")
    return 0 if all(check.status is Status.OK for check in readiness.checks.values()) else 1


def _statistics(settings: Settings, _: argparse.Namespace) -> int:
    parts = compose(settings)
    with connection(parts.database):
        print(json.dumps(parts.operations().statistics(), indent=2))
    return 0


def _list_messages(settings: Settings, options: argparse.Namespace) -> int:
    parts = compose(settings)
    with connection(parts.database):
        for row in parts.operations().listed(
            state=options.state, reason=options.reason, before=None, limit=options.limit
        ):
            due = f"  due {row.due_at:%Y-%m-%d %H:%M}" if row.due_at and row.state in ("pending", "held") else ""
            print(f"{row.id:>6}  {row.received_at:%Y-%m-%d %H:%M}  {row.state:<10} {row.reason}{due}")
    return 0


def _show_message(settings: Settings, options: argparse.Namespace) -> int:
    parts = compose(settings)
    with connection(parts.database):
        found = parts.operations().shown(options.id)
    if found is None:
        return _no_such(options.id)
    print(json.dumps(found, indent=2, ensure_ascii=False, default=str))
    return 0


def _step(settings: Settings, options: argparse.Namespace) -> int:
    parts = compose(settings)
    with connection(parts.database):
        done: bool = getattr(parts.operations(), options.step)(options.id)
    print("Done." if done else f"Not possible: {options.step} does not fit the state of message {options.id}.")
    return 0 if done else 1


def _erase_message(settings: Settings, options: argparse.Namespace) -> int:
    parts = compose(settings)
    with connection(parts.database):
        if parts.operations().shown(options.id) is None:
            return _no_such(options.id)
        parts.queue.forget([options.id])
        erase_messages([options.id])
    print("Erased.")
    return 0


def _export(settings: Settings, options: argparse.Namespace) -> int:
    parts = compose(settings)
    with connection(parts.database):
        print(json.dumps(parts.personal_data(settings).export(options.address), indent=2, ensure_ascii=False))
    return 0


def _erase(settings: Settings, options: argparse.Namespace) -> int:
    parts = compose(settings)
    with connection(parts.database):
        gone = parts.personal_data(settings).erase(options.address)
    print(f"Erased: {gone.messages} messages, {gone.redis_keys} Redis keys, {gone.mails} mails on the server.")
    return 0


def _no_such(message_id: int) -> int:
    print(f"mail-service: there is no message {message_id}", file=sys.stderr)
    return 1


def _address(text: str) -> str:
    address = normalised(text)
    if address is None:
        raise argparse.ArgumentTypeError("not a mail address")
    return address
