from __future__ import annotations

import json
from pathlib import Path

import pytest

from ai_core.engine.backends.base import BackendError
from ai_core.engine.backends.hub_tokenizer import HubTokenizer
from tests.ai_core.engine.backends.transformers.tiny_hub_model import END, SPECIAL, TEMPLATE, write_tokenizer

TEXT = "L'été à Noël 😀 نعم \x00 \u00a0 «fin» 漢字"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_tokenizer(tmp_path / "model")
    return tmp_path / "model"


def test_the_bytes_of_the_tokens_are_those_of_the_text(folder: Path) -> None:
    tokenizer = HubTokenizer(folder)
    tokens = tokenizer.tokenize(TEXT, special=False)
    assert b"".join(map(tokenizer.piece, tokens)).decode() == TEXT
    assert tokenizer.tokenize("", special=True) == []
    assert b"".join(map(tokenizer.piece, tokenizer.tokenize("\ud800", special=False))) == b"?"


def test_control_tokens_are_recognised_only_when_asked(folder: Path) -> None:
    tokenizer = HubTokenizer(folder)
    written = f"a{SPECIAL[1]}b"
    assert END in tokenizer.tokenize(written, special=True)
    plain = tokenizer.tokenize(written, special=False)
    assert END not in plain
    assert b"".join(map(tokenizer.piece, plain)).decode() == written
    assert tokenizer.piece(END) == b""
    assert tokenizer.piece(10_000) == b""


def test_pieces_of_a_sentencepiece_like_tokenizer_are_exact(tmp_path: Path) -> None:
    import tokenizers

    vocabulary = {f"<0x{byte:02X}>": byte for byte in range(256)} | {"▁": 256, "é": 257, "▁le": 258, "l": 259, "e": 260}
    model = tokenizers.models.BPE(
        vocab=vocabulary, merges=[("l", "e")] if "le" in vocabulary else [], byte_fallback=True
    )
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.normalizer = tokenizers.normalizers.Replace(" ", "▁")
    tokenizer.decoder = tokenizers.decoders.ByteFallback()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    hub = HubTokenizer(tmp_path)
    text = "le é 😀"
    assert b"".join(map(hub.piece, hub.tokenize(text, special=False))).decode() == text


def test_end_tokens_come_from_the_generation_settings_then_the_configuration_then_the_tokenizer(folder: Path) -> None:
    assert HubTokenizer(folder).end == END
    (folder / "config.json").write_text('{"eos_token_id": 5}')
    assert HubTokenizer(folder).end == 5
    (folder / "generation_config.json").write_text('{"eos_token_id": [7, 8]}')
    tokenizer = HubTokenizer(folder)
    assert tokenizer.end == 7
    assert [token for token in range(tokenizer.size) if tokenizer.is_end(token)] == [7, 8]


def test_the_chat_template_comes_from_its_file_or_the_settings(folder: Path) -> None:
    assert HubTokenizer(folder).chat_template == TEMPLATE
    settings = folder / "tokenizer_config.json"
    settings.write_text(
        json.dumps({"chat_template": [{"name": "tool", "template": "t"}, {"name": "default", "template": "d"}]})
    )
    assert HubTokenizer(folder).chat_template == "d"
    (folder / "chat_template.jinja").write_text("from the file")
    assert HubTokenizer(folder).chat_template == "from the file"
    (folder / "chat_template.jinja").unlink()
    settings.write_text(json.dumps({"bos_token": {"content": "<s>"}, "eos_token": None}))
    tokenizer = HubTokenizer(folder)
    assert (tokenizer.chat_template, tokenizer.bos_token, tokenizer.eos_token) == (None, "<s>", "")


@pytest.mark.parametrize("content", [None, "", "{}", "no json"])
def test_a_missing_or_broken_tokenizer_is_refused_by_name(folder: Path, content: str | None) -> None:
    file = folder / "tokenizer.json"
    file.unlink()
    if content is not None:
        file.write_text(content)
    with pytest.raises(BackendError, match=r"tokenizer\.json"):
        HubTokenizer(folder)


def test_broken_settings_are_refused_by_name(folder: Path) -> None:
    (folder / "generation_config.json").write_text("[")
    with pytest.raises(BackendError, match=r"generation_config\.json"):
        HubTokenizer(folder)
