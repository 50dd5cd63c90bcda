"""Where packages and indexes are kept."""

from __future__ import annotations

from pathlib import Path


def knowledge_directory(data_dir: Path) -> Path:
    """What the updates write into."""
    return data_dir / "knowledge"


def package_directory(data_dir: Path) -> Path:
    """The packages that were brought."""
    return knowledge_directory(data_dir) / "packages"


def index_directory(data_dir: Path, revision: str) -> Path:
    """The search index of `revision` of the Code."""
    return knowledge_directory(data_dir) / revision


def vectors_directory(data_dir: Path, revision: str) -> Path:
    """The vectors of the articles of `revision`; beside its index, which is replaced as a whole."""
    return knowledge_directory(data_dir) / f"{revision}.vectors"


def sheet_index_directory(data_dir: Path, revision: str) -> Path:
    """The search index of `revision` of the practical sheets."""
    return knowledge_directory(data_dir) / f"sheets-{revision}"
