"""The child process that quantises: `python -m ai_core.catalog.quantise_child SOURCE TARGET TYPE THREADS`.

Prints llama.cpp's own log, of which the parent reads the progress.
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

from ai_core.catalog.child_life import live_with_parent
from ai_core.engine.backends.llama_cpp.library import library

BUFFER_BYTES = 256 * 1024 * 1024  # rows in memory at once; llama.cpp's own choice is 8 GiB


def main(source: str, target: str, file_type: str, threads: str) -> int:
    """llama.cpp's status: 0 for success."""
    live_with_parent(Path(target))
    llama = library()
    llama.llama_log_set(_PRINT_CALLBACK, ctypes.c_void_p(0))
    parameters = llama.llama_model_quantize_default_params()
    parameters.ftype = int(file_type)
    parameters.nthread = int(threads)
    parameters.max_buf_size = BUFFER_BYTES
    return int(llama.llama_model_quantize(source.encode(), target.encode(), ctypes.byref(parameters)))


def _print(_level: int, text: bytes | None, _data: int | None) -> None:
    sys.stdout.buffer.write(text or b"")
    sys.stdout.buffer.flush()


_PRINT_CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(_print)  # kept: C holds it

if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
