"""llama.cpp's own llama-bench: how fast this machine generates with nothing around it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

NEW_TOKENS, REPETITIONS = 128, 3


def generation_rate(llama_server: Path, model: Path, depth: int) -> float | None:
    """Tokens a second of one sequence after a prompt of `depth` tokens, as many threads as cores; None where no
    llama-bench lies beside llama-server."""
    binary = llama_server.resolve().parent / "llama-bench"
    if not binary.is_file():
        return None
    threads = str(len(os.sched_getaffinity(0)))
    sizes = ["-p", "0", "-n", str(NEW_TOKENS), "-d", str(depth), "-r", str(REPETITIONS), "-t", threads]
    done = subprocess.run(
        [str(binary), "-m", str(model), *sizes, "-o", "json"],
        env={**os.environ, "LD_LIBRARY_PATH": str(binary.parent)},
        check=True,
        capture_output=True,
        text=True,
    )
    return float(json.loads(done.stdout)[0]["avg_ts"])
