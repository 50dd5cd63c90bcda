"""What was measured, as one picture: the engine beside its peers, the API, Telegram, the search."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.benchmarks.report import PEERS

SHARES = ("p50", "p95", "p99")
Figures = Mapping[str, Any]


def draw(parts: Mapping[str, Figures], path: Path) -> None:
    """One panel for each part of which there are figures; no file where there are none."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    panels = [(drawn, parts[name]) for name, drawn in PANELS.items() if parts.get(name)]
    if not panels:
        return
    figure, axes = pyplot.subplots(1, len(panels), figsize=(4.5 * len(panels), 4), squeeze=False)
    for axis, (drawn, figures) in zip(axes[0], panels, strict=True):
        drawn(axis, figures)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def _engine(axis: Any, figures: Figures) -> None:
    servers = figures.get("shared_prefix", {})
    for offset, part in enumerate(("cold", "warm")):
        rates = [rounds[part]["output_tokens_per_s"] for rounds in servers.values()]
        axis.bar([place + 0.4 * offset - 0.2 for place in range(len(rates))], rates, width=0.38, label=part)
    axis.set_xticks(range(len(servers)), [PEERS[name] for name in servers], rotation=20, ha="right", fontsize=8)
    axis.set_title("output tokens a second, many clients, one prefix", fontsize=9)
    axis.legend()


def _api(axis: Any, figures: Figures) -> None:
    steady = figures.get("steady", {})
    kinds = [label.removesuffix(", p50 (ms)") for label in steady if label.endswith(", p50 (ms)")]
    for offset, share in enumerate(SHARES):
        heights = [steady[f"{kind}, {share} (ms)"] for kind in kinds]
        axis.bar([place + 0.27 * offset - 0.27 for place in range(len(kinds))], heights, width=0.25, label=share)
    axis.set_xticks(range(len(kinds)), kinds, rotation=20, ha="right", fontsize=8)
    axis.set_yscale("log")
    axis.set_title(f"API, ms, {steady.get('requests a minute', 0):.0f} requests a minute", fontsize=9)
    axis.legend()


def _telegram(axis: Any, figures: Figures) -> None:
    labels = {"first reply, median (s)": "first, median", "first reply, 99 % (s)": "first, 99 %",
              "whole answer, median (s)": "whole, median", "whole answer, 99 % (s)": "whole, 99 %"}  # fmt: skip
    crowd = figures.get("crowd", {})
    axis.bar(list(labels.values()), [crowd.get(label, 0.0) for label in labels])
    axis.tick_params(axis="x", labelsize=8)
    axis.set_title(f"Telegram, s, {crowd.get('people', 0)} people at once", fontsize=9)


def _search(axis: Any, figures: Figures) -> None:
    names = ("hit_1", "hit_5", "hit_10", "mrr_10")
    for offset, row in enumerate(figures["figures"][:2]):
        places = [place + 0.4 * offset - 0.2 for place in range(len(names))]
        axis.bar(places, [row[name] for name in names], width=0.38, label=row["name"])
    axis.set_xticks(range(len(names)), ("hit@1", "hit@5", "hit@10", "MRR@10"))
    axis.set_title(f"search, {figures['questions']} questions", fontsize=9)
    axis.legend()


PANELS: dict[str, Callable[[Any, Figures], None]] = {
    "engine": _engine,
    "api": _api,
    "telegram": _telegram,
    "search": _search,
}
