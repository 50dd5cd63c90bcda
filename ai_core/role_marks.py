"""Marks of chat templates that people write, made plain text.

A tokenizer that is asked to reads no control token in what a person wrote (prompts.py). That is not enough where a
template marks its turns with plain words ("[INST]" of Llama 2, "<|user|>" of Zephyr), nor where another server applies
the template: llama-server and vLLM look for control tokens in the whole of it. So the marks are broken by a space.
"""

from __future__ import annotations

import re

_NAMES = (
    r"INST|SYS|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|ARGS|CALL_ID|THINK|BOS|EOS|SEP|CLS"
)
_WORDS = r"s|bos|eos|pad|unk|sop|eop|start_of_turn|end_of_turn|start_of_image|end_of_image|extra_id_\d+"
_MARK = re.compile(
    r"<[|｜][^<>|｜\n]{1,64}[|｜]>"  # ChatML, Llama 3, Phi, Zephyr, Command R, GPT-OSS; DeepSeek has wide bars
    r"|\[\|[^\[\]|\n]{1,64}\|\]"  # EXAONE
    rf"|<</?(?:{_NAMES})>>|\[/?(?:{_NAMES}|gMASK)\]"  # Llama 2, Mistral, GLM
    rf"|</?(?:{_WORDS})>|<[A-Z]+_TOKEN>|<SPECIAL_\d+>"  # Llama 2, Gemma, T5, Command R, Nemotron
)


def without_marks(text: str) -> str:
    """`text`, in which no mark of a known family of templates opens or ends a turn."""
    return _MARK.sub(lambda mark: f"{mark[0][0]} {mark[0][1:]}", text)
