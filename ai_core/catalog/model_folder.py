"""Which files of a folder make its model, in the layouts that the Hugging Face Hub has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ai_core.catalog.errors import BrokenModel
from ai_core.catalog.gguf_header import SPLIT_NAME

CONFIG = "config.json"
ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_FILES = "adapter_model"
INDEX = ".index.json"
LARGEST_JSON = 256 * 1024 * 1024  # bytes
# What training leaves beside the weights.
NOT_WEIGHTS = ("training_args", "optimizer", "scheduler", "rng_state", "scaler", ADAPTER_FILES)


def safetensors_files(folder: Path) -> list[Path]:
    """The weights in safetensors, by their index where there is one."""
    return _indexed(folder, ".safetensors") or _weights(folder, (".safetensors",))


def torch_files(folder: Path) -> list[Path]:
    """The weights in torch.save's format, by their index where there is one."""
    return _indexed(folder, ".bin") or _weights(folder, (".bin", ".pth"))


def onnx_files(folder: Path) -> list[Path]:
    """Every ONNX graph: optimum has them in the folder, onnx-community in its subfolder onnx."""
    return _weights(folder, (".onnx",)) or _weights(folder / "onnx", (".onnx",))


def gguf_files(folder: Path) -> list[Path]:
    """The GGUF models: each file, and of a model in several files the first."""
    files = _weights(folder, (".gguf",))
    splits = {file: SPLIT_NAME.fullmatch(file.name) for file in files}
    return [file for file, split in splits.items() if split is None or int(split["number"]) == 1]


def has_base_weights(folder: Path) -> bool:
    """Whether there are weights that are not an adapter's."""
    return any(find(folder) for find in (safetensors_files, torch_files, onnx_files, gguf_files))


def read_config(folder: Path) -> dict[str, Any]:
    """config.json. Raises BrokenModel when it is missing or damaged."""
    path = folder / CONFIG
    if not path.is_file():
        raise BrokenModel(f"{folder} has weights but no {CONFIG}, which says how they fit together")
    return read_json(path)


def torch_dtype(folder: Path) -> str:
    """The type that config.json says the weights have, such as bfloat16; empty where it does not."""
    config = read_config(folder)
    return str(config.get("dtype") or config.get("torch_dtype") or "")


def base_of_adapter(folder: Path) -> str:
    """The name of the model that an adapter was trained on, as its configuration has it."""
    return str(
        read_json(folder / ADAPTER_CONFIG).get("base_model_name_or_path") or "its configuration does not say which"
    )


def is_index(path: Path) -> bool:
    """Whether the file is named as the index of weights in several files."""
    return path.name.endswith(INDEX)


def indexed_files(index: Path) -> list[Path]:
    """The files that an index names. Raises BrokenModel for a bad index and for missing files."""
    weights = read_json(index).get("weight_map")
    if not isinstance(weights, dict) or not weights or not all(isinstance(name, str) for name in weights.values()):
        raise BrokenModel(f"{index} is damaged: it has no weight_map")
    names = sorted(set(weights.values()))
    for name in names:
        if not name or Path(name).name != name:
            raise BrokenModel(f"{index} names a file outside its folder: {name!r}")
    missing = [name for name in names if not (index.parent / name).is_file()]
    if missing:
        raise BrokenModel(
            f"{index.parent} lacks {len(missing)} of {len(names)} files of weights: {', '.join(missing[:3])}"
        )
    return [index.parent / name for name in names]


def read_json(path: Path) -> dict[str, Any]:
    """An object in a JSON file. Raises BrokenModel that names the file."""
    try:
        if path.stat().st_size > LARGEST_JSON:
            raise BrokenModel(f"{path} is too large for a JSON file: {path.stat().st_size} bytes")
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BrokenModel(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BrokenModel(f"{path} is damaged: it is not UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise BrokenModel(f"{path} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise BrokenModel(f"{path} is damaged: it holds no JSON object")
    return value


def _indexed(folder: Path, ending: str) -> list[Path]:
    indexes = sorted(folder.glob(f"*{ending}{INDEX}"))
    return indexed_files(indexes[0]) if indexes else []


def _weights(folder: Path, endings: tuple[str, ...]) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(
        entry
        for entry in folder.iterdir()
        if entry.is_file() and entry.suffix.lower() in endings and not entry.name.startswith((".", *NOT_WEIGHTS))
    )
