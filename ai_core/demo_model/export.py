"""Write the GGUF: `python -m ai_core.demo_model.export --run RUN --to ai_core/demo_model/code-du-travail-demo.gguf`.

Matrices are stored as Q8_0 (blocks of 32 weights with a half-precision scale), vectors as float32. Tensor names and
metadata are those that llama.cpp reads for the architecture "qwen2".
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import gguf
import torch

from ai_core.demo_model import tokenizer
from ai_core.demo_model.network import Network, Shape
from ai_core.prompts import CHATML_TEMPLATE

NAME = "Code du Travail Neo, modèle de démonstration"
DESCRIPTION = (
    "Modèle de démonstration d'environ 9 millions de paramètres, entraîné de zéro sur le Code du travail : il cite un "
    "passage des articles qu'on lui fournit, il ne raisonne pas. Pour un usage réel, déployer mistral-7b-instruct "
    "ou un autre modèle d'instruction."
)
LICENSE = "MIT"

LAYER_TENSORS = {
    "attention_norm.weight": "attn_norm.weight",
    "attention.q.weight": "attn_q.weight",
    "attention.q.bias": "attn_q.bias",
    "attention.k.weight": "attn_k.weight",
    "attention.k.bias": "attn_k.bias",
    "attention.v.weight": "attn_v.weight",
    "attention.v.bias": "attn_v.bias",
    "attention.o.weight": "attn_output.weight",
    "feed_forward_norm.weight": "ffn_norm.weight",
    "feed_forward.gate.weight": "ffn_gate.weight",
    "feed_forward.up.weight": "ffn_up.weight",
    "feed_forward.down.weight": "ffn_down.weight",
}
QUOTES_ONLY_KEY = "code_du_travail.quotes_only"
"""Read by the llama.cpp backend; see ai_core.quotations."""
OUTER_TENSORS = {"embedding.weight": "token_embd.weight", "norm.weight": "output_norm.weight"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="the folder that train.py filled")
    parser.add_argument("--checkpoint", default="best.pt", help="file in the run folder (best.pt: early stopping)")
    parser.add_argument("--to", type=Path, required=True, help="the GGUF file to write")
    options = parser.parse_args()
    network = Network(Shape())
    network.load_state_dict(torch.load(options.run / options.checkpoint, weights_only=True)["network"])
    write(network, tokenizer.load(options.run / "tokenizer.json"), options.to)
    print(f"{options.to}: {options.to.stat().st_size / 1e6:.1f} MB")


def write(network: Network, vocabulary: Any, path: Path) -> None:
    writer = gguf.GGUFWriter(str(path), "qwen2")
    _write_shape(writer, network.shape)
    _write_tokenizer(writer, vocabulary)
    for name, tensor in network.state_dict().items():
        _write_tensor(writer, _gguf_name(name), tensor.float().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _write_shape(writer: Any, shape: Shape) -> None:
    writer.add_name(NAME)
    writer.add_description(DESCRIPTION)
    writer.add_license(LICENSE)
    writer.add_languages(["fr"])
    writer.add_bool(QUOTES_ONLY_KEY, True)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.heads)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_layer_norm_rms_eps(shape.epsilon)


def _write_tokenizer(writer: Any, vocabulary: Any) -> None:
    tokens = [vocabulary.id_to_token(at) for at in range(vocabulary.get_vocab_size())]
    kinds = [gguf.TokenType.CONTROL if token in tokenizer.SPECIALS else gguf.TokenType.NORMAL for token in tokens]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(tokenizer.merges(vocabulary))
    end_of_text, end = tokens.index(tokenizer.END_OF_TEXT), tokens.index(tokenizer.END)
    writer.add_bos_token_id(end_of_text)
    writer.add_eos_token_id(end)
    writer.add_pad_token_id(end_of_text)
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHATML_TEMPLATE)


def _gguf_name(name: str) -> str:
    if name in OUTER_TENSORS:
        return OUTER_TENSORS[name]
    _, layer, rest = name.split(".", 2)
    return f"blk.{layer}.{LAYER_TENSORS[rest]}"


def _write_tensor(writer: Any, name: str, values: Any) -> None:
    if values.ndim == 1:
        writer.add_tensor(name, values)
        return
    kind = gguf.GGMLQuantizationType.Q8_0
    writer.add_tensor(name, gguf.quantize(values, kind), raw_dtype=kind)


if __name__ == "__main__":
    main()
