"""All servers through one workload after the other; figures are shown and kept as soon as they are there."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from tests.benchmarks.engine import report
from tests.benchmarks.engine.llama_bench import generation_rate
from tests.benchmarks.engine.measures import Figures
from tests.benchmarks.engine.rounds import measure
from tests.benchmarks.engine.servers import (
    ExampleServer,
    LlamaServer,
    LlamaServerAsItComes,
    LockedLlama,
    Measured,
    Ours,
    Place,
    ServerFailed,
)
from tests.benchmarks.engine.workloads import SINGLE_ANSWER, Workload

SERVERS = ("ours", "llama_server", "llama_server_as_it_comes", "locked_llama", "example_server")


class Comparison:
    """`failures` counts servers that did not start and requests that were not answered."""

    def __init__(self, options: argparse.Namespace, about: dict[str, Any], pool: ProcessPoolExecutor) -> None:
        self._options = options
        self._about = about
        self._pool = pool
        self.results: report.Results = {}
        self.failures = 0

    def run(self, workload: Workload) -> None:
        print(f"\n{workload.name}: {workload.clients} clients\n{report.HEADER}", flush=True)
        servers = self.results.setdefault(workload.name, {})
        for name in self._options.servers:
            bench = self._bench(workload) if (workload.name, name) == ("single", "ours") else None
            measured = self._measure(name, workload)
            if measured is None:
                continue
            if bench is not None:
                self._compare(workload, measured, bench)
            servers[name] = measured
            for part, figures in measured.items():
                print(report.row(name, part, figures), flush=True)
                self.failures += figures.errors
            self._keep()
        for rival, compared in report.ratios(self.results).get(workload.name, {}).items():
            print(f"ours / {rival}: " + ", ".join(f"{part} {ratio:.2f}" for part, ratio in compared.items()))

    def _measure(self, name: str, workload: Workload) -> dict[str, Figures] | None:
        with tempfile.TemporaryDirectory(prefix="engine-benchmark-") as folder:
            server = self._server(name, Place(self._options.model, workload, Path(folder), self._more(name)))
            if server is None:
                return None
            try:
                return measure(server, workload, self._options.model, self._pool)
            except ServerFailed as error:
                print(f"{name} failed: {error}", file=sys.stderr)
                self.failures += 1
                return None

    def _server(self, name: str, place: Place) -> Measured | None:
        """None for a rival whose program was not given."""
        options = self._options
        if name == "ours":
            return Ours(place)
        if name == "locked_llama":
            return LockedLlama(place)
        if name.startswith("llama_server"):
            kind = LlamaServer if name == "llama_server" else LlamaServerAsItComes
            return kind(place, options.llama_server) if options.llama_server else None
        return ExampleServer(place, options.example_server, options.example_python) if options.example_server else None

    def _more(self, name: str) -> tuple[str, ...]:
        options = self._options
        given = {
            "ours": options.our_settings,
            "llama_server": options.llama_server_arguments,
            "example_server": options.example_settings,
        }
        return tuple(given.get(name, "").split())

    def _bench(self, workload: Workload) -> float | None:
        """Just before our own turn: a shared machine changes its speed by the minute."""
        if self._options.llama_server is None:
            return None
        rate = generation_rate(self._options.llama_server, self._options.model, workload.longest - SINGLE_ANSWER)
        if rate is not None:
            print(f"llama-bench generates {rate:.1f} tokens a second", flush=True)
        return rate

    def _compare(self, workload: Workload, measured: dict[str, Figures], bench: float) -> None:
        """Before and after ours, so that a drift of the machine counts half."""
        again = self._bench(workload)
        rate = bench if again is None else (bench + again) / 2
        self._about["llama_bench_tokens_per_s"] = rate
        for figures in measured.values():
            figures.more["of_llama_bench"] = figures.decode_tokens_per_s / rate

    def _keep(self) -> None:
        if self._options.json:
            text = json.dumps(report.as_json(self.results, self._about), indent=1)
            self._options.json.write_text(text, encoding="utf-8")
