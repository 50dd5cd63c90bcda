"""`telegram-service import`: what the earlier system left. Without --apply nothing is changed."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from zoneinfo import ZoneInfo

import redis

from common.database import connection
from common.legacy.arguments import begin_import, common_options, end_import
from common.legacy.env_import import import_environment
from common.legacy.exports import NotAnExport
from common.legacy.old_names import TELEGRAM
from common.legacy.report import ImportReport
from telegram_service.composition import compose
from telegram_service.legacy.logs import import_log
from telegram_service.legacy.past import Past
from telegram_service.legacy.redis_keys import import_redis
from telegram_service.legacy.tables import CONVERSATIONS, SETTINGS, USERS, import_table
from telegram_service.settings import Settings


def add_command(parser: argparse.ArgumentParser) -> None:
    """Declare its options."""
    common_options(parser)
    for table in (USERS, CONVERSATIONS, SETTINGS):
        parser.add_argument(f"--{table}", type=Path, metavar="FILE", help=f"exported {table}, CSV or JSON")
    parser.add_argument("--redis", metavar="URL", help="the earlier Redis; it is only read")
    parser.add_argument("--logs", type=Path, nargs="+", default=[], metavar="FILE", help="logs, .gz too")
    parser.add_argument(
        "--timezone", type=ZoneInfo, default=ZoneInfo("Europe/Paris"), help="of the logs (default: %(default)s)"
    )
    parser.set_defaults(command=_import)


def _import(settings: Settings, options: argparse.Namespace) -> int:
    with begin_import(options, settings.data_dir) as report:
        try:
            _import_all(settings, options, report)
        except NotAnExport as error:
            print(f"telegram-service: {error}", file=sys.stderr)
            return 1
        except redis.RedisError as error:
            print(f"telegram-service: --redis: {type(error).__name__}", file=sys.stderr)  # its text holds the address
            return 1
        return end_import(options, report)


def _import_all(settings: Settings, options: argparse.Namespace, report: ImportReport) -> None:
    import_environment(options, TELEGRAM, report)
    parts = compose(settings)
    parts.prepare_database()
    past = Past(parts.bot.people, apply=options.apply)
    with connection(parts.database), parts.database.atomic():  # all or nothing, and one wait for the disk
        for table in (USERS, SETTINGS, CONVERSATIONS):
            if getattr(options, table) is not None:
                import_table(getattr(options, table), table, past, report)
        if options.redis is not None:
            import_redis(redis.Redis.from_url(options.redis, socket_timeout=10), past, report)
        for path in options.logs:
            import_log(path, options.timezone, past, report)
