"""`ai-core import`: what the earlier system left. Without --apply nothing is changed."""

from __future__ import annotations

import argparse
from pathlib import Path

from ai_core.catalog.errors import CatalogError
from ai_core.catalog.registry import Registry
from ai_core.legacy.keys import import_keys
from ai_core.legacy.models import read_models
from ai_core.legacy.statistics import import_statistics
from ai_core.settings import Settings
from ai_core.storage import open_storage
from common.database import connection
from common.legacy.arguments import begin_import, common_options, end_import
from common.legacy.env_import import import_environment
from common.legacy.exports import NotAnExport
from common.legacy.old_names import AI
from common.legacy.report import ImportReport


def add_command(parser: argparse.ArgumentParser) -> None:
    """Declare its options."""
    common_options(parser)
    parser.add_argument("--models", type=Path, metavar="FILE", help="the earlier models.json")
    parser.add_argument("--keys", type=Path, metavar="FILE", help="exported API keys, CSV or JSON")
    parser.add_argument("--statistics", type=Path, metavar="FILE", help="exported figures by day, CSV or JSON")
    parser.set_defaults(command=_import)


def _import(settings: Settings, options: argparse.Namespace) -> int:
    with begin_import(options, settings.data_dir) as report:
        try:
            _import_all(settings, options, report)
        except NotAnExport as error:
            raise CatalogError(str(error)) from error
        return end_import(options, report)


def _import_all(settings: Settings, options: argparse.Namespace, report: ImportReport) -> None:
    import_environment(options, AI, report)
    if options.models is not None:
        registry = Registry(settings.models_file, settings.data_dir / "models")
        found = read_models(options.models, registry, report)
        print("\n".join(found.told))
        if options.apply and (found.models or found.default_model):
            registry.adopt(found.models, found.default_model)
    database = open_storage(settings.database_url)
    with connection(database), database.atomic():  # all or nothing, and one wait for the disk
        if options.keys is not None:
            import_keys(options.keys, report, apply=options.apply)
        if options.statistics is not None:
            import_statistics(options.statistics, report, apply=options.apply)
