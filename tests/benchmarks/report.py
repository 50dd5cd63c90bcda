"""What was measured, as Markdown: `python -m tests.benchmarks.report build/bench.json`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

HEAD = ("target", "wanted", "measured", "held", "command")
HELD = {True: "yes", False: "**no**", None: ""}
PEERS = {"ours": "ours", "llama_server": "llama-server, a slot for each client",
         "llama_server_as_it_comes": "llama-server as it comes", "locked_llama": "`Llama` behind a lock",
         "example_server": "llama-cpp-python's example server"}  # fmt: skip


def markdown(bench: Mapping[str, Any]) -> str:
    """Where and when, the targets, and the engine beside its peers where it was measured."""
    parts = [_about(bench), _table(HEAD, [_row(verdict) for verdict in bench["targets"]])]
    engine = bench["parts"].get("engine", {}).get("figures", {})
    if "shared_prefix" in engine:
        parts.append(_peers(engine))
    parts += [f"Not measured: {name}: {part['left_out']}." for name, part in bench["parts"].items() if part["left_out"]]
    return "\n\n".join(parts)


def _about(bench: Mapping[str, Any]) -> str:
    about = bench["about"]
    return (
        f"{about['measured_at']}, {about['mode']} mode, {about['cpu']}, {about['cores']} cores,"
        f" {about['memory_bytes'] / 2**30:.0f} GiB, load {about['load_before']} before it began;"
        f" model {about['model']} ({about['model_bytes'] / 1e6:,.0f} MB)."
    )


def _row(verdict: Mapping[str, Any]) -> list[str]:
    shown = _shown(verdict["measured"], verdict["unit"])
    return [verdict["target"], verdict["wanted"], shown, HELD[verdict["held"]], f"`{verdict['command']}`"]


def _shown(measured: float | None, unit: str) -> str:
    if measured is None:
        return "not measured"
    return (f"{measured:,.4g}" if measured < 1_000 else f"{measured:,.0f}") + (f" {unit}" if unit else "")


def _peers(engine: Mapping[str, Any]) -> str:
    """Output tokens a second of every workload and server; the first number is the cold round, the second the warm."""
    workloads = [name for name in engine if name != "about"]
    servers = [name for name in PEERS if any(name in engine[workload] for workload in workloads)]
    rows = [[workload, *(_rates(engine[workload].get(server)) for server in servers)] for workload in workloads]
    model = engine["about"]["model"]
    return f"The engine with {model}: output tokens a second, cold / warm:\n\n" + _table(
        ("workload", *(PEERS[server] for server in servers)), rows
    )


def _rates(rounds: Mapping[str, Any] | None) -> str:
    if rounds is None:
        return ""
    return " / ".join(f"{figures['output_tokens_per_s']:.0f}" for figures in rounds.values())


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.report", description=__doc__)
    parser.add_argument("file", type=Path, help="what `python -m tests.benchmarks` wrote")
    options = parser.parse_args(arguments)
    print(markdown(json.loads(options.file.read_text(encoding="utf-8"))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
