"""Weights as torch.save writes them. Looked at from outside: unpickling them would run what they say."""

from __future__ import annotations

import zipfile
from pathlib import Path

from ai_core.catalog.errors import BrokenModel

# The pickled number that torch.save put first until version 1.6 (torch.serialization.MAGIC_NUMBER).
LEGACY_MAGIC = bytes.fromhex("80028a0a6cfc9c46f9206aa850192e")


def looks_like_torch(path: Path) -> bool:
    """Whether the file is an archive of torch.save, or one of before version 1.6. Raises BrokenModel."""
    with path.open("rb") as file:
        start = file.read(len(LEGACY_MAGIC))
    if start == LEGACY_MAGIC:
        return True
    if not start.startswith(b"PK\x03\x04"):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/data.pkl") for name in archive.namelist())
    except (zipfile.BadZipFile, UnicodeDecodeError, ValueError, NotImplementedError):
        # The directory of an archive is at its end, so this is what a download that broke off looks like.
        raise BrokenModel(f"{path} is cut off or damaged: it begins as a PyTorch archive; fetch it again") from None
