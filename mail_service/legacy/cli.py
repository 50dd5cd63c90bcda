"""`mail-service import`: what the earlier system left. Without --apply nothing is changed."""

from __future__ import annotations

import argparse
import mailbox
import sys
from pathlib import Path
from zoneinfo import ZoneInfo

from common.database import connection
from common.legacy.arguments import begin_import, common_options, end_import
from common.legacy.env_import import import_environment
from common.legacy.exports import NotAnExport
from common.legacy.old_names import MAIL
from common.legacy.report import ImportReport
from mail_service.composition import Parts, compose
from mail_service.legacy.conversations import import_conversations
from mail_service.legacy.history import History, cut_over
from mail_service.legacy.logs import import_log
from mail_service.legacy.mailbox import import_mails, in_folder, on_server
from mail_service.legacy.templates import import_templates
from mail_service.settings import Settings
from mail_service.storage import utc_now


def add_command(parser: argparse.ArgumentParser) -> None:
    """Declare its options."""
    common_options(parser)
    parser.add_argument(
        "--imap", action="store_true", help="the mailbox of the settings; from now on only new mail is answered"
    )
    parser.add_argument(
        "--mailbox", type=Path, metavar="PATH", help="a Maildir or an mbox file; from now on only new mail is answered"
    )
    parser.add_argument("--logs", type=Path, nargs="+", default=[], metavar="FILE", help="logs, .gz too")
    parser.add_argument(
        "--timezone", type=ZoneInfo, default=ZoneInfo("Europe/Paris"), help="of the logs (default: %(default)s)"
    )
    parser.add_argument("--conversations", type=Path, metavar="FILE", help="exported conversations, CSV or JSON")
    parser.add_argument("--templates", type=Path, metavar="FILE", help="exported templates, CSV or JSON")
    parser.set_defaults(command=_import)


def _import(settings: Settings, options: argparse.Namespace) -> int:
    with begin_import(options, settings.data_dir) as report:
        try:
            _import_all(settings, options, report)
        except (NotAnExport, mailbox.Error) as error:
            print(f"mail-service: {error}", file=sys.stderr)
            return 1
        return end_import(options, report)


def _import_all(settings: Settings, options: argparse.Namespace, report: ImportReport) -> None:
    import_environment(options, MAIL, report)
    if options.templates is not None:
        import_templates(options.templates, settings.templates_dir, report, apply=options.apply)
    parts = compose(settings)
    history = History(parts.people, apply=options.apply)
    with connection(parts.database):
        _import_mailbox(parts, settings, options, history, report)
        with parts.database.atomic():  # all or nothing, and one wait for the disk
            _import_files(options, history, report)


def _import_files(options: argparse.Namespace, history: History, report: ImportReport) -> None:
    if options.conversations is not None:
        import_conversations(options.conversations, history, report)
    for path in options.logs:
        import_log(path, options.timezone, history, report)


def _import_mailbox(
    parts: Parts, settings: Settings, options: argparse.Namespace, history: History, report: ImportReport
) -> None:
    if not options.imap and options.mailbox is None:
        return
    begun = utc_now()
    if options.mailbox is not None:
        import_mails(in_folder(options.mailbox), settings.own_addresses, history, report)
    if options.imap:
        with parts.imap.session() as client:
            import_mails(on_server(client, settings.imap_folder), settings.own_addresses, history, report)
    if options.apply:
        print(f"Mail that arrived before {cut_over(begun):%Y-%m-%d %H:%M} UTC, or that was imported, is not answered.")
