"""The llama_cpp module, imported at first use, with its log lines sent to Python's logging."""

from __future__ import annotations

import ctypes
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

logger = logging.getLogger(__name__)

# GGML_LOG_LEVEL_ERROR of ggml.h. Its warnings are detail too: one cache for all sequences always looks too long to it.
_LEVELS = {4: logging.ERROR}

SPIN_COUNT = b"3000"
"""How often a computing thread that waits for the others looks before it sleeps, about ten microseconds. OpenMP's own
choice is to look without end; as soon as anything else wants a core, the thread that everybody waits for then has none,
and steps take ten times as long. Sleeping at once (OMP_WAIT_POLICY=passive) doubles the time of a step of one token."""

_kept = threading.local()


def _route_log(level: int, text: bytes | None, _data: int | None) -> None:
    severity = _LEVELS.get(level, logging.DEBUG)
    line = (text or b"").decode("utf-8", "replace").strip()
    if line and severity >= logging.ERROR and hasattr(_kept, "errors"):
        _kept.errors.append(line)
    if line and logger.isEnabledFor(severity):
        logger.log(severity, "%s", line)


_LOG_CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(_route_log)  # kept: C holds it


@contextmanager
def errors_kept() -> Iterator[list[str]]:
    """What llama.cpp logs as errors in this thread meanwhile: its calls return no reason."""
    _kept.errors = []
    try:
        yield _kept.errors
    finally:
        del _kept.errors


@lru_cache(maxsize=1)
def library() -> Any:
    """llama_cpp, initialised once a process."""
    ctypes.CDLL(None).setenv(b"GOMP_SPINCOUNT", SPIN_COUNT, False)  # OpenMP reads it when it is loaded
    import llama_cpp

    llama_cpp.llama_log_set(_LOG_CALLBACK, ctypes.c_void_p(0))
    llama_cpp.llama_backend_init()
    return llama_cpp
