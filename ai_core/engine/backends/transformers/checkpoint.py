"""Loading a model's folder as the Hugging Face Hub has it: config.json beside safetensors or PyTorch files.

Nothing in the folder is run: neither code of its own, which some models come with, nor pickled objects.
"""

from __future__ import annotations

import json
import pickle
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from ai_core.engine.backends.base import BackendError

OWN_NAMES = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
"""What the library itself looks for."""
NO_WEIGHTS = {"training_args.bin", "optimizer.bin", "optimizer.pt", "scheduler.bin", "scheduler.pt"}
DECODERS = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")


def load_config(path: Path) -> Any:
    """What the folder `path`, or the one in which the file `path` lies, says of its model. Raises BackendError."""
    import transformers

    folder = folder_of(path)
    fields = _fields(folder)
    kind = fields["model_type"]
    if kind not in transformers.CONFIG_MAPPING:
        reason = "comes with code of its own, which is never run" if "auto_map" in fields else "is unknown here"
        raise BackendError(f"{folder.name}: the architecture {kind!r} {reason}")
    _refuse_other_than_decoders(folder.name, fields)
    with _refusing(folder.name):
        return transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def load_model(path: Path, config: Any, *, dtype: str | None = None, device: str = "cpu") -> Any:
    """The model in the folder `path`, or in its file `path`, ready to compute. `dtype` as torch names it; see
    default_dtype. `device` "auto" is the GPU where there is one. Raises BackendError."""
    import transformers

    _speak_through_logging()
    options = {"local_files_only": True, "trust_remote_code": False, "weights_only": True, "output_loading_info": True}
    with _refusing(path.name), _prepared(path) as folder:
        wanted = getattr(torch, dtype) if dtype else default_dtype(config, _device(device))
        safe = any(folder.glob("*.safetensors"))
        model, found = transformers.AutoModelForCausalLM.from_pretrained(
            folder, config=config, dtype=wanted, use_safetensors=safe, **options
        )
        _refuse_incomplete(path.name, found)
        # what the file suggests must not mix with what a request asks for
        model.generation_config = transformers.GenerationConfig()
        return model.eval().to(_device(device))


def folder_of(path: Path) -> Path:
    return path.parent if path.is_file() else path


def default_dtype(config: Any, device: str = "cpu") -> torch.dtype:
    """What the files hold, on a GPU. On the processor float32 where they hold it, and for 16 bits bfloat16, where the
    processor computes with it: a step then takes a third of the time of float32, and half of its memory. On other
    processors float32, which is faster there."""
    stored = getattr(config, "dtype", None)
    if stored not in (torch.bfloat16, torch.float16):
        return torch.float32
    if device != "cpu":
        return stored
    return torch.bfloat16 if _computes_bfloat16() else torch.float32


def _speak_through_logging() -> None:
    """No bars and lines on stderr."""
    from transformers.utils import logging as library_logging

    library_logging.disable_progress_bar()
    library_logging.disable_default_handler()
    library_logging.enable_propagation()


def _computes_bfloat16() -> bool:
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def _device(device: str) -> str:
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return device


def _fields(folder: Path) -> dict[str, Any]:
    """config.json, which names the architecture."""
    try:
        fields = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        fields["model_type"].lower()
    except OSError as error:
        raise BackendError(f"cannot read {folder.name}/config.json: {error.strerror}") from error
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise BackendError(f"{folder.name}/config.json does not describe a model") from error
    return dict(fields)


def _refuse_other_than_decoders(name: str, fields: Mapping[str, Any]) -> None:
    architectures = fields.get("architectures") or [DECODERS[0]]
    decodes = any(architecture.endswith(DECODERS) for architecture in architectures)
    if fields.get("is_encoder_decoder") or not decodes:
        raise BackendError(f"{name} ({', '.join(architectures)}) does not generate text as a decoder")


@contextmanager
def _prepared(path: Path) -> Iterator[Path]:
    """A folder in which the library finds the weights: this one, or links to a file that has another name."""
    if path.is_dir() and any((path / name).exists() for name in OWN_NAMES):
        yield path
        return
    weights = path if path.is_file() else _only_weights(path)
    with tempfile.TemporaryDirectory() as links:
        name = OWN_NAMES[0] if weights.suffix == ".safetensors" else OWN_NAMES[2]
        (Path(links) / name).symlink_to(weights.resolve())
        (Path(links) / "config.json").symlink_to((weights.parent / "config.json").resolve())
        yield Path(links)


def _only_weights(folder: Path) -> Path:
    for suffix in (".safetensors", ".bin", ".pth", ".pt"):
        files = [file for file in folder.glob(f"*{suffix}") if file.name not in NO_WEIGHTS]
        if len(files) == 1:
            return files[0]
        if files:
            raise BackendError(f"{folder.name} holds several {suffix} files and no index of them")
    raise BackendError(f"{folder.name} holds no weights")


def _refuse_incomplete(name: str, found: Mapping[str, Any]) -> None:
    """The library would fill what is missing with random numbers, and warn."""
    missing = sorted(found["missing_keys"])
    if missing:
        raise BackendError(f"{name} lacks {len(missing)} of its weights, {missing[0]} first")


@contextmanager
def _refusing(name: str) -> Iterator[None]:
    try:
        yield
    except BackendError:
        raise
    except pickle.UnpicklingError as error:
        raise BackendError(f"{name} holds pickled objects other than weights: refused, they could run code") from error
    except Exception as error:
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise BackendError(f"transformers cannot load {name}: {reason[:200]}") from error
