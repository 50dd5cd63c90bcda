"""The engine measured: `python -m tests.benchmarks.engine --model FILE.gguf [--llama-server PATH] [--json OUT] ...`.

Our HTTP server, llama-cpp-python's `Llama` behind a lock and, where they are given, llama.cpp's llama-server and
llama-cpp-python's example server get the same prompts (token for token) from the same clients in one run, one server
after the other, each workload on a fresh process, cold and warm. Answers are greedy; nobody is told to write on after
the end of an answer. How figures are made is in measures, what is asked in workloads.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from ai_core.knowledge.errors import KnowledgeError
from tests.benchmarks.engine import report
from tests.benchmarks.engine.comparison import SERVERS, Comparison
from tests.benchmarks.engine.grounded_questions import GroundedQuestions
from tests.benchmarks.engine.machine import describe
from tests.benchmarks.engine.prompt_reader import PromptReader
from tests.benchmarks.engine.workloads import WORKLOADS, Material, Workload


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when every server answered every request."""
    options = _options(arguments)
    about = describe(options.model)
    print(f"{about['cpu']}, {about['cores']} cores, load {about['load_before']}; {options.model.name}; greedy")
    try:
        workloads = _workloads(options, about)
    except (KnowledgeError, ValueError) as error:
        print(f"bench-engine: {error}", file=sys.stderr)
        return 2
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        comparison = Comparison(options, about, pool)
        for workload in workloads:
            comparison.run(workload)
    if options.plot:
        report.plot(comparison.results, options.plot)
    return 1 if comparison.failures else 0


def _workloads(options: argparse.Namespace, about: dict[str, object]) -> list[Workload]:
    reader = PromptReader(options.model)
    try:

        def grounded(number: int) -> Sequence[str]:
            questions = GroundedQuestions(options.legi, reader.count)
            about["articles"] = questions.source
            print(f"articles: {questions.source}")
            return questions.take(number)

        material = Material(reader, options.clients, grounded)
        return [WORKLOADS[name](material) for name in options.workloads]
    finally:
        reader.close()


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.engine", description="measure the engine")
    add = parser.add_argument
    add("--model", type=Path, required=True, help="GGUF; see tests.benchmarks.random_model")
    add("--llama-server", type=Path, metavar="PATH", help="llama.cpp's server; a llama-bench beside it is used too")
    add("--example-server", type=Path, metavar="PATH", help="llama-cpp-python's examples/server/server.py")
    add("--example-python", type=Path, metavar="PATH", default=Path(sys.executable), help="that has what it imports")
    add("--clients", type=int, default=32, help="of shared_prefix; others have a share (default: %(default)s)")
    add("--legi", type=Path, metavar="FILE", help="legi-data package or JSON; default: the newest from the registry")
    add("--json", type=Path, metavar="OUT", help="write the figures there too")
    add("--plot", type=Path, metavar="OUT.png", help="draw them")
    add("--workloads", type=_names(WORKLOADS), default=list(WORKLOADS), help=f"default: {','.join(WORKLOADS)}")
    add("--servers", type=_names(SERVERS), default=list(SERVERS), help=f"default: {','.join(SERVERS)}")
    add("--our-settings", default="", metavar="'NAME=VALUE ...'", help="more environment for our server")
    add("--llama-server-arguments", default="", metavar="'-kvu ...'", help="more options for llama-server")
    add("--example-settings", default="", metavar="'n_batch=128 ...'", help="other settings of the example's model")
    options = parser.parse_args(arguments)
    if options.clients < 1:
        parser.error("--clients: at least 1")
    for path in (options.model, options.llama_server, options.example_server, options.legi):
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
