"""What a loaded revision costs a process: `python -m tests.benchmarks.search_memory DATA_DIR` prints megabytes.

In a process of its own: one that has built the index before would find room that it had already.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import psutil

from ai_core.knowledge import importer
from ai_core.knowledge.base import KnowledgeBase
from ai_core.storage import open_storage
from common.database import connection

QUESTION = "Combien de jours de congés payés ?"


def memory_of_a_process(package: Path) -> float:
    """Megabytes that `package` takes once it is imported, loaded and searched."""
    with tempfile.TemporaryDirectory() as directory:
        database = open_storage(_url(Path(directory)))
        with connection(database):
            importer.update(database, Path(directory), package, progress=lambda _: None)
        command = [sys.executable, "-m", "tests.benchmarks.search_memory", directory]
        return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def _url(data_dir: Path) -> str:
    return f"sqlite:///{data_dir / 'bench.sqlite3'}"


def _measure(data_dir: Path) -> float:
    process = psutil.Process()
    database = open_storage(_url(data_dir))
    before = process.memory_info().rss
    with connection(database):
        KnowledgeBase.load(database, data_dir).search(QUESTION)
    return float(process.memory_info().rss - before) / 2**20


if __name__ == "__main__":
    print(_measure(Path(sys.argv[1])))
