"""Reading material of the first stage: articles as the prompt shows them, then quotes from them, in any order."""

from __future__ import annotations

import random

from tokenizers import Tokenizer

from ai_core.demo_model.corpus import LawArticle


class WarmUp:
    """Token sequences of one length; every token is a target."""

    def __init__(self, articles: list[LawArticle], tokenizer: Tokenizer, length: int) -> None:
        self.tokenizer, self.length = tokenizer, length
        self.articles = [article for article in articles if article.units]

    def batch(self, count: int, chance: random.Random) -> list[list[int]]:
        return [self.sequence(chance) for _ in range(count)]

    def sequence(self, chance: random.Random) -> list[int]:
        shown, text = [], ""
        while len(text) < self.length * 2:
            article = chance.choice(self.articles)
            shown.append(article)
            text += f"[{article.number}] {article.title}\n{article.text[: self.length * 2]}\n\n"
        units = [(a.number, unit) for a in shown for unit in a.units if unit in text]
        chance.shuffle(units)
        for number, unit in units * 3:
            text += f"Selon l'article {number} du Code du travail, « {unit} »\n"
            if len(text) > self.length * 6:
                break
        ids: list[int] = self.tokenizer.encode(text).ids[: self.length]
        return ids + [0] * (self.length - len(ids))
