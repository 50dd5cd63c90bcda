"""What the `import` commands of all services have in common."""

# ruff: noqa: T201 - a command line prints

from __future__ import annotations

import argparse
from datetime import datetime, timezone
from pathlib import Path

from common.legacy.report import ImportReport


def common_options(parser: argparse.ArgumentParser) -> None:
    """Declare --apply, --env, --to, --rejects."""
    parser.add_argument("--apply", action="store_true", help="do it; without, only say what would be done")
    parser.add_argument("--env", type=Path, metavar="FILE", help="the earlier .env")
    parser.add_argument(
        "--to",
        type=Path,
        default=Path("/etc/code-du-travail"),
        metavar="FOLDER",
        help="where the environment file and the secrets go (default: %(default)s)",
    )
    parser.add_argument("--rejects", type=Path, metavar="FILE", help="rejected rows; default: in DATA_DIR")


def begin_import(options: argparse.Namespace, data_dir: Path) -> ImportReport:
    """The report of this run; a dry run writes no file unless --rejects names one."""
    rejects: Path | None = options.rejects
    if rejects is None and options.apply:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        rejects = data_dir / f"import-rejects-{datetime.now(timezone.utc):%Y%m%dT%H%M%S}.jsonl"
    return ImportReport(rejects)


def end_import(options: argparse.Namespace, report: ImportReport) -> int:
    """Say what was done; the exit status: 1 when something was rejected."""
    print(report.table())
    if report.rejected and report.path is not None:
        print(f"rejected rows: {report.path}")
    if not options.apply:
        print("Nothing was changed. Run it again with --apply.")
    return 1 if report.rejected else 0
