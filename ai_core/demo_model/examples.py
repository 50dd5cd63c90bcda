"""Prompts and answers to learn from: the articles once, then several questions about them, each with its answer.

The prompt is what `ai_core.prompts` produces, to the character.
"""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from ai_core.demo_model import answers, questions
from ai_core.demo_model.corpus import LawArticle
from ai_core.demo_model.wording import reword
from ai_core.prompts import CUT_MARK, SYSTEM_PROMPT, Message, PromptArticle, grounded_message, render
from ai_core.quotations import NOT_IN_ARTICLES, NOTHING_FOUND

HELD_OUT_EVERY = 33
WRITTEN_HELD_OUT_EVERY = 10
SLOT = "<here>"
# What a search finds first is what answers more often than not, and an article says the main thing first.
FIRST_ASKED = 0.5
FIRST_UNIT = 0.25


@dataclass(frozen=True, slots=True)
class Branch:
    question: str
    answer: str
    decided: int = 0
    """Characters of the answer up to which it is a choice (lead-in, number); after them it is a copy."""


@dataclass(frozen=True, slots=True)
class Example:
    """`before` + question + `after` + answer is what the model reads, for each branch."""

    before: str
    after: str
    branches: tuple[Branch, ...]
    articles: tuple[PromptArticle, ...] = ()


def is_held_out(article: LawArticle) -> bool:
    return zlib.crc32(article.number.encode()) % HELD_OUT_EVERY == 0


@dataclass(frozen=True, slots=True)
class Shown:
    """An article as the prompt shows it, and the units that can still be quoted from it."""

    number: str
    title: str
    text: str
    units: tuple[str, ...]


def show(article: LawArticle, budget: int) -> Shown:
    text = article.text
    if len(text) > budget:
        ends = [match.end() for match in re.finditer(r"[.;](?=\s)", text[: budget + 1])]
        text = text[: ends[-1] if ends else budget] + CUT_MARK
    kept = tuple(unit for unit in article.units if unit in text)
    return Shown(article.number, article.title, text, kept)


class Examples:
    """Draws examples; `neighbours[i]` are the articles most like articles[i], nearest first; `plain` is the share of
    examples without articles."""

    def __init__(
        self, articles: list[LawArticle], neighbours: list[list[int]], *, held_out: bool, plain: float = 0.11
    ) -> None:
        self.articles, self.neighbours, self.plain = articles, neighbours, plain
        self.at = {article.number: at for at, article in enumerate(articles)}
        self.seeds = [at for at, article in enumerate(articles) if article.units and is_held_out(article) == held_out]
        self.written: dict[int, list[questions.WrittenQuestion]] = {}
        for place, written in enumerate(questions.written_questions()):
            if (place % WRITTEN_HELD_OUT_EVERY == 0) == held_out and written.number in self.at:
                self.written.setdefault(self.at[written.number], []).append(written)

    def draw(self, chance: random.Random) -> Example:
        roll = chance.random()
        if roll < 0.8 * self.plain:
            return self._nothing_found(chance)
        if roll < self.plain:
            return self._plain(chance)
        if roll < 0.5 and self.written:
            return self.grounded(chance.choice(list(self.written)), chance)
        return self.grounded(chance.choice(self.seeds), chance)

    def grounded(self, seed: int, chance: random.Random) -> Example:
        gold = show(self.articles[seed], 3000 if seed in self.written else chance.choice((600, 1000, 1600)))
        shown = [gold, *self._others(seed, chance)]
        first = chance.random() < 0.6
        if not first:
            chance.shuffle(shown)
        written = self.written.get(seed, [])
        chosen = chance.sample(written, min(2, len(written)))
        branches = [self._written(question, gold, chance) for question in chosen]
        wanted = chance.randint(4, 7)
        for _ in range(wanted):
            article = shown[0] if chance.random() < FIRST_ASKED else chance.choice(shown)
            branch = self._made(article, shown, chance)
            if branch:
                branches.append(branch)
        if chance.random() < 0.12:
            branches.append(small_talk(chance) if chance.random() < 0.5 else off_topic(chance))
        earlier = self._earlier(chance) if chance.random() < 0.08 else None
        articles = tuple(PromptArticle(a.number, a.title, a.text) for a in shown)
        before, after = frame(articles, chance, earlier)
        return Example(before, after, tuple(branch for branch in branches if branch), articles)

    def _others(self, seed: int, chance: random.Random) -> list[Shown]:
        near, total = self.neighbours[seed], len(self.articles)
        around = [at for at in range(seed - 4, seed + 5) if at != seed and 0 <= at < total]
        budget = 5500 if chance.random() < 0.12 else chance.choice((900, 1600, 2200, 3000))
        others: list[Shown] = []
        for _ in range(chance.choice((0, 1, 2, 3, 3, 3, 4, 5))):
            pool = chance.choices((near, around, range(total)), (5, 3, 2))[0]
            article = show(self.articles[chance.choice(pool)], chance.choice((500, 900, 1500)))
            known = {self.articles[seed].number, *(other.number for other in others)}
            if article.number not in known and budget > len(article.text):
                others.append(article)
                budget -= len(article.text)
        return others

    def _written(self, written: questions.WrittenQuestion, gold: Shown, chance: random.Random) -> Branch | None:
        unit = next((unit for unit in gold.units if written.anchor.lower() in unit.lower()), None)
        question = written.text if chance.random() < 0.6 else reword(written.text, chance)
        return quote(question, gold.number, unit, chance) if unit else None

    def _made(self, article: Shown, shown: list[Shown], chance: random.Random) -> Branch | None:
        if not article.units:
            return None
        roll = chance.random()
        if roll < 0.08:
            return quote(questions.by_number(article.number, chance), article.number, article.units[0], chance)
        same_title = sum(other.title == article.title for other in shown)
        if roll < 0.2 and same_title == 1 and article.title:
            asked = questions.content_words(article.title)
            best = max(article.units, key=lambda unit: len(asked & questions.content_words(unit)))
            return quote(questions.about(article.title, chance), article.number, best, chance)
        unit = article.units[0] if chance.random() < FIRST_UNIT else chance.choice(article.units)
        everything = " ".join([other.text for other in shown]).replace(unit, " ", 1)
        question = questions.ask(unit, questions.content_words(everything), chance)
        return quote(question, article.number, unit, chance)

    def _earlier(self, chance: random.Random) -> Branch:
        article = self.articles[chance.choice(self.seeds)]
        unit = chance.choice(article.units)
        said = quote(questions.ask(unit, (), chance), article.number, unit, chance)
        return chance.choice((said, small_talk(chance)))

    def _nothing_found(self, chance: random.Random) -> Example:
        before, after = frame([], chance)
        branches = [*(small_talk(chance) for _ in range(4)), off_topic(chance, NOTHING_FOUND)]
        for _ in range(3):
            unit = chance.choice(self.articles[chance.choice(self.seeds)].units)
            question = questions.ask(unit, (), chance)
            branches.append(Branch(question, chance.choice(NOTHING_FOUND)))
        return Example(before, after, tuple(branches))

    def _plain(self, chance: random.Random) -> Example:
        before, after = frame(None, chance)
        made = self._nothing_found(chance).branches
        return Example(before, after, (small_talk(chance), small_talk(chance), *made))


def quote(question: str, number: str, unit: str, chance: random.Random) -> Branch:
    lead = answers.lead_in(number, chance)
    return Branch(question, lead + unit + answers.ending(unit, chance), len(lead))


def small_talk(chance: random.Random) -> Branch:
    asked, said = chance.choice(answers.SMALL_TALK)
    return Branch(chance.choice(asked), chance.choice(said))


def off_topic(chance: random.Random, said: tuple[str, ...] = NOT_IN_ARTICLES) -> Branch:
    return Branch(chance.choice(answers.OFF_TOPIC), chance.choice(said))


def frame(
    articles: Sequence[PromptArticle] | None, chance: random.Random, earlier: Branch | None = None
) -> tuple[str, str]:
    """What stands before and after the question. No `articles`: the question alone, without grounding."""
    user = SLOT if articles is None else grounded_message(SLOT, articles)
    messages = [Message("user", user)]
    if earlier:
        messages = [Message("user", earlier.question), Message("assistant", earlier.answer), *messages]
    if chance.random() < 0.93:
        messages = [Message("system", SYSTEM_PROMPT), *messages]
    before, after = "".join(segment.text for segment in render(messages, None)).split(SLOT)
    return before, after
