"""An exported decoder as Optimum and the Hub's onnx-community write it: its file, its inputs, its caches."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from ai_core.engine.backends.base import BackendError
from ai_core.engine.backends.onnx.outside_weights import REFUSES_ITSELF, refuse_weights_outside

FILES = (
    "model.onnx",
    "decoder_model_merged.onnx",
    "decoder_with_past_model.onnx",
    "model_quantized.onnx",
    "model_int8.onnx",
    "model_uint8.onnx",
    "model_q4.onnx",
    "model_bnb4.onnx",
    "model_fp16.onnx",
    "model_q4f16.onnx",
)
"""Of several, the first of these is taken: full precision before quantised, what CPUs compute well before float16."""

_PAST = re.compile(r"past_key_values\.(\d+)\.(key|value)$")
_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


def graph_file(path: Path) -> Path:
    """The model's file: `path` itself, or that of a folder or of its folder onnx. Raises BackendError."""
    if path.is_file():
        return path
    places = [folder / name for name in FILES for folder in (path, path / "onnx")]
    others = [*sorted(path.glob("*.onnx")), *sorted(path.glob("onnx/*.onnx"))]
    found = next((place for place in [*places, *others] if place.is_file()), None)
    if found is None:
        raise BackendError(f"{path.name} holds no ONNX model (model.onnx, onnx/model.onnx, ...)")
    return found


def folder_of(path: Path) -> Path:
    """Where the model's configuration and tokenizer lie."""
    folder = path.parent if path.is_file() else path
    return folder.parent if folder.name == "onnx" else folder


class Export:
    """The graph in `path`, open in onnxruntime with so many `threads`. `layers`, `heads` and `width` (floats of a head)
    are those of its caches, which are of shape (rows, heads, tokens, width). Raises BackendError."""

    def __init__(self, path: Path, threads: int | None) -> None:
        self.file = graph_file(path)
        self.configuration = _configuration(folder_of(path))
        self.session = _open(self.file, threads)
        inputs = {tensor.name: tensor for tensor in self.session.get_inputs()}
        if any(name.startswith("encoder_") for name in inputs):
            raise BackendError(f"{self.file.name} belongs to an encoder and decoder: it does not generate text alone")
        self.past = sorted(filter(_PAST.match, inputs), key=_place)
        if not self.past or "input_ids" not in inputs:
            raise BackendError(f"{self.file.name} has no past key/values: export it with them")
        unknown = set(inputs) - {*self.past, "input_ids", "attention_mask", "position_ids", "use_cache_branch"}
        if unknown:
            raise BackendError(f"{self.file.name} has inputs that are not known here: {', '.join(sorted(unknown))}")
        self.takes_mask = "attention_mask" in inputs
        self.takes_positions = "position_ids" in inputs
        self.takes_branch = "use_cache_branch" in inputs
        self.outputs = ["logits", *(name.replace("past_key_values", "present") for name in self.past)]
        missing = set(self.outputs) - {tensor.name for tensor in self.session.get_outputs()}
        if missing:
            raise BackendError(f"{self.file.name} lacks the outputs {', '.join(sorted(missing))}")
        first = inputs[self.past[0]]
        if first.type not in _TYPES:
            raise BackendError(f"{self.file.name} keeps its past as {first.type}, which is not known here")
        self.type: Any = _TYPES[first.type]
        self.heads = _size(first.shape[1], self.configuration, "num_key_value_heads", "num_attention_heads", "n_head")
        self.width = self._width(first.shape[3])

    @property
    def size_bytes(self) -> int:
        """Of the graph with the files of weights that lie beside it."""
        beside = self.file.parent.glob(f"{self.file.name}[._]data*")
        return self.file.stat().st_size + sum(file.stat().st_size for file in beside)

    def _width(self, size: Any) -> int:
        if isinstance(size, int) or "head_dim" in self.configuration:
            return _size(size, self.configuration, "head_dim")
        hidden = _size(None, self.configuration, "hidden_size", "n_embd")
        return hidden // _size(None, self.configuration, "num_attention_heads", "n_head")


def _open(file: Path, threads: int | None) -> Any:
    import onnxruntime

    if tuple(map(int, onnxruntime.__version__.split(".")[:2])) < REFUSES_ITSELF:
        refuse_weights_outside(file)
    options = onnxruntime.SessionOptions()
    if threads:
        options.intra_op_num_threads = threads
    # The cores have other work too: a thread that waits gives its core away.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the library has an exception for each cause, without a common base
        raise BackendError(f"{file.name} cannot be loaded: {str(error)[:300]}") from error


def _configuration(folder: Path) -> dict[str, Any]:
    try:
        content = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BackendError(f"{folder.name}/config.json cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise BackendError(f"{folder.name}/config.json is not a JSON object")
    return content


def _place(name: str) -> tuple[int, str]:
    match = _PAST.match(name)
    assert match is not None
    return int(match[1]), match[2]


def _size(size: Any, configuration: dict[str, Any], *names: str) -> int:
    """From the graph's own shape, or the configuration where the graph leaves it open."""
    if isinstance(size, int):
        return size
    found = next((configuration[name] for name in names if isinstance(configuration.get(name), int)), None)
    if found is None:
        raise BackendError(f"config.json does not say {names[0]}")
    return int(found)
