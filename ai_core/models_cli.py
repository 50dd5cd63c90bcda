"""The `models` commands: look at a model, convert it to GGUF, quantise it; download_cli.py fetches one."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from ai_core import download_cli
from ai_core.catalog.conversion import best_quantisation, conversion_job, plan_conversion
from ai_core.catalog.inspection import Inspection, inspect
from ai_core.catalog.job import Job, JobStatus
from ai_core.catalog.machine_memory import available_bytes
from ai_core.catalog.memory import Load, gib
from ai_core.catalog.quantisation import plan_quantisation, quantisation_job
from ai_core.catalog.quantised_size import PRECISIONS, QUANTISATIONS, named
from ai_core.settings import Settings

INTERRUPTED = 130  # what shells return for Ctrl-C
LOOK_EVERY = 0.2  # seconds
LINE_EVERY = 10  # percent, where the output is no terminal
AUTO = "auto"


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Declare the actions of `models`."""
    commands = parser.add_subparsers(required=True, metavar="ACTION")
    look = commands.add_parser("inspect", help="what a model is, what memory it needs, whether it fits")
    look.add_argument("path", type=Path, metavar="PATH", help="a file or a folder")
    look.set_defaults(command=_inspect)

    download_cli.add_command(commands)

    convert = commands.add_parser("convert", help="make a GGUF file of a safetensors or PyTorch folder")
    convert.add_argument("folder", type=Path, metavar="FOLDER")
    names = ", ".join((AUTO, *PRECISIONS, *QUANTISATIONS))
    convert.add_argument("--to", default=AUTO, metavar="TYPE", help=f"{names}; default: {AUTO}, the best that fits")
    convert.add_argument(
        "--source", type=Path, metavar="FILE", help="llama-cpp-python's source package at hand (.tar.gz)"
    )
    _writing_options(convert)
    convert.set_defaults(command=_convert)

    quantize = commands.add_parser("quantize", help="make a smaller GGUF file of an f32, f16 or bf16 one")
    quantize.add_argument("file", type=Path, metavar="FILE")
    quantize.add_argument("--to", required=True, metavar="TYPE", help=", ".join(QUANTISATIONS))
    _writing_options(quantize)
    quantize.set_defaults(command=_quantize)


def _writing_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, metavar="FILE", help="the file to write; default: beside the model")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be written")


def _inspect(settings: Settings, options: argparse.Namespace) -> int:
    print_inspection(inspect(options.path, _load(settings)), available_bytes())
    return 0


def _convert(settings: Settings, options: argparse.Namespace) -> int:
    to = best_quantisation(options.folder, _load(settings)) if options.to == AUTO else named(options.to)
    plan = plan_conversion(options.folder, to, options.out)
    if options.dry_run:
        between = f", and {gib(plan.between_bytes)} for a file in between" if plan.between else ""
        return _say_plan(plan.target, plan.target_bytes, between)
    return run(conversion_job(plan, settings.data_dir, source_package=options.source))


def _quantize(_: Settings, options: argparse.Namespace) -> int:
    plan = plan_quantisation(options.file, named(options.to, QUANTISATIONS), options.out)
    if options.dry_run:
        return _say_plan(plan.target, plan.target_bytes, f", from {gib(plan.source_bytes)}")
    return run(quantisation_job(plan))


def print_inspection(seen: Inspection, available: int) -> None:
    """One line for each thing known about the model."""
    needs = seen.needs
    parts = f"weights {gib(needs.weights)}, cache {gib(needs.cache)}, computing {gib(needs.compute)}"
    fits = "it fits" if needs.total <= available else "it does not fit"
    for name, value in (
        ("Model", str(seen.path)),
        ("Format", seen.format.value),
        ("Architecture", seen.architecture),
        ("Parameters", _count(seen.parameters)),
        ("Quantisation", seen.quantisation or "unknown"),
        ("Context", f"{seen.context_length} tokens" if seen.context_length else "unknown"),
        ("Chat template", "yes" if seen.has_chat_template else "no"),
        ("Needs", f"{gib(needs.total)} of memory ({parts})"),
        ("Available", f"{gib(available)}: {fits}"),
    ):
        print(f"{name + ':':<15}{value}")


def run(job: Job) -> int:
    """Run `job` to its end, showing where it is; Ctrl-C cancels it. Returns the exit status."""
    display = _Display(job)
    job.start()
    try:
        while not job.wait(LOOK_EVERY):
            display.show()
    except KeyboardInterrupt:
        job.cancel()
        job.wait()
    display.end()
    if job.status is JobStatus.DONE:
        assert job.result is not None
        print(f"Written: {job.result} ({gib(job.result.stat().st_size)})")
        return 0
    if job.status is JobStatus.CANCELLED:
        print("ai-core: cancelled; nothing was written", file=sys.stderr)
        return INTERRUPTED
    print(f"ai-core: {job.error}", file=sys.stderr)
    return 1


class _Display:
    """One line that is overwritten on a terminal; elsewhere a line for each step and each tenth."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._terminal = sys.stdout.isatty()
        self._shown: tuple[str, int] | None = None

    def show(self) -> None:
        step, percent = self._job.step, self._job.percent
        seen = (step, percent if self._terminal else percent // LINE_EVERY)
        if step and seen != self._shown:
            self._shown = seen
            line = f"{step} ... {percent} %"
            print(f"\r\x1b[K{line}" if self._terminal else line, end="" if self._terminal else "\n", flush=True)

    def end(self) -> None:
        if self._terminal and self._shown is not None:
            print()


def _say_plan(target: Path, size: int, besides: str) -> int:
    existing = next(place for place in target.parents if place.exists())
    print(f"Would write {target}: about {gib(size)}{besides}; {gib(shutil.disk_usage(existing).free)} are free.")
    return 0


def _load(settings: Settings) -> Load:
    return Load(slots=settings.engine_slots, context_length=settings.engine_context_length or None)


def _count(parameters: int | None) -> str:
    if parameters is None:
        return "unknown"
    if parameters >= 10**9:
        return f"{parameters / 10**9:.1f} billion"
    return f"{parameters / 10**6:.1f} million"
