"""Makes a GGUF file of a model in safetensors or PyTorch format, quantised on the way where that is asked for."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path

from ai_core.catalog import fitting, gguf_header, memory, model_folder
from ai_core.catalog.converter import bring_converter
from ai_core.catalog.entry import id_of
from ai_core.catalog.errors import BrokenModel, CatalogError, ChildFailed
from ai_core.catalog.formats import Format, detect, formats_in
from ai_core.catalog.job import Job, Progress
from ai_core.catalog.memory import Load
from ai_core.catalog.new_file import new_file, require_free, require_not_full, require_space, scratch_file
from ai_core.catalog.quantisation import quantise
from ai_core.catalog.quantised_size import PRECISIONS, Quantisation, quantised_bytes, weights_of
from ai_core.catalog.safetensors_header import read_tensors
from ai_core.catalog.stored_weights import shape_of

LIBRARIES = ("torch", "transformers", "sentencepiece")
DIRECT = {"F32": "f32", "F16": "f16", "BF16": "bf16", "Q8_0": "q8_0"}  # what the converter itself writes
VOCABULARY_BYTES = 32 * 1024 * 1024  # in the new file's header, at the most
WRITING = re.compile(r"Writing: +(\d+)%")
UNSUPPORTED = re.compile(r"Model (\S+) is not supported")


class UnsupportedArchitecture(CatalogError):
    """llama.cpp cannot run models of this kind."""


@dataclass(frozen=True, slots=True)
class ConversionPlan:
    """What would be done. Sizes are estimates in bytes; `between_bytes` is a file that is removed at the end."""

    source: Path
    target: Path
    to: Quantisation
    between: Quantisation | None
    between_bytes: int
    target_bytes: int


def plan_conversion(folder: Path, to: Quantisation, target: Path | None = None) -> ConversionPlan:
    """Look whether the folder can be converted. Raises CatalogError: not such a model, target there, no space."""
    _require_libraries()
    format_ = convertible_format(folder)
    if not model_folder.read_config(folder).get("architectures"):
        raise BrokenModel(f"{folder / model_folder.CONFIG} does not name the model's architecture")
    between = None if to.name in DIRECT else stored_precision(folder)
    target_bytes = _converted_bytes(folder, format_, to)
    between_bytes = _converted_bytes(folder, format_, between) if between else 0
    target = (target or folder.absolute().with_name(f"{id_of(folder)}-{to.name}.gguf")).absolute()
    require_free(target)
    require_space(target.parent, target_bytes + between_bytes)
    return ConversionPlan(folder.absolute(), target, to, between, between_bytes, target_bytes)


def best_quantisation(folder: Path, load: Load, available: int | None = None) -> Quantisation:
    """What to convert to so that the model fits in memory: as it is stored, or else the largest quantisation. Raises
    NotEnoughMemory when none fits."""
    format_ = convertible_format(folder)
    stored = stored_precision(folder)
    weights = _converted_bytes(folder, format_, stored)
    needed = memory.for_gguf(weights, shape_of(folder, format_), load).total
    try:
        memory.require(needed, available)
        return stored
    except memory.NotEnoughMemory:
        return fitting.fitting(folder, format_, load, available).quantisation


def conversion_job(plan: ConversionPlan, data_dir: Path, *, source_package: Path | None = None) -> Job:
    """The job that carries `plan` out, not started yet. `source_package`: llama-cpp-python's, where it is at hand."""
    return Job(
        f"convert {plan.source.name} to {plan.to.name}",
        lambda progress: _carry_out(plan, data_dir, source_package, progress),
    )


def convertible_format(folder: Path) -> Format:
    """SAFETENSORS or PYTORCH. Raises CatalogError when the folder holds neither."""
    if not folder.is_dir():
        raise CatalogError(
            f"{folder} is {detect(folder).value} in one file; give the folder with its {model_folder.CONFIG}"
        )
    found = formats_in(folder)
    for format_ in (Format.SAFETENSORS, Format.PYTORCH):
        if format_ in found:
            return format_
    raise CatalogError(f"{folder} is {found[0].value}; only safetensors and PyTorch models can be converted")


def stored_precision(folder: Path) -> Quantisation:
    """The 16-bit precision that loses the least: BF16 for weights stored as such, which reach further than F16."""
    kinds = {tensor.dtype for file in model_folder.safetensors_files(folder) for tensor in read_tensors(file)}
    as_bf16 = "BF16" in kinds if kinds else model_folder.torch_dtype(folder) == "bfloat16"
    return PRECISIONS["BF16" if as_bf16 else "F16"]


def _carry_out(plan: ConversionPlan, data_dir: Path, source_package: Path | None, progress: Progress) -> Path:
    script = bring_converter(data_dir, source_package, progress.part(0, 5))
    if plan.between is None:
        with new_file(plan.target) as unfinished:
            _convert(script, plan.source, unfinished.path, plan.to, progress.part(5, 100), unfinished.lock)
        return plan.target
    between = plan.target.with_name(f"{plan.target.stem}-{plan.between.name}.gguf")
    with scratch_file(between) as whole:
        _convert(script, plan.source, whole.path, plan.between, progress.part(5, 60), whole.lock)
        return quantise(whole.path, plan.target, plan.to, progress.part(60, 100))


def _convert(script: Path, folder: Path, path: Path, to: Quantisation, progress: Progress, lock: int) -> None:
    progress.say(f"converting to {to.name}")
    arguments = [str(script), str(folder), str(path), DIRECT[to.name]]
    try:
        progress.run_child("ai_core.catalog.convert_child", arguments, lambda line: _report(line, progress), lock=lock)
    except ChildFailed as failed:
        require_not_full(path.parent)
        raise _explained(folder, failed) from failed
    gguf_header.read_header(path)


def _report(line: str, progress: Progress) -> None:
    written = WRITING.search(line)
    if written:
        progress.set(float(written[1]))


def _explained(folder: Path, failed: ChildFailed) -> CatalogError:
    for line in failed.lines:
        unsupported = UNSUPPORTED.search(line)
        if unsupported:
            return UnsupportedArchitecture(
                f"{folder}: llama.cpp does not run models of the architecture {unsupported[1]}"
            )
    return BrokenModel(f"{folder} could not be converted: {_reason(failed)}")


def _reason(failed: ChildFailed) -> str:
    """The last line; of an exception without a message the line of code that raised it too."""
    said = [line.strip() for line in failed.lines if line.strip(" ^~")]
    if failed.code < 0 or not said:
        return str(failed)
    return said[-1] if ":" in said[-1] else ": ".join(said[-2:])


def _converted_bytes(folder: Path, format_: Format, to: Quantisation) -> int:
    """Size of the GGUF file, estimated."""
    return VOCABULARY_BYTES + quantised_bytes(weights_of(folder, format_), to)


def _require_libraries() -> None:
    missing = [name for name in LIBRARIES if importlib.util.find_spec(name) is None]
    if missing:
        raise CatalogError(
            f"converting needs {', '.join(missing)}: "
            "pip install -r requirements/torch.txt -r requirements/ai_core-transformers.txt"
        )
