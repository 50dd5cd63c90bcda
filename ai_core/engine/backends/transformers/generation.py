"""The library's own generate(), one step at a time under the engine's control.

It runs in a thread of its own and stops before each next step until the engine says go on; the engine waits meanwhile.
So other requests' steps come in between, an abandoned request ends at its next step, and never do two threads use the
model at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import torch


class _Abandoned(BaseException):
    """Leaves generate() from within; not an Exception, for the library not to take it for a failure of its own."""


class Generation:
    """`work` calls generate() with the criterion it is given among its stopping criteria. Its random numbers are its
    own: the same from the same `seed`, whatever other requests draw."""

    def __init__(self, work: Callable[[Callable[..., Any]], Any], seed: int, name: str) -> None:
        self._work = work
        self._go, self._back = threading.Semaphore(0), threading.Semaphore(0)
        self._seed = seed
        self._random: tuple[torch.Tensor, list[torch.Tensor]] | None = None
        self._abandoned = False
        self._result: Any = None
        self._error: BaseException | None = None
        self.ended = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def step(self) -> Any:
        """Let it compute one step; what `work` returned once it has ended, None before. Raises what it raised."""
        others = _random_state()
        if self._random is None:
            torch.manual_seed(self._seed)
        else:
            _set_random_state(*self._random)
        self._hand_over()
        self._random = _random_state()
        _set_random_state(*others)
        if self._error is not None:
            raise self._error
        return self._result

    def abandon(self) -> None:
        """End it now, whatever its state; its memory is free afterwards."""
        if not self.ended:
            self._abandoned = True
            self._hand_over()
        self._thread.join()

    def _hand_over(self) -> None:
        self._go.release()
        self._back.acquire()

    def _run(self) -> None:
        try:
            self._wait()
            with torch.inference_mode():
                self._result = self._work(self._pause)
        except _Abandoned:
            pass
        except Exception as error:  # noqa: BLE001 - raised where the engine waits, in step()
            self._error = error
        self.ended = True
        self._back.release()

    def _pause(self, tokens: torch.Tensor, _scores: Any, **_: Any) -> torch.Tensor:
        """A stopping criterion that never stops, called after each step with the tokens so far, (rows, length)."""
        self._back.release()
        self._wait()
        return torch.zeros(tokens.shape[0], dtype=torch.bool, device=tokens.device)

    def _wait(self) -> None:
        self._go.acquire()
        if self._abandoned:
            raise _Abandoned


def _random_state() -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Of the generators that torch draws from unless told otherwise: the processor's and each GPU's."""
    return torch.get_rng_state(), torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []


def _set_random_state(processor: torch.Tensor, gpus: list[torch.Tensor]) -> None:
    torch.set_rng_state(processor)
    if gpus:
        torch.cuda.set_rng_state_all(gpus)
