"""Memory that is free in this process but not yet the machine's."""

from __future__ import annotations

import ctypes
import gc


def give_back() -> None:
    """Collect what is in cycles, then hand free pages of the C library's heap back (malloc_trim(3), glibc only)."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
