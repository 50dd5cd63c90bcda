"""Makes a smaller GGUF file of a model: f32, f16 or bf16 weights to 8 and fewer bits, by llama.cpp."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from ai_core.catalog import gguf_header
from ai_core.catalog.errors import BrokenModel, CatalogError, ChildFailed
from ai_core.catalog.formats import Format, detect
from ai_core.catalog.inspection import file_type
from ai_core.catalog.job import Job, Progress
from ai_core.catalog.new_file import new_file, require_free, require_not_full, require_space
from ai_core.catalog.quantised_size import Quantisation, quantised_bytes, weights_of
from ai_core.catalog.stored_weights import weights_bytes

UNQUANTISED = ("F32", "F16", "BF16")
PRECISION = re.compile(r"[-._](?:f32|f16|bf16|fp16|fp32)$", re.IGNORECASE)  # at the end of a file's stem
TENSOR_LINE = re.compile(r"\[ *(\d+)/ *(\d+)\]")


@dataclass(frozen=True, slots=True)
class QuantisationPlan:
    """What would be done; `target_bytes` is an estimate, a little too high."""

    source: Path
    target: Path
    to: Quantisation
    source_bytes: int
    target_bytes: int


def plan_quantisation(source: Path, to: Quantisation, target: Path | None = None) -> QuantisationPlan:
    """Look whether the file can be quantised. Raises CatalogError: not such a model, target there, too little space."""
    if detect(source) is not Format.GGUF or source.is_dir():
        raise CatalogError(f"{source} is not a GGUF file; `models convert` makes one of a safetensors folder")
    if not is_unquantised(source):
        raise CatalogError(f"{source} is quantised already ({file_type(source)}): start from its f16 file")
    before = sum(part.stat().st_size for part in gguf_header.parts_of(source))
    besides = before - weights_bytes(source, Format.GGUF)
    after = besides + quantised_bytes(weights_of(source, Format.GGUF), to)
    target = (target or source.with_name(f"{_stem(source)}-{to.name}.gguf")).absolute()
    require_free(target)
    require_space(target.parent, after)
    return QuantisationPlan(source.absolute(), target, to, before, after)


def is_unquantised(source: Path) -> bool:
    """Whether all matrices of a GGUF model are f32, f16 or bf16. Raises BrokenModel."""
    headers = [gguf_header.read_header(part) for part in gguf_header.parts_of(source)]
    return all(tensor.type in UNQUANTISED for header in headers for tensor in header.tensors if len(tensor.shape) > 1)


def quantisation_job(plan: QuantisationPlan, *, threads: int | None = None) -> Job:
    """The job that carries `plan` out, not started yet. `threads`: all processors by default, at low priority."""
    return Job(
        f"quantise {plan.source.name} to {plan.to.name}",
        lambda progress: quantise(plan.source, plan.target, plan.to, progress, threads=threads),
    )


def quantise(source: Path, target: Path, to: Quantisation, progress: Progress, *, threads: int | None = None) -> Path:
    """Write `source`, a GGUF file of unquantised weights, as `to` at `target`. Raises CatalogError, OSError."""
    progress.say(f"quantising to {to.name}")
    with new_file(target) as unfinished:
        arguments = [str(source), str(unfinished.path), str(to.number), str(threads or os.cpu_count() or 1)]
        try:
            progress.run_child(
                "ai_core.catalog.quantise_child", arguments, lambda line: _report(line, progress), lock=unfinished.lock
            )
        except ChildFailed as failed:
            require_not_full(target.parent)  # which llama.cpp does not say
            raise BrokenModel(f"{source} could not be quantised: {_reason(failed)}") from failed
        gguf_header.read_header(unfinished.path)
    return target


def _report(line: str, progress: Progress) -> None:
    counted = TENSOR_LINE.search(line)
    if counted:
        progress.set(100 * int(counted[1]) / int(counted[2]))


def _reason(failed: ChildFailed) -> str:
    said = [line for line in failed.lines if "failed" in line.lower() or "error" in line.lower()]
    return said[-1] if said else str(failed)


def _stem(source: Path) -> str:
    split = gguf_header.SPLIT_NAME.fullmatch(source.name)
    return PRECISION.sub("", split["stem"] if split else source.stem)
