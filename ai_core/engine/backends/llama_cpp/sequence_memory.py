"""Where the tokens of sequences are kept: one cache that all share, or one for each slot.

Attention looks at every cell of a cache, in vain at those of other sequences (a masked one costs about a fifth of one
in use). So each slot has its own cache where memory allows, and what nobody uses now is kept outside, as a copy of the
state that llama.cpp saves: restoring a thousand tokens takes about a millisecond. In a shared cache, beginnings of
prompts are shared cell by cell instead, which needs the least memory.
"""

from __future__ import annotations

import ctypes
from typing import Any, Protocol

from ai_core.engine.backends.base import DecodeFailed
from ai_core.engine.backends.llama_cpp.library import library


class SequenceMemory(Protocol):
    """Sequences by number: those of the slots, then those that hold what later prompts may share."""

    def copy(self, source: int, target: int, length: int) -> None: ...

    def drop(self, sequence: int) -> None: ...

    def clear(self) -> None: ...


class SharedCache:
    """All sequences in one cache (kv_unified)."""

    def __init__(self, context: Any) -> None:
        self._library = library()
        self._memory = self._library.llama_get_memory(context)

    def copy(self, source: int, target: int, length: int) -> None:
        self._library.llama_memory_seq_cp(self._memory, source, target, 0, length)

    def drop(self, sequence: int) -> None:
        self._library.llama_memory_seq_rm(self._memory, sequence, -1, -1)

    def clear(self) -> None:
        self._library.llama_memory_clear(self._memory, False)


class SeparateCaches:
    """A cache for each of `slots` sequences; those with higher numbers are saved states."""

    def __init__(self, context: Any, slots: int) -> None:
        self._library = library()
        self._context = context
        self._memory = self._library.llama_get_memory(context)
        self._slots = slots
        self._saved: dict[int, Any] = {}

    def copy(self, source: int, target: int, length: int) -> None:
        state = self._save(source) if source < self._slots else self._saved[source]
        if target >= self._slots:
            self._saved[target] = state
            return
        if self._library.llama_state_seq_set_data(self._context, state, len(state), target) != len(state):
            raise DecodeFailed(f"a saved state of {len(state)} bytes could not be restored")
        self._library.llama_memory_seq_rm(self._memory, target, length, -1)

    def drop(self, sequence: int) -> None:
        if sequence < self._slots:
            self._library.llama_memory_seq_rm(self._memory, sequence, -1, -1)
        else:
            del self._saved[sequence]

    def clear(self) -> None:
        self._library.llama_memory_clear(self._memory, False)
        self._saved.clear()

    def _save(self, sequence: int) -> Any:
        size = self._library.llama_state_seq_get_size(self._context, sequence)
        state = (ctypes.c_uint8 * size)()
        if self._library.llama_state_seq_get_data(self._context, state, size, sequence) != size:
            raise DecodeFailed(f"the state of a sequence, {size} bytes, could not be saved")
        return state
