"""From the clients' answers to figures.

Tokens a second: all tokens of all answers, as the server counts them, over the time from the first request to the end
of the last answer. Time to first token: from the request to the first event that brought text. Inter-token time: from
one event with text to the next one of the same answer, as a reader sees it. An event may bring several tokens (drafts
that were right, tokens of one character); its wait is counted once and not divided, for every server alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise

import numpy as np

from tests.benchmarks.engine.load import Answer
from tests.benchmarks.engine.servers import Counters


@dataclass(slots=True)
class Figures:
    """One round with one server. Times in seconds; `prefill_tokens` were computed, `reused_tokens` were not."""

    output_tokens_per_s: float
    ttft_p50_s: float
    ttft_p95_s: float
    itl_p95_s: float
    prefill_tokens: int
    reused_tokens: int
    rss_bytes: int
    wall_s: float
    requests: int
    output_tokens: int
    errors: int
    first_error: str | None = None
    decode_tokens_per_s: float = 0.0
    """Median over the answers, from the first token to the last one."""
    more: dict[str, float] = field(default_factory=dict)
    """What only one workload has."""

    def as_json(self) -> dict[str, float | int | str | None]:
        return asdict(self)


def figures(answers: Sequence[Answer], before: Counters, after: Counters, rss_bytes: int) -> Figures:
    """Measure one round between two readings of the server's counters."""
    good = [answer for answer in answers if answer.error is None]
    failed = [answer.error for answer in answers if answer.error is not None]
    wall = max(answer.ended_at for answer in answers) - min(answer.asked_at for answer in answers)
    output = _difference(before.output, after.output)
    if output is None:
        output = sum(_output(answer) for answer in good)
    prompts = sum(answer.prompt_tokens for answer in good)
    prefill = _difference(before.prefill, after.prefill)
    if prefill is None:
        prefill = prompts - sum(answer.told.reused_tokens or 0 for answer in good)
    first = [answer.texts_at[0] - answer.asked_at for answer in good if answer.texts_at]
    return Figures(
        output_tokens_per_s=output / wall,
        ttft_p50_s=percentile(first, 50),
        ttft_p95_s=percentile(first, 95),
        itl_p95_s=percentile(gaps(good), 95),
        prefill_tokens=prefill,
        reused_tokens=max(0, prompts - prefill),
        rss_bytes=rss_bytes,
        wall_s=wall,
        requests=len(answers),
        output_tokens=output,
        errors=len(failed),
        first_error=failed[0] if failed else None,
        decode_tokens_per_s=percentile([_decode_rate(answer) for answer in good if len(answer.texts_at) > 1], 50),
    )


def gaps(answers: Sequence[Answer], since: float = -np.inf, until: float = np.inf) -> list[float]:
    """Seconds between the texts of each answer; those that ended between `since` and `until`."""
    return [
        later - earlier for answer in answers for earlier, later in pairwise(answer.texts_at) if since <= later <= until
    ]


def percentile(values: Sequence[float], share: float) -> float:
    """0 where there is nothing, linear between two values."""
    return float(np.percentile(values, share)) if values else 0.0


def _output(answer: Answer) -> int:
    return len(answer.texts_at) if answer.told.output_tokens is None else answer.told.output_tokens


def _decode_rate(answer: Answer) -> float:
    return (_output(answer) - 1) / (answer.texts_at[-1] - answer.texts_at[0])


def _difference(before: int | None, after: int | None) -> int | None:
    return None if before is None or after is None else after - before
