"""The command, installed as `code-du-travail-backup`. Exit status 0: done; 1: not done; 2: the plan is wrong."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from common.backup import metrics, target
from common.backup.backup import alone, make, megabytes, parts, require_room
from common.backup.errors import BackupError
from common.backup.keeping import archives, prune
from common.backup.plan import Plan
from common.backup.restore import restore
from common.backup.seal import verify

PLAN = Path("/etc/code-du-travail/backup.json")
IDENTITY_BEGINS = "AGE-SECRET-KEY-"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command."""
    options = _parser().parse_args(arguments)
    try:
        plan = Plan.read(options.plan)
    except BackupError as error:
        print(f"code-du-travail-backup: {error}", file=sys.stderr)
        return 2
    try:
        command: Callable[[Plan, argparse.Namespace], int] = options.command
        return command(plan, options)
    except (BackupError, OSError) as error:
        print(f"code-du-travail-backup: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="code-du-travail-backup", description="Keeps this host's data, and restores it."
    )
    parser.add_argument("--plan", type=Path, default=PLAN, help=f"default: {PLAN}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="make an archive, send it to the target, remove old ones")
    run.add_argument("--dry-run", action="store_true", help="say what would be kept, and whether there is room")
    run.set_defaults(command=_run)
    commands.add_parser("list", help="the archives of this host").set_defaults(command=_list)
    commands.add_parser("fetch", help="bring this host's archives back from the target").set_defaults(command=_fetch)
    check = commands.add_parser("verify", help="whether every byte is as it was signed")
    check.add_argument("archive", type=Path, nargs="?", help="default: the newest")
    check.set_defaults(command=_verify)
    back = commands.add_parser("restore", help="put an archive back; stop the services and Redis first")
    back.add_argument("archive", type=Path, nargs="?", help="default: the newest")
    back.add_argument("--of-host", help="the host that it is of, where that is not this one")
    back.add_argument("--dry-run", action="store_true", help="verify, decrypt and compare; change nothing")
    back.set_defaults(command=_restore)
    back.description = "Reads age's identity (AGE-SECRET-KEY-...) from its standard input."
    return parser


def _run(plan: Plan, options: argparse.Namespace) -> int:
    if options.dry_run:
        found = parts(plan)
        for part in found:
            print(f"{megabytes(part.size):>12}  {part.name}")
        require_room(plan, found)
        print(f"There is room. To: {plan.folder}{', ' + plan.target if plan.target else ''}. Nothing was done.")
        return 0
    with alone(plan.folder):
        for name in prune(plan.folder, plan.host, plan.keep_days):
            _say(f"Removed for its age: {name}")
        archive = make(plan, _say)
        sent = _send(plan)
    if plan.metrics is not None:
        metrics.write(plan.metrics, archive, sent=sent)
    return 0 if sent else 1


def _send(plan: Plan) -> bool:
    if not plan.target:
        return True
    try:
        target.send(plan)
    except (BackupError, OSError) as error:
        print(f"code-du-travail-backup: kept here, but not sent: {error}", file=sys.stderr)
        return False
    _say("Sent.")
    return True


def _list(plan: Plan, _: argparse.Namespace) -> int:
    for kept in archives(plan.folder, plan.host):
        print(f"{kept.made_at:%Y-%m-%d %H:%M:%S}  {megabytes(kept.path.stat().st_size):>10}  {kept.path}")
    return 0


def _fetch(plan: Plan, _: argparse.Namespace) -> int:
    if not plan.target:
        raise BackupError("the plan names no target")
    with alone(plan.folder):
        target.fetch(plan)
    return _list(plan, _)


def _verify(plan: Plan, options: argparse.Namespace) -> int:
    archive = options.archive or _newest(plan, plan.host)
    verify(archive, plan.keys)
    print(f"{archive.name}: every byte is as it was signed.")
    return 0


def _restore(plan: Plan, options: argparse.Namespace) -> int:
    identity = sys.stdin.read()
    if IDENTITY_BEGINS not in identity:
        raise BackupError("give the identity (AGE-SECRET-KEY-...) on standard input")
    archive = options.archive or _newest(plan, options.of_host or plan.host)
    with alone(plan.folder):
        restore(plan, archive, identity, _say, of_host=options.of_host, dry=options.dry_run)
    return 0


def _newest(plan: Plan, host: str) -> Path:
    kept = archives(plan.folder, host)
    if not kept:
        raise BackupError(f"{plan.folder}: there is no archive of {host}")
    return kept[-1].path


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
