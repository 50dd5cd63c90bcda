"""Waiting in tests for what another thread or process is about to bring about."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def until(look: Callable[[], Found | None], seconds: float = 60) -> Found:
    """What `look` finds, as soon as it is true. Fails after `seconds`: long, since machines that test are busy."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.002)
    return found
