"""Chat templates for models that come without one, by family.

Of a GGUF file only the architecture and the names of its first and last token tell the family: Llama 2, Llama 3 and the
first Mistral models all are "llama".
"""

from __future__ import annotations

from ai_core.prompts import CHATML_TEMPLATE

_AFTER_SYSTEM = "loop.previtem is defined and loop.previtem.role == 'system'"

# https://huggingface.co/blog/llama2#how-to-prompt-llama-2
LLAMA_2 = (
    "{% for message in messages %}"
    "{% if message.role == 'system' %}{{ bos_token }}[INST] <<SYS>>\n{{ message.content }}\n<</SYS>>\n\n"
    "{% elif message.role == 'user' %}"
    f"{{% if not ({_AFTER_SYSTEM}) %}}{{{{ bos_token }}}}[INST] {{% endif %}}"
    "{{ message.content }} [/INST]"
    "{% else %} {{ message.content }} {{ eos_token }}{% endif %}"
    "{% endfor %}"
)

# https://www.llama.com/docs/model-cards-and-prompt-formats/meta-llama-3/
LLAMA_3 = (
    "{{ bos_token }}{% for message in messages %}"
    "<|start_header_id|>{{ message.role }}<|end_header_id|>\n\n{{ message.content }}<|eot_id|>"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)

# https://github.com/mistralai/cookbook, "concept-deep-dive/tokenization": v3; the system prompt opens the first turn
MISTRAL = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message.role == 'system' %}[INST] {{ message.content }}\n\n"
    "{% elif message.role == 'user' %}"
    f"{{% if not ({_AFTER_SYSTEM}) %}}[INST] {{% endif %}}"
    "{{ message.content }}[/INST]"
    "{% else %} {{ message.content }}{{ eos_token }}{% endif %}"
    "{% endfor %}"
)

# https://ai.google.dev/gemma/docs/core/prompt-structure: no system role, it opens the first user turn
GEMMA = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message.role == 'system' %}<start_of_turn>user\n{{ message.content }}\n\n"
    "{% elif message.role == 'user' %}"
    f"{{% if not ({_AFTER_SYSTEM}) %}}<start_of_turn>user\n{{% endif %}}"
    "{{ message.content }}<end_of_turn>\n"
    "{% else %}<start_of_turn>model\n{{ message.content }}<end_of_turn>\n{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)


def fallback_template(architecture: str, *, bos: str, eos: str) -> str:
    """The template of the family that a model seems to be of; ChatML where nothing tells."""
    if eos == "<|im_end|>":
        return CHATML_TEMPLATE
    if bos == "<|begin_of_text|>" or eos == "<|eot_id|>":
        return LLAMA_3
    if architecture.startswith("gemma"):
        return GEMMA
    if architecture.startswith(("mistral", "mixtral")):
        return MISTRAL
    return LLAMA_2 if architecture == "llama" and (bos, eos) == ("<s>", "</s>") else CHATML_TEMPLATE
