"""How llama.cpp computes: what changes speed, and hardly the result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ai_core.engine.backends.llama_cpp.library import library

BATCH_TOKENS = 512
CACHE_TYPES = ("f16", "q8_0")
MOST_SCORES_BYTES = 256 * 2**20
"""Without flash attention llama.cpp holds the scores of a whole batch over a whole cache: at most so much of them.
catalog/memory.py leaves as much free."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """`threads` for steps of one token, `threads_batch` for larger ones; the types of the KV cache's keys and values.
    A quantised type of values needs flash attention."""

    threads: int
    threads_batch: int
    flash_attention: bool = True
    key_type: str = "f16"
    value_type: str = "f16"


def has_room_for_scores(model: Any, cells: int) -> bool:
    """Whether attention over a cache of `cells` tokens may do without flash attention."""
    heads: int = library().llama_model_n_head(model)
    return 4 * BATCH_TOKENS * cells * heads <= MOST_SCORES_BYTES


def new_context(model: Any, tuning: Tuning, *, cells: int, sequences: int, outputs: int, separate: bool = False) -> Any:
    """A context with one KV cache of `cells` tokens for all sequences, or with an equal part of them for each one.
    None where llama.cpp cannot make it."""
    lib = library()
    types = {"f16": lib.GGML_TYPE_F16, "q8_0": lib.GGML_TYPE_Q8_0}
    parameters = lib.llama_context_default_params()
    parameters.n_ctx = cells
    parameters.n_batch = parameters.n_ubatch = BATCH_TOKENS
    parameters.n_seq_max = sequences
    # Not one for each token of a batch, which takes memory, but llama.cpp wants one for each sequence.
    parameters.n_outputs_max = max(outputs, sequences)
    parameters.n_threads, parameters.n_threads_batch = tuning.threads, tuning.threads_batch
    parameters.kv_unified = not separate
    # On: where the model allows it.
    parameters.flash_attn_type = (
        lib.LLAMA_FLASH_ATTN_TYPE_AUTO if tuning.flash_attention else lib.LLAMA_FLASH_ATTN_TYPE_DISABLED
    )
    parameters.type_k, parameters.type_v = types[tuning.key_type], types[tuning.value_type]
    return lib.llama_init_from_model(model, parameters) or None
