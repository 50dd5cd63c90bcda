"""The child process that converts: `python -m ai_core.catalog.convert_child SCRIPT FOLDER TARGET TYPE`.

Runs llama.cpp's converter with two changes. A model's own code is never run, although the converter would allow it.
And the way that a tokenizer splits words is recognised by its rule where its hash is unknown: the converter knows the
hashes of published tokenizers only, so that a vocabulary of one's own would be refused.
"""

from __future__ import annotations

import importlib
import json
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ai_core.catalog.child_life import live_with_parent

# How tokenizer.json writes the rules of llama.cpp's pre-tokenizers (llama-vocab.cpp, "original regex").
WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+"
OTHERS = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
RULES = {rf"{WORDS}|\p{{N}}{{1,3}}|{OTHERS}": "llama-bpe", rf"{WORDS}|\p{{N}}|{OTHERS}": "qwen2"}


def main(script: str, folder: str, target: str, file_type: str) -> None:
    """Ends the process with the converter's status."""
    live_with_parent(Path(target))
    _refuse_remote_code()
    sys.path[:0] = [str(Path(script).parent), str(Path(script).parent / "gguf-py")]
    _recognise_rules()
    sys.argv = [script, folder, "--outfile", target, "--outtype", file_type]
    runpy.run_path(script, run_name="__main__")


def _refuse_remote_code() -> None:
    import transformers

    for loader in (transformers.AutoConfig, transformers.AutoTokenizer, transformers.AutoProcessor):
        loader.from_pretrained = _without_code(loader.from_pretrained)


def _without_code(load: Callable[..., Any]) -> Callable[..., Any]:
    def load_without_code(*arguments: Any, **options: Any) -> Any:
        return load(*arguments, **options | {"trust_remote_code": False, "local_files_only": True})

    return load_without_code


def _recognise_rules() -> None:
    text_model = importlib.import_module("conversion.base").TextModel
    by_hash = text_model.get_vocab_base_pre

    def by_hash_or_rule(self: Any, tokenizer: Any) -> Any:
        try:
            return by_hash(self, tokenizer)
        except NotImplementedError:
            name = _named_by_rule(json.loads(tokenizer.backend_tokenizer.to_str()).get("pre_tokenizer") or {})
            if name is None:
                raise
            print(f"pre-tokenizer recognised by its rule: {name}")  # noqa: T201 - the parent reads it
            return name

    text_model.get_vocab_base_pre = by_hash_or_rule


def _named_by_rule(pre_tokenizer: dict[str, Any]) -> str | None:
    steps = pre_tokenizer.get("pretokenizers", [pre_tokenizer])
    if [step.get("type") for step in steps] == ["ByteLevel"] and steps[0].get("use_regex", True):
        return "gpt-2"
    if [step.get("type") for step in steps] == ["Split", "ByteLevel"] and not steps[1].get("use_regex", True):
        return RULES.get(steps[0].get("pattern", {}).get("Regex"))
    return None


if __name__ == "__main__":
    main(*sys.argv[1:])
