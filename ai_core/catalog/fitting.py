"""The best form of a model that fits in memory: which quantisation to make, or which of those at hand to load."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ai_core.catalog import memory, model_folder
from ai_core.catalog.errors import BrokenModel
from ai_core.catalog.formats import Format
from ai_core.catalog.machine_memory import available_bytes
from ai_core.catalog.memory import Load, Needs
from ai_core.catalog.quantised_size import QUANTISATIONS, Quantisation, quantised_bytes, weights_of
from ai_core.catalog.stored_weights import shape_of


@dataclass(frozen=True, slots=True)
class Fit:
    """A quantisation and what the model would need with it."""

    quantisation: Quantisation
    needs: Needs


def fitting(path: Path, format_: Format, load: Load, available: int | None = None) -> Fit:
    """The largest quantisation of the model that fits in `available` bytes (None: what the machine has now).

    Raises NotEnoughMemory with the needs of the smallest one when none does; CatalogError for unreadable files.
    """
    available = available_bytes() if available is None else available
    fits = quantisation_needs(path, format_, load)
    for fit in fits:
        if fit.needs.total <= available:
            return fit
    advice = f"and that is as {fits[-1].quantisation.name}: choose a smaller model, fewer slots or a shorter context"
    raise memory.NotEnoughMemory(fits[-1].needs.total, available, advice)


def quantisation_needs(path: Path, format_: Format, load: Load) -> list[Fit]:
    """What the model would need in each quantisation, the best first. Raises CatalogError."""
    shape = shape_of(path, format_)
    weights = weights_of(path, format_)
    return [
        Fit(choice, memory.for_gguf(quantised_bytes(weights, choice), shape, load)) for choice in QUANTISATIONS.values()
    ]


def best_file(paths: Sequence[Path], load: Load, available: int | None = None) -> Path:
    """Of several GGUF files of one model the largest that fits. Raises NotEnoughMemory with the needs of the smallest
    one when none does, and BrokenModel for a file that is not whole."""
    available = available_bytes() if available is None else available
    needed = sorted(((memory.needs(path, Format.GGUF, load).total, path) for path in paths), reverse=True)
    for total, path in needed:
        if total <= available:
            return path
    total, path = needed[-1]
    advice = f"{path.name} is the smallest here: fewer slots, a shorter context or a smaller quantisation help"
    raise memory.NotEnoughMemory(total, available, advice)


def gguf_file(path: Path, load: Load, available: int | None = None) -> Path:
    """The GGUF file to load: `path` itself, or the best one that fits of a folder. Raises as best_file."""
    if not path.is_dir():
        return path
    files = model_folder.gguf_files(path)
    if not files:
        raise BrokenModel(f"{path} holds no GGUF file")
    return files[0] if len(files) == 1 else best_file(files, load, available)
