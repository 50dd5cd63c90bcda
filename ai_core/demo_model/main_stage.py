"""The main stage: grounded questions and answers, early stopping on articles and questions kept apart."""

from __future__ import annotations

import argparse
import os
import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from ai_core.demo_model import answers
from ai_core.demo_model.corpus import LawArticle
from ai_core.demo_model.examples import Example, Examples
from ai_core.demo_model.network import Network, Shape
from ai_core.demo_model.questions import content_words
from ai_core.demo_model.tokenizer import END
from ai_core.demo_model.train import run_stage
from ai_core.prompts import ARTICLES_HEADER, SYSTEM_PROMPT, Message, grounded_message, render

TOKENS_PER_BATCH = 4500
CHOICE_WEIGHT = 6.0
CHOICE_MARGIN = 4
DISGUISED_SHARE = 0.15
HELD_OUT_EXAMPLES = 32
NEIGHBOURS = 8


@dataclass(frozen=True, slots=True)
class Stage:
    """`plain`: share of examples without articles; `rate`: share of the learning rates. Files lie in the run folder."""

    name: str
    start: str
    best: str
    plain: float
    rate: float


@dataclass(frozen=True, slots=True)
class Row:
    """One example laid flat. Branch 0 is what all questions share; each question sees it and itself only."""

    tokens: list[int]
    positions: list[int]
    branch: list[int]
    weights: list[float]
    """Weight of each token as a target (0: only read)."""


MAIN = Stage("main", "warm-up.pt", "best.pt", plain=0.11, rate=1.0)
POLISH = Stage("polish", "best.pt", "polished.pt", plain=0.4, rate=0.4)


def main_stage(options: argparse.Namespace, articles: list[LawArticle], vocabulary: Tokenizer, stage: Stage) -> None:
    network = Network(Shape())
    network.load_state_dict(torch.load(options.run / stage.start, weights_only=True)["network"])
    near = neighbours(articles)
    source = Examples(articles, near, held_out=False, plain=stage.plain)
    fixed = random.Random(1)
    kept_apart = Examples(articles, near, held_out=True, plain=stage.plain)
    measured = [lay_flat(kept_apart.draw(fixed), vocabulary) for _ in range(HELD_OUT_EXAMPLES)]
    batches = Batches(source, vocabulary, random.Random(os.getpid()))
    best = Best(options.run / stage.best)

    def at_save(spent: float) -> None:
        with torch.no_grad():
            losses = [batch_loss(network, [row]).item() for row in measured if any(row.weights)]
        best.keep(network, sum(losses) / len(losses), spent)

    def loss() -> Tensor:
        return batch_loss(network, batches.next())

    run_stage(network, options.run / f"{stage.name}.pt", options.minutes, loss, at_save, stage.rate)


class Best:
    """The weights with the lowest held-out loss so far."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.loss: float = torch.load(path, weights_only=True)["loss"] if path.exists() else float("inf")

    def keep(self, network: Network, loss: float, spent: float) -> None:
        better = loss < self.loss
        print(f"held out {loss:.4f} after {spent:.0f} s{' (best)' if better else ''}", flush=True)
        if better:
            self.loss = loss
            torch.save({"network": network.state_dict(), "loss": loss}, self.path.with_suffix(".partial"))
            self.path.with_suffix(".partial").replace(self.path)


class Batches:
    """Rows of like length together, about TOKENS_PER_BATCH in each batch."""

    def __init__(self, source: Examples, vocabulary: Tokenizer, chance: random.Random) -> None:
        self.source, self.vocabulary, self.chance = source, vocabulary, chance
        self.disguise = Disguise(vocabulary)
        self.ready: list[list[Row]] = []

    def next(self) -> list[Row]:
        if not self.ready:
            self._fill()
        return self.ready.pop()

    def _fill(self) -> None:
        limit = Shape().context + 600
        rows = [self._row() for _ in range(60)]
        rows = sorted(
            (row for row in rows if any(row.weights) and len(row.tokens) < limit), key=lambda r: len(r.tokens)
        )
        batch: list[Row] = []
        for row in rows:
            if batch and len(row.tokens) * (len(batch) + 1) > TOKENS_PER_BATCH:
                self.ready.append(batch)
                batch = []
            batch.append(row)
        self.ready.append(batch)
        self.chance.shuffle(self.ready)

    def _row(self) -> Row:
        example = self.source.draw(self.chance)
        if self.chance.random() > DISGUISED_SHARE or not all(branch.decided for branch in example.branches):
            return lay_flat(example, self.vocabulary)
        return self.disguise.put_on(lay_flat(example, self.vocabulary, disguised=True), self.chance)


class Disguise:
    """Exchanges the words of a row for other words, the same everywhere in the row; frame and numbers stay.

    Repetitions and near-repetitions stay those of the law, but only copying, not a sense of the language, can tell
    what comes next; and rare words are copied as often as frequent ones.
    """

    def __init__(self, vocabulary: Tokenizer) -> None:
        size = vocabulary.get_vocab_size()
        frame = render([Message("system", SYSTEM_PROMPT), Message("user", grounded_message("", []))], None)
        texts = [*(segment.text for segment in frame), ARTICLES_HEADER, *answers.fixed_texts()]
        fixed = {token for text in texts for token in vocabulary.encode(text).ids}
        words = [vocabulary.decode([at]).strip() for at in range(size)]
        self.free = [at for at in range(size) if at not in fixed and len(words[at]) > 1 and words[at].isalpha()]
        self.size = size

    def put_on(self, row: Row, chance: random.Random) -> Row:
        exchanged = list(range(self.size))
        for token, other in zip(self.free, chance.sample(self.free, len(self.free)), strict=True):
            exchanged[token] = other
        return replace(row, tokens=[exchanged[token] for token in row.tokens])


def lay_flat(example: Example, vocabulary: Tokenizer, *, disguised: bool = False) -> Row:
    shared = vocabulary.encode(example.before).ids
    row = Row(list(shared), list(range(len(shared))), [0] * len(shared), [0.0] * len(shared))
    for number, branch in enumerate(example.branches, start=1):
        asked = vocabulary.encode(branch.question + example.after).ids
        said = vocabulary.encode(branch.answer + END).ids
        chosen = CHOICE_MARGIN
        if branch.decided:
            chosen += len(vocabulary.encode(branch.answer[: branch.decided].rstrip()).ids)
        row.tokens.extend(asked + said)
        row.positions.extend(range(len(shared), len(shared) + len(asked) + len(said)))
        row.branch.extend([number] * (len(asked) + len(said)))
        row.weights.extend([0.0] * len(asked))
        weights = [CHOICE_WEIGHT if at < chosen else 1.0 for at in range(len(said))]
        if disguised:
            # "La" at a line's start and " La" after a quotation mark are two tokens, disguised independently.
            weights[chosen - CHOICE_MARGIN] = 0.0
        row.weights.extend(weights)
    return row


def batch_loss(network: Network, rows: list[Row]) -> Tensor:
    length = max(len(row.tokens) for row in rows)
    tokens = padded([row.tokens for row in rows], length, 0)
    branch = padded([row.branch for row in rows], length, -1)
    positions = padded([row.positions for row in rows], length, 0)
    weights = padded([row.weights for row in rows], length, 0.0)
    mask = (branch[:, None, :] == 0) | (branch[:, None, :] == branch[:, :, None])
    mask = (mask & torch.ones(length, length, dtype=torch.bool).tril())[:, None]
    with torch.autocast("cpu", torch.bfloat16):
        hidden = network(tokens, positions, mask)
        wanted = weights[:, 1:] > 0
        scores = network.logits(hidden[:, :-1][wanted])
    losses = functional.cross_entropy(scores.float(), tokens[:, 1:][wanted], reduction="none")
    chosen = weights[:, 1:][wanted]
    return (losses * chosen).sum() / chosen.sum()


def padded(lists: list[Any], length: int, filler: float) -> Tensor:
    return torch.tensor([[*values, *[filler] * (length - len(values))] for values in lists])


def neighbours(articles: list[LawArticle]) -> list[list[int]]:
    """For each article, those that share its rare words: what a search would return beside it."""
    bags = [content_words(article.title + " " + article.text) for article in articles]
    counts: dict[str, int] = {}
    for bag in bags:
        for word in bag:
            counts[word] = counts.get(word, 0) + 1
    terms = {word: at for at, word in enumerate(w for w, n in counts.items() if 3 <= n <= len(articles) // 12)}
    matrix = torch.zeros(len(articles), len(terms), dtype=torch.bfloat16)
    for row, bag in enumerate(bags):
        for word in bag & terms.keys():
            matrix[row, terms[word]] = 1.0 / counts[word] ** 0.25
    matrix = functional.normalize(matrix, dim=1)
    found = []
    for rows in matrix.split(1024):
        found.extend((rows @ matrix.T).float().topk(NEIGHBOURS + 1).indices.tolist())
    return [[other for other in near if other != at][:NEIGHBOURS] for at, near in enumerate(found)]
