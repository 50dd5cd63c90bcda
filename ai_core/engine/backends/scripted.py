"""A backend without weights: answers from a script, and keeps memory as strictly as llama.cpp does.

For tests of the engine and of everything above it. One token is one byte, so that characters and stop strings fall
across tokens.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence

from ai_core.engine.backends.base import Chosen, Chunk, DecodeFailed, Limits, ModelInfo, OutOfCells
from ai_core.engine.sampling import BASIC, SamplingParameters
from ai_core.engine.speculation import StepCosts

END = 256
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


class ScriptedSampler:
    """The bytes of one answer, then END."""

    def __init__(self, prompt: Sequence[int], answer: str) -> None:
        self.prompt = list(prompt)
        self.tokens: Iterator[int] = iter([*answer.encode(), END])


class Cell:
    """One token position in memory, owned by the sequences that hold it."""

    def __init__(self, token: int) -> None:
        self.token = token


class ScriptedBackend:
    """`answer` is the answer to every prompt, or is called with the prompt's text; a batch takes `step_seconds`."""

    def __init__(
        self,
        answer: str | Callable[[str], str] = "Bonjour.",
        *,
        slots: int = 4,
        context_length: int = 4096,
        cells: int | None = None,
        pinned: int = 2,
        held: int | None = None,
        separate: bool = False,
        batch_tokens: int = 512,
        step_seconds: float = 0.0,
        costs: StepCosts | None = None,
    ) -> None:
        self._answer = answer
        self.step_seconds = step_seconds
        self._memory: dict[int, list[Cell]] = {sequence: [] for sequence in range(slots + pinned)}
        self._failures: list[Exception] = []
        self._running = threading.Event()
        self._running.set()
        self.batches: list[list[Chunk]] = []
        cells = slots * context_length if cells is None else cells
        self.limits = Limits(
            slots,
            pinned,
            context_length,
            cells,
            batch_tokens,
            vocabulary=END + 1,
            outputs=2 * slots,
            held=cells if held is None else held,
            separate=separate,
        )
        self.costs = costs
        self.info = ModelInfo(
            name="scripted",
            description="answers from a script",
            context_length=context_length,
            slots=slots,
            chat_template=CHATML,
            bos_token="",
            eos_token="<|im_end|>",  # noqa: S106
            architecture="scripted",
            size_bytes=0,
            quantization="none",
            honours=BASIC - {"logprobs"},
        )

    # -- for tests ----------------------------------------------------------------------------------------------------

    def fail_next(self, *errors: Exception) -> None:
        """Let the next batches fail, one error each."""
        self._failures.extend(errors)

    def freeze(self) -> None:
        """Let decode hang until thaw, as a stuck step would."""
        self._running.clear()

    def thaw(self) -> None:
        self._running.set()

    def length(self, sequence: int) -> int:
        return len(self._memory[sequence])

    @property
    def cells_used(self) -> int:
        return len({id(cell) for cells in self._memory.values() for cell in cells})

    # -- Backend ------------------------------------------------------------------------------------------------------

    def tokenize(self, text: str, *, special: bool) -> list[int]:  # noqa: ARG002
        return list(text.encode("utf-8", "replace"))

    def piece(self, token: int) -> bytes:
        return b"" if token == END else bytes([token])

    def is_end(self, token: int) -> bool:
        return token == END

    def sampler(self, sampling: SamplingParameters, prompt: Sequence[int]) -> ScriptedSampler:
        if sampling.choices:
            return ScriptedSampler(prompt, bytes(sampling.choices[0]).decode())
        if isinstance(self._answer, str):
            return ScriptedSampler(prompt, self._answer)
        return ScriptedSampler(prompt, self._answer(bytes(token for token in prompt if token < END).decode()))

    def decode(self, chunks: Sequence[Chunk]) -> list[list[Chosen]]:
        self._running.wait()
        time.sleep(self.step_seconds)
        self.batches.append(list(chunks))
        if self._failures:
            raise self._failures.pop(0)
        added = sum(len(chunk.tokens) for chunk in chunks)
        if not 0 < added <= self.limits.batch_tokens:
            raise DecodeFailed(f"batch of {added} tokens")
        if self.cells_used + added > self.limits.cells:
            raise OutOfCells
        return [self._decode_chunk(chunk) for chunk in chunks]

    def copy(self, source: int, target: int, length: int) -> None:
        assert length <= len(self._memory[source]), "copy of positions that were never computed"
        assert not self._memory[target], "copy over a sequence in use"
        self._memory[target] = self._memory[source][:length]

    def drop(self, sequence: int) -> None:
        self._memory[sequence] = []

    def clear(self) -> None:
        self._memory = {sequence: [] for sequence in self._memory}

    def close(self) -> None:
        self.clear()

    def _decode_chunk(self, chunk: Chunk) -> list[Chosen]:
        memory = self._memory[chunk.sequence]
        if chunk.position != len(memory) or not chunk.tokens:
            raise DecodeFailed(f"position {chunk.position} in a sequence of {len(memory)}")
        memory.extend(Cell(token) for token in chunk.tokens)
        if chunk.sampler is None:
            return []
        assert isinstance(chunk.sampler, ScriptedSampler)
        prompt = chunk.sampler.prompt
        if [cell.token for cell in memory[: len(prompt)]] != prompt:
            raise DecodeFailed("memory does not hold the prompt")
        chosen = [next(chunk.sampler.tokens)]
        for drafted in chunk.tokens[len(chunk.tokens) - chunk.drafted :]:
            if chosen[-1] != drafted:
                break
            chosen.append(next(chunk.sampler.tokens))
        del memory[chunk.position + len(chunk.tokens) - chunk.drafted + len(chosen) - 1 :]
        return [Chosen(token) for token in chosen]
