"""The engine measured: `python -m tests.benchmarks.engine --model FILE.gguf [--llama-server PATH] [--json OUT] ...`.

Our HTTP server, llama-cpp-python's `Llama` behind a lock and, where they are given, llama.cpp's llama-server and
llama-cpp-python's example server get the same prompts (token for token) from the same clients in one run, one server
after the other, each on a fresh process, cold and warm. Answers are greedy. See measures for how figures are made.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import tempfile
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.benchmarks.engine import report
from tests.benchmarks.engine.machine import describe
from tests.benchmarks.engine.prompt_reader import PromptReader
from tests.benchmarks.engine.rounds import measure
from tests.benchmarks.engine.servers import (
    ExampleServer,
    LlamaServer,
    LockedLlama,
    Measured,
    Ours,
    Place,
    ServerFailed,
)
from tests.benchmarks.engine.workloads import Workload, shared_prefix

WORKLOADS: dict[str, Callable[[PromptReader, int], Workload]] = {"shared_prefix": shared_prefix}
SERVERS = ("ours", "llama_server", "locked_llama", "example_server")


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    about = describe(options.model)
    print(f"{about['cpu']}, {about['cores']} cores, load {about['load_before']}; {options.model.name}")
    reader = PromptReader(options.model)
    workloads = [WORKLOADS[name](reader, options.clients) for name in options.workloads]
    results: report.Results = {}
    failures = 0
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        for workload in workloads:
            print(f"\n{workload.name}: {workload.clients} clients\n{report.HEADER}", flush=True)
            for name in options.servers:
                with tempfile.TemporaryDirectory(prefix="engine-benchmark-") as folder:
                    place = Place(options.model, workload, Path(folder), tuple(_arguments_of(name, options)))
                    try:
                        server = _server(name, place, options)
                        if server is None:
                            continue
                        measured = measure(server, place, pool)
                    except ServerFailed as error:
                        print(f"{name}: {error}", file=sys.stderr)
                        failures += 1
                        continue
                results.setdefault(workload.name, {})[name] = measured
                for part, figures in measured.items():
                    print(report.row(name, part, figures), flush=True)
                _keep(results, about, options)
            for rival, compared in report.ratios(results).get(workload.name, {}).items():
                print(f"ours / {rival}: " + ", ".join(f"{part} {ratio:.2f}" for part, ratio in compared.items()))
    return 1 if failures else 0


def _server(name: str, place: Place, options: argparse.Namespace) -> Measured | None:
    """None for a rival whose program was not given."""
    if name == "ours":
        return Ours(place)
    if name == "locked_llama":
        return LockedLlama(place)
    if name == "llama_server":
        return LlamaServer(place, options.llama_server) if options.llama_server else None
    return ExampleServer(place, options.example_server, options.example_python) if options.example_server else None


def _arguments_of(name: str, options: argparse.Namespace) -> list[str]:
    given: dict[str, str] = {
        "ours": options.our_settings,
        "llama_server": options.llama_server_arguments,
        "example_server": options.example_settings,
    }
    return given.get(name, "").split()


def _keep(results: report.Results, about: dict[str, object], options: argparse.Namespace) -> None:
    if options.json:
        options.json.write_text(json.dumps(report.as_json(results, about), indent=1), encoding="utf-8")
    if options.plot:
        report.plot(results, options.plot)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.engine", description="measure the engine")
    parser.add_argument("--model", type=Path, required=True, help="GGUF; see tests.benchmarks.random_model")
    parser.add_argument("--llama-server", type=Path, metavar="PATH", help="llama.cpp's server")
    parser.add_argument(
        "--example-server", type=Path, metavar="PATH", help="llama-cpp-python's examples/server/server.py"
    )
    parser.add_argument("--example-python", type=Path, default=Path(sys.executable), help="with what that script needs")
    parser.add_argument("--clients", type=int, default=32, help="of shared_prefix; others have a share of it")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the figures there too")
    parser.add_argument("--plot", type=Path, metavar="OUT.png", help="draw them")
    parser.add_argument("--workloads", type=_names(WORKLOADS), default=list(WORKLOADS), help=",".join(WORKLOADS))
    parser.add_argument("--servers", type=_names(SERVERS), default=list(SERVERS), help=",".join(SERVERS))
    parser.add_argument("--our-settings", default="", metavar="'NAME=VALUE ...'", help="environment of our server")
    parser.add_argument("--llama-server-arguments", default="", metavar="'-kvu ...'", help="more of its options")
    parser.add_argument(
        "--example-settings", default="", metavar="'name=JSON ...'", help="more of its model's settings"
    )
    options = parser.parse_args(arguments)
    for path in (options.model, options.llama_server, options.example_server):
        if path is not None and not path.is_file():
            parser.error(f"{path}: no such file")
    return options


def _names(known: Collection[str]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        names = text.split(",")
        unknown = [name for name in names if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: choose from {', '.join(known)}")
        return names

    return parse


if __name__ == "__main__":
    sys.exit(main())
