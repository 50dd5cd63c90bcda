"""Whether a model's sequences can be packed: asked of the model itself, since architectures are too many to list."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ai_core.engine.backends.transformers.packed import Input, PackedForward

logger = logging.getLogger(__name__)

LENGTH = 11
TOLERANCE = {torch.float32: 1e-3}
COARSE = 5e-2
"""Of the norm of the logits, for types with fewer bits. A layer that attends to something else is further off."""


def packs(model: Any) -> bool:
    """Whether packed sequences give what the library itself computes: true of models that attend to all of the past
    or to a window of it. Compares both on a short text, read in two chunks beside another text."""
    tokens = [(7 * place + 3) % model.config.get_text_config().vocab_size for place in range(LENGTH)]
    try:
        expected, found = _by_the_library(model, tokens), _packed(model, tokens)
    except Exception:
        logger.info("this model's sequences are computed one by one", exc_info=True)
        return False
    distance = np.linalg.norm(found - expected) / np.linalg.norm(expected)
    return bool(distance <= TOLERANCE.get(model.dtype, COARSE))


def _by_the_library(model: Any, tokens: Sequence[int]) -> np.ndarray:
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([tokens], device=model.device)).logits
    return np.asarray(logits[0, -1].float().cpu().numpy())


def _packed(model: Any, tokens: Sequence[int]) -> np.ndarray:
    forward = PackedForward(model, 2)
    forward.run([Input(0, tokens[:6], 0), Input(1, tokens[:3], 1)])
    logits = forward.run([Input(0, tokens[6:], 1), Input(1, tokens[3:4], 0)])
    if forward.windows != _windows(model):
        raise ValueError("the model's layers do not all say which window they attend to")
    return np.asarray(logits[0][0])


def _windows(model: Any) -> dict[int, int | None]:
    """For each layer its window as the library's own cache has it, None where it attends to everything."""
    import transformers
    from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

    layers = transformers.DynamicCache(config=model.config).layers
    if not {type(layer) for layer in layers} <= {DynamicLayer, DynamicSlidingWindowLayer}:
        raise ValueError("the model keeps more than keys and values")
    return {number: getattr(layer, "sliding_window", None) for number, layer in enumerate(layers)}
