"""The earlier .env becomes the environment file and the secret files of one service."""

# ruff: noqa: T201 - a command line prints

from __future__ import annotations

import argparse
import os
import shutil
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from common.legacy.dotenv import Assignment, as_environment_line, read_dotenv
from common.legacy.old_names import OLD_NAMES
from common.legacy.report import ImportReport

KIND = "variables"
PRIVATE = 0o600


@dataclass(slots=True)
class ServiceEnvironment:
    """What one service takes over: `settings` for its environment file, `secrets` for files of their own, both by their
    new names; `told` is a line for each variable, without any value."""

    settings: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)


def import_environment(options: argparse.Namespace, service: str, report: ImportReport) -> None:
    """What --env names, for `service`; with --apply into --to. Raises OSError."""
    if options.env is None:
        return
    mapped = map_environment(options.env, service, report)
    print("\n".join(mapped.told))
    if options.apply:
        for path in write_environment(mapped, service, options.to):
            print(f"written: {path}")


def map_environment(path: Path, service: str, report: ImportReport) -> ServiceEnvironment:
    """Read the .env at `path` for `service`. Raises OSError."""
    result = ServiceEnvironment()
    assignments = read_dotenv(path.read_bytes())
    last = {each.name: each.line for each in assignments}
    for each in assignments:
        told = _outcome(each, service, last, result, path, report)
        result.told.append(f"{path.name}:{each.line:<4} {each.name or '(no name)':<28} {told}")
    return result


def _outcome(
    each: Assignment,
    service: str,
    last: dict[str, int],
    result: ServiceEnvironment,
    path: Path,
    report: ImportReport,
) -> str:
    known = OLD_NAMES.get(each.name)
    if each.problem is not None:
        report.reject(KIND, path.name, each.line, each.problem)
        return f"rejected: {each.problem}"
    if last[each.name] != each.line:
        report.count(KIND, "ignored")
        return f"ignored: line {last[each.name]} assigns it again"
    if known is None:
        report.count(KIND, "unknown")
        return "unknown: not taken over"
    if not known.new:
        report.count(KIND, "ignored")
        return f"ignored: {known.reason}"
    if service not in known.new:
        report.count(KIND, "of others")
        return f"for {', '.join(known.new)}"
    if not each.value or each.is_placeholder:
        report.count(KIND, "ignored")
        return "ignored: " + ("the example's value" if each.value else "empty")
    new = known.new[service]
    (result.secrets if known.secret or "\n" in each.value else result.settings)[new] = each.value
    report.count(KIND, "mapped")
    return f"mapped to {new}" + (", in a file of its own" if new in result.secrets else "")


def write_environment(mapped: ServiceEnvironment, service: str, folder: Path) -> list[Path]:
    """Write `folder`/SERVICE.env and `folder`/credentials/SERVICE/NAME; only their owner reads them. What is there with
    another content is kept beside it, with the time in its name. Returns what was written anew. Raises OSError."""
    lines = [as_environment_line(name, value) for name, value in sorted(mapped.settings.items())]
    wanted = {folder / f"{service}.env": "".join(f"{line}\n" for line in lines)}
    for name, value in mapped.secrets.items():
        wanted[folder / "credentials" / service / name] = value
    return [path for path, text in wanted.items() if _write(path, text)]


def _write(path: Path, text: str) -> bool:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists():
        if path.read_text(encoding="utf-8") == text:
            return False
        stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S.%f")
        shutil.copy2(path, path.with_name(f"{path.name}.{stamp}.bak"))
    new = path.with_name(f".{path.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    return True
