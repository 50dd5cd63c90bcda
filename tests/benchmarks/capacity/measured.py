"""A real AI core: its rates, and what becomes of arrivals that the simulation gets too."""

from __future__ import annotations

import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.api.asking import Client, Outcome
from tests.benchmarks.capacity.queueing import Request
from tests.benchmarks.capacity.rates import Rates
from tests.benchmarks.engine.machine import describe
from tests.benchmarks.engine.prompt_reader import PromptReader
from tests.benchmarks.engine.texts import Texts
from tests.end_to_end.server import Server

SLOTS, WAITING, TIMEOUT = 8, 8, 50.0
SYSTEM = "Tu réponds."
ANSWER, LONG_PROMPT, SHORT_PROMPT = 96, 800, 8  # tokens
REPETITIONS = 3


class TooSlow(Exception):
    """No rate can be had: answers are cut at their timeout."""


@dataclass(frozen=True, slots=True)
class Core:
    """A server with the model at `model`, whose slots, waiting limit and timeout are the constants above."""

    client: Client
    model: Path
    text: Callable[[int], str]

    def rates(self) -> Rates:
        """Measured through its API, so Python and HTTP have their share."""
        overhead = statistics.median(self._alone(SHORT_PROMPT, 1) for _ in range(REPETITIONS))
        reading = statistics.median(self._alone(LONG_PROMPT, 1) for _ in range(REPETITIONS))
        about = describe(self.model)
        return Rates(
            prefill=(LONG_PROMPT - SHORT_PROMPT) / max(reading - overhead, 1e-6),
            decode={size: self._decode(size) for size in (1, 2, 4, SLOTS)},
            overhead=overhead,
            model_bytes=about["model_bytes"],
            cores=about["cores"],
            about=f"{about['measured_at']}, {about['cpu']}, {about['cores']} cores, {about['model']}",
        )

    def play(self, arrivals: Sequence[Request]) -> list[Outcome]:
        """Send each request when it is due, whatever becomes of the others; in their order."""
        texts = [self.text(int(one.prompt)) for one in arrivals]
        outcomes: list[Outcome | None] = [None] * len(arrivals)

        def ask(number: int) -> None:
            outcomes[number] = self.client.generate(texts[number], int(arrivals[number].answer))

        threads = []
        began = time.monotonic()
        for number, one in enumerate(arrivals):
            time.sleep(max(0.0, began + one.at - time.monotonic()))
            threads.append(threading.Thread(target=ask, args=(number,)))
            threads[-1].start()
        for thread in threads:
            thread.join()
        return [outcome for outcome in outcomes if outcome is not None]

    def _alone(self, prompt: int, answer: int) -> float:
        return _good(self.client.generate(self.text(prompt), answer)).seconds

    def _decode(self, answers: int) -> float:
        texts = [self.text(SHORT_PROMPT) for _ in range(answers)]
        with ThreadPoolExecutor(answers) as pool:
            outcomes = [_good(one) for one in pool.map(lambda text: self.client.generate(text, ANSWER), texts)]
        each = [(ANSWER - 1) / (one.seconds - one.first) for one in outcomes if one.first is not None]
        return answers * statistics.median(each)


@contextmanager
def core(model: Path) -> Iterator[Core]:
    """Start it; nothing but the engine and its API takes part."""
    reader = PromptReader(model)
    texts = Texts(reader)
    with tempfile.TemporaryDirectory(prefix="capacity-") as home:
        prompt = Path(home) / "system.txt"
        prompt.write_text(SYSTEM, encoding="utf-8")
        server = Server(
            Path(home),
            MODEL_FILE=str(model.resolve()),
            SYSTEM_PROMPT_FILE=str(prompt),
            ENGINE_SLOTS=str(SLOTS),
            ENGINE_CONTEXT_LENGTH="2048",
            MAX_WAITING_REQUESTS=str(WAITING),
            REQUEST_TIMEOUT=str(TIMEOUT),
            RATE_LIMIT_USER_PER_MINUTE="100000",
        )
        key = server.new_key("chat")
        server.start()
        try:
            yield Core(Client(server.port, key), model, texts.of_length)
        finally:
            server.stop()
            reader.close()


def sizes(chance: random.Random) -> tuple[float, float]:
    """Tokens of a prompt and of an answer in the check."""
    return float(chance.randint(20, 300)), float(chance.randint(16, 96))


def _good(outcome: Outcome) -> Outcome:
    if not outcome.good:
        raise TooSlow(f"an answer did not end as it should within {TIMEOUT:.0f} s (status {outcome.status})")
    return outcome
