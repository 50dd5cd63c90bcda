"""What somebody wants from the Hub: a model, perhaps one format, file or revision of it."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass

from ai_core.catalog.errors import InvalidEntry

_WORD = r"[A-Za-z0-9_]+(?:[.-][A-Za-z0-9_]+)*"
MODEL_NAME = rf"^{_WORD}/{_WORD}$"
"""`owner/name` and nothing else: never an address. The Hub's own rule is validate_repo_id of huggingface_hub."""
LONGEST_NAME = 96
_STEP = r"[A-Za-z0-9_][A-Za-z0-9_.+@=() -]*"
FILENAME = rf"^{_STEP}(?:/{_STEP})*$"
LONGEST_FILENAME = 300
_REVISION_STEP = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
REVISION = rf"^{_REVISION_STEP}(?:/{_REVISION_STEP})*$"
LONGEST_REVISION = 200
TOKEN = r"^[!-~]+$"  # noqa: S105 - what tokens may look like: nothing that could end a header's line
LONGEST_TOKEN = 500
FORMATS = ("gguf", "safetensors", "pytorch", "onnx", "lora")
DEFAULT_REVISION = "main"


@dataclass(frozen=True, slots=True)
class DownloadRequest:
    """`filename` is a file of the repository, or a quantisation such as Q4_K_M.

    Raises InvalidEntry naming the field.
    """

    model_name: str
    model_format: str | None = None
    filename: str | None = None
    revision: str = DEFAULT_REVISION

    def __post_init__(self) -> None:
        _require("model_name", self.model_name, MODEL_NAME, LONGEST_NAME, "is not owner/name")
        _require("revision", self.revision, REVISION, LONGEST_REVISION, "is not a branch, a tag or a commit")
        if self.model_format is not None and self.model_format not in FORMATS:
            raise InvalidEntry("model_format", f"is none of {', '.join(FORMATS)}")
        if self.filename is not None:
            _require("filename", self.filename, FILENAME, LONGEST_FILENAME, "is not a file or a quantisation")

    @property
    def key(self) -> str:
        """Equal for equal requests."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:32]


def require_token(token: str) -> str:
    """`token` itself. Raises InvalidEntry, which does not show it."""
    _require("auth_token", token, TOKEN, LONGEST_TOKEN, "is not a token")
    return token


def _require(field: str, value: str, pattern: str, longest: int, problem: str) -> None:
    if len(value) > longest or not re.fullmatch(pattern, value) or value.endswith("\n"):
        raise InvalidEntry(field, problem)
