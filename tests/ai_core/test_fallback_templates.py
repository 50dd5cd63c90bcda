"""Models without a chat template get the one of their family."""

from __future__ import annotations

import pytest

from ai_core.fallback_templates import GEMMA, LLAMA_2, LLAMA_3, MISTRAL, fallback_template
from ai_core.prompts import CHATML_TEMPLATE, Message, render

TALK = [Message("system", "S"), Message("user", "Q1"), Message("assistant", "A1"), Message("user", "Q2")]
EXPECTED = {
    LLAMA_2: "<s>[INST] <<SYS>>\nS\n<</SYS>>\n\nQ1 [/INST] A1 </s><s>[INST] Q2 [/INST]",
    LLAMA_3: (
        "<s><|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nQ1"
        "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nA1<|eot_id|><|start_header_id|>user"
        "<|end_header_id|>\n\nQ2<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
    ),
    MISTRAL: "<s>[INST] S\n\nQ1[/INST] A1</s>[INST] Q2[/INST]",
    GEMMA: (
        "<s><start_of_turn>user\nS\n\nQ1<end_of_turn>\n<start_of_turn>model\nA1<end_of_turn>\n"
        "<start_of_turn>user\nQ2<end_of_turn>\n<start_of_turn>model\n"
    ),
}


@pytest.mark.parametrize("template", EXPECTED, ids=["llama-2", "llama-3", "mistral", "gemma"])
def test_a_family_has_its_own_form(template: str) -> None:
    assert "".join(segment.text for segment in render(TALK, template, bos="<s>", eos="</s>")) == EXPECTED[template]


@pytest.mark.parametrize("template", EXPECTED, ids=["llama-2", "llama-3", "mistral", "gemma"])
def test_a_family_takes_a_talk_without_system_prompt(template: str) -> None:
    segments = render(TALK[1:], template, bos="<s>", eos="</s>")
    assert [segment.text for segment in segments if not segment.trusted] == ["Q1", "A1", "Q2"]


@pytest.mark.parametrize(
    ("architecture", "bos", "eos", "template"),
    [
        ("llama", "<s>", "</s>", LLAMA_2),
        ("llama", "<|begin_of_text|>", "<|end_of_text|>", LLAMA_3),
        ("llama", "<s>", "<|im_end|>", CHATML_TEMPLATE),
        ("mistral", "<s>", "</s>", MISTRAL),
        ("mixtral", "<s>", "</s>", MISTRAL),
        ("gemma3", "<bos>", "<eos>", GEMMA),
        ("qwen2", "", "<|im_end|>", CHATML_TEMPLATE),
        ("", "", "", CHATML_TEMPLATE),
    ],
)
def test_the_family_is_told_by_architecture_and_tokens(architecture: str, bos: str, eos: str, template: str) -> None:
    assert fallback_template(architecture, bos=bos, eos=eos) == template
