"""Everything measured in one go: `python -m tests.benchmarks [--mode short|full]` (`make bench`).

Runs the benches of engine, search, API, Telegram and mail one after the other, each the command that it is by itself,
then prints SPEC's targets with what was measured. `build/bench.json` keeps all of it, `build/bench.png` draws it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ai_core.settings import EMBEDDED_MODEL
from tests.benchmarks import plots, random_model, report
from tests.benchmarks.engine.machine import describe
from tests.benchmarks.parts import MODES, ROOT, Run, parts, run
from tests.benchmarks.targets import judge

NAMES = tuple(MODES["short"])


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when every bench ran without a failure and every target that was measured is held."""
    options = _options(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    about = {**describe(options.model), "mode": options.mode}
    runs: dict[str, Run] = {}
    model, engine = ["--model", _shown(options.model)], ["--model", _shown(_engine_model(options)), *_engine(options)]
    for part in parts(options.mode, model=model, engine=engine, questions=options.questions):
        if part.name in options.only:
            print(f"\n== {part.name}: {part.left_out or part.command}", flush=True)
            runs[part.name] = run(part, options.out / f"{part.name}.json")
            _keep(options.out, about, runs)
    bench = _keep(options.out, about, runs)
    print(f"\n{report.markdown(bench)}\n")
    print("\n".join(f"{name}: {done.seconds:.0f} s, exit status {done.status}" for name, done in runs.items()))
    return int(any(done.status for done in runs.values()) or any(row["held"] is False for row in bench["targets"]))


def _keep(out: Path, about: Mapping[str, Any], runs: Mapping[str, Run]) -> dict[str, Any]:
    """After each part: whoever breaks the run off keeps what there is."""
    figures = {name: done.figures for name, done in runs.items()}
    commands = {name: done.command for name, done in runs.items()}
    targets = [asdict(verdict) for verdict in judge(figures, commands)]
    bench = {"about": about, "targets": targets, "parts": {name: asdict(done) for name, done in runs.items()}}
    (out / "bench.json").write_text(json.dumps(bench, indent=1) + "\n", encoding="utf-8")
    plots.draw(figures, out / "bench.png")
    return bench


def _shown(path: Path) -> str:
    """As one types it in the repository's folder."""
    whole = path.absolute()
    return str(whole.relative_to(ROOT) if whole.is_relative_to(ROOT) else whole)


def _engine_model(options: argparse.Namespace) -> Path:
    """The one given, else one of the size that SPEC's targets name: made once, in about a minute."""
    if options.engine_model is not None:
        return Path(options.engine_model)
    made: Path = options.out / "random-0.4b.gguf"
    if "engine" in options.only and not made.is_file():
        print(f"making {made} ...", flush=True)
        random_model.write_random_model(made, random_model.SHAPES["0.4b"])
    return made


def _engine(options: argparse.Namespace) -> list[str]:
    """The options of the engine bench beside its model."""
    more = ["--plot", str(options.out / "engine.png"), *options.engine_arguments.split()]
    for name in ("llama_server", "example_server"):
        path = getattr(options, name)
        if path is not None:
            more += [f"--{name.replace('_', '-')}", _shown(path)]
    return more


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="measure everything")
    add = parser.add_argument
    add("--mode", choices=tuple(MODES), default="short", help="short: about ten minutes; full: about an hour")
    add("--model", type=Path, default=EMBEDDED_MODEL, help="GGUF of the API (default: the embedded one)")
    add(
        "--engine-model", type=Path, metavar="MODEL", help="of the engine (default: 0.4 B of random weights, made here)"
    )
    add("--llama-server", type=Path, metavar="PATH", help="llama.cpp's server, a peer of the engine")
    add("--example-server", type=Path, metavar="PATH", help="llama-cpp-python's examples/server/server.py, another")
    add("--engine-arguments", default="", metavar="'--clients 8 ...'", help="more options of the engine bench")
    add("--questions", type=Path, metavar="FILE", help="JSON list of {query, gold}, for the search")
    add("--only", nargs="+", choices=NAMES, default=NAMES, help="the parts to run")
    add("--out", type=Path, default=Path("build"), metavar="FOLDER", help="default: %(default)s")
    options = parser.parse_args(arguments)
    if shutil.which("redis-server") is None:
        parser.error("redis-server is not installed: tests/system_packages.sh")
    for path in (options.model, options.engine_model, options.llama_server, options.example_server, options.questions):
        if path is not None and not path.is_file():
            parser.error(f"{path}: no such file")
    return options


if __name__ == "__main__":
    sys.exit(main())
