"""The samples of a soak over time: one panel for each kind of figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path


def draw(taken: Sequence[Mapping[str, float]], path: Path) -> None:
    """Each figure beside the others of its kind; minutes from left to right."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    minutes = [(sample["at"] - taken[0]["at"]) / 60 for sample in taken]
    kinds: dict[str, list[str]] = {}
    for figure in taken[-1]:
        if figure != "at":
            kinds.setdefault(figure.split(": ")[-1] if not figure.startswith("Redis") else figure, []).append(figure)
    drawing, axes = pyplot.subplots(2, 3, figsize=(15, 8))
    for axis, (kind, figures) in zip(axes.flat, kinds.items(), strict=True):
        for figure in figures:
            axis.plot(minutes, [sample[figure] for sample in taken], label=figure.split(": ")[0])
        axis.set_title(kind, fontsize=10)
        axis.set_xlabel("minutes", fontsize=8)
        axis.set_ylim(bottom=0)
        axis.legend(fontsize=7)
    drawing.tight_layout()
    drawing.savefig(path, dpi=120)
    pyplot.close(drawing)
