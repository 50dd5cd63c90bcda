"""The tokenizer of a model's folder, made from a sentencepiece file where the folder has no tokenizer.json."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from ai_core.engine.backends.base import BackendError
from ai_core.engine.backends.hub_tokenizer import HubTokenizer

SIDE_FILES = ("config.json", "generation_config.json")


def open_tokenizer(folder: Path) -> HubTokenizer:
    """Raises BackendError."""
    if (folder / "tokenizer.json").exists():
        return HubTokenizer(folder)
    with tempfile.TemporaryDirectory() as made:
        _convert(folder, Path(made))
        return HubTokenizer(Path(made))


def _convert(folder: Path, made: Path) -> None:
    import transformers

    try:
        slow = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        slow.save_pretrained(made)
    except Exception as error:
        raise BackendError(f"{folder.name} holds no tokenizer that can be read: {error}") from error
    for name in SIDE_FILES:
        if (folder / name).exists():
            shutil.copy(folder / name, made / name)
