"""`models download`: fetch a model from the Hub in the terminal, or say what would be fetched."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ai_core.catalog.downloads.errors import DownloadError
from ai_core.catalog.downloads.job import DownloadJob
from ai_core.catalog.downloads.process import DownloadProcess
from ai_core.catalog.downloads.progress import Progress
from ai_core.catalog.downloads.request import DEFAULT_REVISION, FORMATS, DownloadRequest, require_token
from ai_core.catalog.downloads.run import Landed
from ai_core.catalog.memory import gib
from ai_core.catalog.registry import Registry
from ai_core.downloads import declare, download_options
from ai_core.settings import Settings
from ai_core.storage import ModelDownload

INTERRUPTED = 130  # what shells return for Ctrl-C
LINE_EVERY = 10  # percent, where the output is no terminal


def add_command(commands: Any) -> None:
    """Declare `download` among the actions of `models`."""
    parser = commands.add_parser("download", help="fetch a model from the Hugging Face Hub")
    parser.add_argument("name", metavar="NAME", help="owner/name on the Hub")
    parser.add_argument("--format", choices=FORMATS, help="default: the first of these that there is")
    parser.add_argument(
        "--filename", metavar="FILE", help="a file, or a quantisation such as Q4_K_M; default: what fits"
    )
    parser.add_argument(
        "--revision", default=DEFAULT_REVISION, help="a branch, a tag or a commit; default: %(default)s"
    )
    parser.add_argument(
        "--token-file", type=Path, metavar="FILE", help="holds a token for a private or gated model; - reads it here"
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would be fetched")
    parser.set_defaults(command=_download)


def _download(settings: Settings, options: argparse.Namespace) -> int:
    registry = Registry(settings.models_file, settings.data_dir / "models")
    wanted = download_options(settings, registry.models)
    request = DownloadRequest(options.name, options.format, options.filename, options.revision)
    token = _token(options.token_file)
    where = (request, wanted.endpoint, wanted.models, wanted.load, wanted.patience)
    return _run(DownloadJob(*where, dry_run=options.dry_run, token=token), registry)


def _token(file: Path | None) -> str | None:
    """Never an argument: those are there for every user of the machine to read."""
    if file is None:
        return None
    return require_token((sys.stdin.readline() if str(file) == "-" else file.read_text(encoding="ascii")).strip())


def _run(job: DownloadJob, registry: Registry) -> int:
    process, display = DownloadProcess(job), _Display()
    event: Mapping[str, Any] = {}
    try:
        for event in process.events():
            display.show(event)
    except KeyboardInterrupt:
        process.kill()
        display.end()
        print("ai-core: interrupted; the same command goes on with what has come", file=sys.stderr)
        return INTERRUPTED
    display.end()
    if event["event"] == "failed":
        raise DownloadError(event["code"], event["message"])
    if job.dry_run:
        _say(job, display.planned)
        return 0
    planned = {name: display.planned[name] for name in ("commit", "format")}
    row = ModelDownload(model_name=job.request.model_name, had_token=job.token is not None, **planned)
    folder = Path(event["folder"])
    print(f"Written: {folder}; declared as {declare(registry, Landed(row, folder, Path(event['path'])))}")
    return 0


def _say(job: DownloadJob, planned: Mapping[str, Any]) -> None:
    print(f"{job.request.model_name} at {planned['commit'][:12]}, {planned['format']}:")
    for path, size in planned["files"]:
        print(f"  {gib(size):>10}  {path}")
    existing = next(place for place in (job.models, *job.models.parents) if place.exists())
    print(f"Would fetch {gib(planned['total'])} to {job.models}; {gib(shutil.disk_usage(existing).free)} are free.")
    if planned["reason"]:
        print(planned["reason"])


class _Display:
    """One line that is overwritten on a terminal; elsewhere one for each tenth and each trouble."""

    def __init__(self) -> None:
        self.planned: Mapping[str, Any] = {}
        self._progress = Progress()
        self._terminal = sys.stdout.isatty()
        self._shown: int | None = None

    def show(self, event: Mapping[str, Any]) -> None:
        if event["event"] == "planned":
            self._progress.total = event["total"]
            self.planned = event
        elif event["event"] == "bytes":
            self._progress.reach(event["done"])
            self._show_bytes(event["done"])
        elif event["event"] == "waiting":
            self.end()
            print(f"{event['message']} Next attempt in {event['seconds']:.0f} s.", flush=True)

    def _show_bytes(self, done: int) -> None:
        total = self._progress.total or 1
        percent = done * 100 // total
        step = 1 if self._terminal else LINE_EVERY
        if self._shown is not None and self._shown // step == percent // step:
            return
        self._shown = percent
        line = f"{percent} %: {gib(done)} of {gib(total)}"
        if self._progress.estimated_seconds:
            line += f", {gib(self._progress.bytes_per_second or 0)}/s, {self._progress.estimated_seconds} s left"
        print(f"\r\x1b[K{line}" if self._terminal else line, end="" if self._terminal else "\n", flush=True)

    def end(self) -> None:
        """Leave the line that is being overwritten."""
        if self._terminal and self._shown is not None:
            print()
            self._shown = None
