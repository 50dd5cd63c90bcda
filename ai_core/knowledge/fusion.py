"""Two rankings of the same documents -> one, without a common scale for their scores.

Reciprocal rank fusion: Cormack, Clarke and Buettcher, "Reciprocal Rank Fusion outperforms Condorcet and individual Rank
Learning Methods" (SIGIR 2009).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

RANK_OFFSET = 60  # the paper's k: how little the very first ranks stand out


def fused(*rankings: Sequence[int]) -> list[tuple[int, float]]:
    """Documents of all `rankings`, each best first, with their fused scores, best first; of equals the one that the
    first ranking has earlier."""
    scores: dict[int, float] = defaultdict(float)
    for ranking in rankings:
        for rank, document in enumerate(ranking, start=1):
            scores[document] += 1 / (RANK_OFFSET + rank)
    return sorted(scores.items(), key=lambda entry: -entry[1])
