"""Models of a few thousand random weights in the Hub's formats, with a small byte-level BPE tokenizer of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

CONTEXT = 512
TEXT = "Le contrat de travail est rompu par la démission, le licenciement ou l'accord des parties. L'été à Noël."
SPECIAL = ["<|im_start|>", "<|im_end|>"]
END = 1
TEMPLATE = "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"


def write_tokenizer(folder: Path) -> list[str]:
    """Every byte, the commonest pairs of them, two control tokens; what the tokens look like, by number."""
    import tokenizers

    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=SPECIAL,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([TEXT] * 2, trainer)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"bos_token": SPECIAL[0], "eos_token": SPECIAL[1], "chat_template": TEMPLATE}
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", **names}))
    return [str(tokenizer.id_to_token(token)) for token in range(tokenizer.get_vocab_size())]


def write_sentencepiece_model(folder: Path) -> Path:
    """A tiny Llama whose folder has the tokenizer as a sentencepiece file only, as older models do."""
    import sentencepiece
    import transformers

    folder.mkdir()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([TEXT] * 20),
        model_prefix=str(folder / "tokenizer"),
        vocab_size=330,
        model_type="bpe",
        byte_fallback=True,
        minloglevel=2,
    )
    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "LlamaTokenizer", **names}))
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokens = tokenizer.convert_ids_to_tokens(range(330))
    tiny_model("Llama", tokens, eos_token_id=2).save_pretrained(folder)
    return folder


def tiny_model(kind: str, tokens: list[str], *, ends: bool = False, seed: int = 0, **fields: Any) -> Any:
    """A random causal model of the architecture `kind` (the library's name for it), in float32, with weights large
    enough for answers that differ from prompt to prompt. Answers are ASCII and, without `ends`, never end: the logits
    of all other tokens are 0, never the best of so many."""
    import transformers

    shape = {
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": CONTEXT,
        "initializer_range": 0.3,
        "tie_word_embeddings": False,
        "vocab_size": len(tokens),
        "bos_token_id": 0,
        "eos_token_id": END,
        "pad_token_id": END,
    }
    torch.manual_seed(seed)
    config = getattr(transformers, f"{kind}Config")(**{**shape, **fields})
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    silent = [number for number, token in enumerate(tokens) if not token.isascii() or token in SPECIAL]
    with torch.no_grad():
        model.get_output_embeddings().weight[[number for number in silent if not ends or number != END]] = 0
    return model


def write_hub_model(folder: Path, kind: str = "Llama", *, shard: str = "1GB", **fields: Any) -> Path:
    """A model's folder in safetensors, in files of at most `shard`."""
    model = tiny_model(kind, write_tokenizer(folder), **fields)
    model.save_pretrained(folder, max_shard_size=shard)
    return folder


def write_pytorch_model(folder: Path, kind: str = "Llama", *, name: str = "pytorch_model.bin", **fields: Any) -> Path:
    """The same weights in a pickled file."""
    model = tiny_model(kind, write_tokenizer(folder), **fields)
    model.config.save_pretrained(folder)
    torch.save(model.state_dict(), folder / name)
    return folder


def write_lora(folder: Path, base: Path, *, seed: int = 1, **fields: Any) -> Path:
    """A LoRA adapter for the model in `base`, strong enough to change its answers."""
    import peft
    import transformers

    torch.manual_seed(seed)
    model = transformers.AutoModelForCausalLM.from_pretrained(base)
    adapted = peft.get_peft_model(
        model,
        peft.LoraConfig(
            **{"r": 4, "target_modules": ["q_proj", "v_proj", "down_proj"], "init_lora_weights": False, **fields}
        ),
    )
    adapted.save_pretrained(folder)
    return folder
