"""Which files of a repository make the model that is wanted: data only, never code, one format, one quantisation."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from ai_core.catalog import model_folder
from ai_core.catalog.downloads.errors import DownloadError
from ai_core.catalog.gguf_header import SPLIT_NAME

MOST_FILES = 500
CONFIGURATION = re.compile(
    r"(?:config|generation_config|tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab|chat_template"
    r"|preprocessor_config|processor_config|normalizer|adapter_config)\.json"
    r"|chat_template\.jinja|merges\.txt|vocab\.txt|[A-Za-z0-9_.-]*\.model|(?:LICENSE|NOTICE|USE_POLICY)[A-Za-z0-9_.-]*"
)
NOT_MODELS = ("mmproj", "imatrix")  # GGUF files beside models: the eyes of one, the statistics of a quantisation
UNQUANTISED = re.compile(r"(?i)(?:^|[-_.])(?:b?f16|f32)(?:[-_.]|$)")
ONNX_ORDER = ("model.onnx", "decoder_model_merged.onnx", "decoder_with_past_model.onnx", "model_quantized.onnx")
"""As engine/backends/onnx/export.py prefers them."""


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a repository; `size` in bytes. Large ones have a `sha256`, the others git's `blob_id`."""

    path: str
    size: int
    sha256: str | None
    blob_id: str | None


@dataclass(frozen=True, slots=True)
class Choice:
    """What to fetch: one of the `variants`, each the files of one whole model, and the `others` with it."""

    format: str
    variants: tuple[tuple[HubFile, ...], ...]
    others: tuple[HubFile, ...]


def choose(files: Sequence[HubFile], format_: str | None, filename: str | None) -> Choice:
    """The files of the wanted format, or of the best there is: GGUF, safetensors, PyTorch, ONNX, a LoRA adapter.
    Raises DownloadError: file_not_found, format_not_found."""
    found = {name: variants for name, find in _FINDERS.items() if (variants := find(files))}
    if filename is not None:
        found = {name: kept for name, variants in found.items() if (kept := _named(variants, filename))}
        if not found:
            raise _no_such_file(files, filename)
    if format_ is not None:
        found = {name: variants for name, variants in found.items() if name == format_}
    if not found:
        there = sorted(name for name, find in _FINDERS.items() if find(files))
        raise DownloadError(
            "format_not_found",
            f"The repository has no {format_ or 'model'} that can be loaded; "
            + (f"it has: {', '.join(there)}." if there else "it has no weights in a known format."),
        )
    name, variants = next(iter(found.items()))
    if name == "gguf" and filename is None:
        variants = [variant for variant in variants if not UNQUANTISED.search(_stem(variant))] or variants
    others = () if name == "gguf" else tuple(file for file in files if CONFIGURATION.fullmatch(file.path))
    chosen = tuple(tuple(variant) for variant in variants)
    return _checked(Choice(name, chosen, others + tuple(_index(files, name, variants))))


def require_inside(path: str) -> None:
    """Raises DownloadError for a file name that could lead out of the model's folder."""
    parts = path.split("/")
    if any(not part or part.startswith(".") or len(part.encode()) > 200 for part in parts) or re.search(
        r"[\\:\x00-\x1f\x7f]", path
    ):
        raise DownloadError("unsafe_file_name", f"The repository has a file with an unsafe name: {path[:100]!r}.")


def _checked(choice: Choice) -> Choice:
    for file in (*choice.others, *(file for variant in choice.variants for file in variant)):
        require_inside(file.path)
    if max(len(variant) for variant in choice.variants) + len(choice.others) > MOST_FILES:
        raise DownloadError("too_many_files", f"The model has more than {MOST_FILES} files.")
    return choice


def _gguf(files: Sequence[HubFile]) -> list[list[HubFile]]:
    """Each model; the parts of a split one together, and only where none is missing."""
    groups: dict[str, list[HubFile]] = {}
    for file in files:
        name = PurePosixPath(file.path).name
        if name.lower().endswith(".gguf") and not any(word in name.lower() for word in NOT_MODELS):
            split = SPLIT_NAME.fullmatch(name)
            key = f"{PurePosixPath(file.path).parent}/{split['stem']}-of-{split['count']}" if split else file.path
            groups.setdefault(key, []).append(file)
    whole = [sorted(group, key=lambda file: file.path) for group in groups.values()]
    return [group for group in whole if len(group) == _parts(group[0])]


def _parts(file: HubFile) -> int:
    split = SPLIT_NAME.fullmatch(PurePosixPath(file.path).name)
    return int(split["count"]) if split else 1


def _weights(ending: str, *names: str) -> Callable[[Sequence[HubFile]], list[list[HubFile]]]:
    """Finds weights by the names that transformers gives them, else all at the top with this ending."""
    usual = re.compile(rf"(?:{'|'.join(names)})(?:-\d{{5}}-of-\d{{5}})?{re.escape(ending)}")

    def find(files: Sequence[HubFile]) -> list[list[HubFile]]:
        there = [file for file in files if "/" not in file.path and file.path.endswith(ending)]
        kept = [file for file in there if usual.fullmatch(file.path)] or [
            file for file in there if not file.path.startswith((*model_folder.NOT_WEIGHTS, "consolidated"))
        ]
        split = [file for file in kept if "-of-" in file.path]
        kept = [file for file in kept if file not in split] or split  # some have both: the whole one is enough
        return [kept] if kept else []

    return find


def _onnx(files: Sequence[HubFile]) -> list[list[HubFile]]:
    """Each graph with the files of its weights, the one that the backend would take first."""
    graphs = [file for file in files if re.fullmatch(r"(?:onnx/)?[^/]+\.onnx", file.path)]
    graphs.sort(key=lambda file: (_onnx_rank(file.path), file.path))
    return [[graph, *(file for file in files if _is_data_of(file.path, graph.path))] for graph in graphs]


def _onnx_rank(path: str) -> int:
    name = PurePosixPath(path).name
    return ONNX_ORDER.index(name) if name in ONNX_ORDER else len(ONNX_ORDER)


def _is_data_of(path: str, graph: str) -> bool:
    return re.fullmatch(rf"{re.escape(graph)}[._]data(?:_\d+)?", path) is not None


def _lora(files: Sequence[HubFile]) -> list[list[HubFile]]:
    if not any(file.path == model_folder.ADAPTER_CONFIG for file in files):
        return []
    for name in ("adapter_model.safetensors", "adapter_model.bin"):
        if found := [file for file in files if file.path == name]:
            return [found]
    return []


def _index(files: Sequence[HubFile], format_: str, variants: Iterable[Sequence[HubFile]]) -> list[HubFile]:
    """The index of weights in several files."""
    if format_ not in ("safetensors", "pytorch") or all(len(variant) == 1 for variant in variants):
        return []
    endings = {"safetensors": "model.safetensors.index.json", "pytorch": "pytorch_model.bin.index.json"}
    return [file for file in files if file.path == endings[format_]]


def _named(variants: list[list[HubFile]], wanted: str) -> list[list[HubFile]]:
    """Those with a file of that name, else those of that quantisation."""
    exact = [variant for variant in variants if any(file.path == wanted for file in variant)]
    quantised = re.compile(rf"(?i).*[-_.]{re.escape(wanted)}|{re.escape(wanted)}")  # to the end: Q4_K is not Q4_K_M
    return exact or [variant for variant in variants if quantised.fullmatch(_stem(variant))]


def _stem(variant: Sequence[HubFile]) -> str:
    name = PurePosixPath(variant[0].path).name
    split = SPLIT_NAME.fullmatch(name)
    return split["stem"] if split else PurePosixPath(name).stem


def _no_such_file(files: Sequence[HubFile], wanted: str) -> DownloadError:
    there = [_stem(variant) for find in _FINDERS.values() for variant in find(files)]
    shown = ", ".join(there[:12]) + (", ..." if len(there) > 12 else "")
    return DownloadError(
        "file_not_found", f"The repository has no model file or quantisation {wanted}; it has: {shown or 'none'}."
    )


_BIN = _weights(".bin", "pytorch_model")
_PTH = _weights(".pth", "pytorch_model", "consolidated")

_FINDERS: dict[str, Callable[[Sequence[HubFile]], list[list[HubFile]]]] = {
    "gguf": _gguf,
    "safetensors": _weights(".safetensors", "model"),
    "pytorch": lambda files: _BIN(files) or _PTH(files),
    "onnx": _onnx,
    "lora": _lora,
}
