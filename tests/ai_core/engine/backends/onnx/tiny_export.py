"""A decoder of a few thousand random weights, written as Optimum exports one: past in, present out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.ai_core.engine.backends.transformers.tiny_hub_model import END, write_tokenizer

LAYERS, HEADS, WIDTH, CONTEXT = 2, 2, 16, 256
HIDDEN = HEADS * WIDTH


class Graph:
    """Collects nodes and weights. Methods take and return names of tensors."""

    def __init__(self, vocabulary: int, seed: int) -> None:
        self.nodes: list[Any] = []
        self.weights: dict[str, np.ndarray] = {}
        self._random = np.random.default_rng(seed)
        self._vocabulary = vocabulary
        self._count = 0

    def add(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        self._count += 1
        output = output or f"{kind.lower()}_{self._count}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def random(self, name: str, *shape: int, scale: float = 0.6) -> str:
        self.weights[name] = self._random.normal(0, scale / np.sqrt(shape[0]) * 2, shape).astype(np.float32)
        return name

    def constant(self, value: Any, kind: Any = np.int64) -> str:
        self._count += 1
        name = f"constant_{self._count}"
        self.weights[name] = np.array(value, kind)
        return name

    def heads(self, hidden: str, layer: int, part: str) -> str:
        """(rows, tokens, hidden) -> (rows, heads, tokens, width)"""
        projected = self.add("MatMul", hidden, self.random(f"layer{layer}.{part}", HIDDEN, HIDDEN))
        split = self.add("Reshape", projected, self.constant([0, 0, HEADS, WIDTH]))
        return self.add("Transpose", split, perm=[0, 2, 1, 3])

    def attention(self, hidden: str, layer: int, bias: str) -> str:
        query = self.heads(hidden, layer, "query")
        caches = {}
        for name in ("key", "value"):
            past = f"past_key_values.{layer}.{name}"
            new = self.heads(hidden, layer, name)
            caches[name] = self.add("Concat", past, new, axis=2, output=f"present.{layer}.{name}")
        keys = self.add("Transpose", caches["key"], perm=[0, 1, 3, 2])
        scores = self.add("Mul", self.add("MatMul", query, keys), self.constant(WIDTH**-0.5, np.float32))
        shares = self.add("Softmax", self.add("Add", scores, bias), axis=-1)
        mixed = self.add("Transpose", self.add("MatMul", shares, caches["value"]), perm=[0, 2, 1, 3])
        joined = self.add("Reshape", mixed, self.constant([0, 0, HIDDEN]))
        return self.add("MatMul", joined, self.random(f"layer{layer}.output", HIDDEN, HIDDEN))

    def bias(self) -> str:
        """0 where a token may look, a large negative number where it may not: at later tokens and at padding."""
        one = self.constant([1])
        total = self.add("Shape", "attention_mask", start=1, end=2)
        tokens = self.add("Shape", "input_ids", start=1, end=2)
        columns = self.add("Range", self.constant(0), self.add("Squeeze", total), self.constant(1))
        start = self.add("Sub", total, tokens)
        rows = self.add("Range", self.constant(0), self.add("Squeeze", tokens), self.constant(1))
        places = self.add("Unsqueeze", self.add("Add", rows, start), one)
        causal = self.add("LessOrEqual", self.add("Unsqueeze", columns, self.constant([0])), places)
        real = self.add("Cast", "attention_mask", to=TensorProto.BOOL)
        allowed = self.add("And", self.add("Unsqueeze", real, self.constant([1, 2])), causal)
        zero, never = self.constant(0, np.float32), self.constant(-1e9, np.float32)
        return self.add("Where", allowed, zero, never)


def write_export(folder: Path, *, file: str = "model.onnx", positions: bool = True, seed: int = 3) -> Path:
    """The folder of a model. Without `positions` the graph takes none and looks at what it reads alone."""
    tokens = write_tokenizer(folder)
    graph = Graph(len(tokens), seed)
    hidden = graph.add("Gather", graph.random("embedding", len(tokens), HIDDEN, scale=20), "input_ids")
    if positions:
        hidden = graph.add(
            "Add", hidden, graph.add("Gather", graph.random("positions", CONTEXT, HIDDEN, scale=9), "position_ids")
        )
    bias = graph.bias()
    for layer in range(LAYERS):
        hidden = graph.add("Add", hidden, graph.attention(hidden, layer, bias))
    output = graph.random("unembedding", HIDDEN, len(tokens))
    silent = [number for number, token in enumerate(tokens) if not token.isascii() or number <= END]
    graph.weights[output][:, silent] = 0  # answers are ASCII and never end
    graph.add("MatMul", hidden, output, output="logits")
    _save(graph, folder / file, len(tokens), positions)
    configuration = {"model_type": "tiny", "num_attention_heads": HEADS, "hidden_size": HIDDEN, "eos_token_id": END}
    (folder / "config.json").write_text(json.dumps(configuration | {"max_position_embeddings": CONTEXT}))
    return folder


def _save(graph: Graph, path: Path, vocabulary: int, positions: bool) -> None:
    integers = {"input_ids": "tokens", "attention_mask": "total", **({"position_ids": "tokens"} if positions else {})}
    inputs: list[Any] = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["rows", size]) for name, size in integers.items()
    ]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", "tokens", vocabulary])]
    for layer in range(LAYERS):
        for name in ("key", "value"):
            shape: list[Any] = ["rows", HEADS, "past", WIDTH]
            inputs.append(helper.make_tensor_value_info(f"past_key_values.{layer}.{name}", TensorProto.FLOAT, shape))
            shape = ["rows", HEADS, "total", WIDTH]
            outputs.append(helper.make_tensor_value_info(f"present.{layer}.{name}", TensorProto.FLOAT, shape))
    weights = [numpy_helper.from_array(value, name) for name, value in graph.weights.items()]
    model = helper.make_model(
        helper.make_graph(graph.nodes, "decoder", inputs, outputs, weights),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    onnx.checker.check_model(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))
