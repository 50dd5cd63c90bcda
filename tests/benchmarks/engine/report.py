"""What is shown and kept: the table, the JSON, the plot."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.benchmarks.engine.measures import Figures

ROUNDS = ("cold", "warm")
Results = dict[str, dict[str, dict[str, Figures]]]
"""Workload, server, round."""

HEADER = (
    f"{'':<32} {'tok/s':>7} {'ttft50':>7} {'ttft95':>7} {'itl95':>7} {'prefill':>8} {'reused':>8} {'MiB':>6}"
    f" {'tokens':>7} {'s':>6} {'errors':>6}"
)


def row(server: str, part: str, figures: Figures) -> str:
    """One line of the table."""
    text = (
        f"{server + ' ' + part:<32} {figures.output_tokens_per_s:7.1f} {figures.ttft_p50_s:7.2f}"
        f" {figures.ttft_p95_s:7.2f} {figures.itl_p95_s:7.3f} {figures.prefill_tokens:8d} {figures.reused_tokens:8d}"
        f" {figures.rss_bytes / 2**20:6.0f} {figures.output_tokens:7d} {figures.wall_s:6.1f} {figures.errors:6d}"
    )
    lines = [text, *(f"    {name}: {value:.3f}" for name, value in figures.more.items())]
    if figures.first_error is not None:
        lines.append(f"    first error: {figures.first_error}")
    return "\n".join(lines)


def ratios(results: Results) -> dict[str, dict[str, dict[str, float]]]:
    """Output tokens a second, ours over each rival's: workload, rival, round."""
    compared: dict[str, dict[str, dict[str, float]]] = {}
    for workload, servers in results.items():
        ours = servers.get("ours", {})
        for rival, rounds in servers.items():
            if rival != "ours" and ours:
                compared.setdefault(workload, {})[rival] = {
                    part: ours[part].output_tokens_per_s / figures.output_tokens_per_s
                    for part, figures in rounds.items()
                    if part in ours and figures.output_tokens_per_s
                }
    return compared


def as_json(results: Results, about: Mapping[str, Any]) -> dict[str, Any]:
    """Workload, server, round, figure; `about` says how it was measured."""
    return {
        **{
            workload: {
                server: {part: figures.as_json() for part, figures in rounds.items()}
                for server, rounds in servers.items()
            }
            for workload, servers in results.items()
        },
        "about": {**about, "ratios": ratios(results)},
    }


def plot(results: Results, path: Path) -> None:
    """Bars for each workload: output tokens a second above, time to first token below."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    shown = (("output_tokens_per_s", "output tokens / s"), ("ttft_p50_s", "time to first token, p50 (s)"))
    figure, axes = pyplot.subplots(len(shown), len(results), figsize=(4 * len(results), 7), squeeze=False)
    for column, (workload, servers) in enumerate(results.items()):
        for line, (name, label) in enumerate(shown):
            axis = axes[line][column]
            for offset, part in enumerate(ROUNDS):
                heights = [getattr(rounds[part], name) if part in rounds else 0.0 for rounds in servers.values()]
                places = [number + 0.4 * offset - 0.2 for number in range(len(heights))]
                axis.bar(places, heights, width=0.38, label=part)
            axis.set_xticks(range(len(servers)), list(servers), rotation=30, ha="right", fontsize=8)
            axis.set_ylabel(label if column == 0 else "")
            axis.set_title(workload if line == 0 else "")
    axes[0][0].legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
