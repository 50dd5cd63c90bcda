"""Held-out figures, through llama.cpp itself: `python -m ai_core.demo_model.evaluate --help`.

The questions are made from articles that the training never showed as an answer, or written and kept apart. "held to
quotes": every passage of every article in the prompt is open to the model (the assistant leaves it only those that the
search finds telling, see ai_core.quotations); "free": what it writes by itself. Prompts in which the right article does
not stand first are counted apart, as the order says much.
"""

from __future__ import annotations

import argparse
import random
import re
from dataclasses import dataclass
from pathlib import Path

from ai_core.demo_model import corpus
from ai_core.demo_model.examples import Branch, Example, Examples
from ai_core.demo_model.main_stage import neighbours
from ai_core.demo_model.writer import MODEL, Writer

QUOTE = re.compile(r"« (.*?)(?: \[…\])? »", re.DOTALL)
CITED = re.compile(r"l'article ([A-Z]\*?\d[\d-]*)", re.IGNORECASE)

Case = tuple[Example, Branch]


@dataclass(slots=True)
class Tally:
    asked: int = 0
    right_article: int = 0
    right_passage: int = 0
    exact_quote: int = 0
    ended: int = 0

    def add(self, prompt: str, wanted: str, said: str, ended: bool) -> None:
        self.asked += 1
        quotes, cited = QUOTE.findall(said), CITED.findall(said)
        self.right_article += cited[:1] == CITED.findall(wanted)[:1]
        self.right_passage += quotes[:1] == QUOTE.findall(wanted)[:1]
        self.exact_quote += bool(quotes) and all(quote in prompt for quote in quotes)
        self.ended += ended

    def __str__(self) -> str:
        shares = {
            "right article": self.right_article,
            "right passage": self.right_passage,
            "exact quote": self.exact_quote,
            "ended by itself": self.ended,
        }
        return f"{self.asked} questions: " + ", ".join(f"{name} {n / self.asked:.0%}" for name, n in shares.items())


def main() -> None:
    options = parse()
    writer = Writer(options.model)
    articles = corpus.read(options.corpus)
    source = Examples(articles, neighbours(articles), held_out=True)
    cases = by_place({"made": made_cases(source, options.examples), "written": written_cases(source)})
    for mode in ("held to quotes", "free"):
        for temperature in options.temperature or [0.0, 0.5]:
            for kind, chosen in cases.items():
                tally = Tally()
                for place, (example, branch) in enumerate(chosen):
                    prompt = example.before + branch.question + example.after
                    if mode == "free":
                        said, ended = writer.free(prompt, temperature)
                    else:
                        said, ended = writer.held_to_quotes(prompt, example.articles, temperature), True
                    tally.add(prompt, branch.answer, said, ended)
                    if place < options.show:
                        print(f"\n? {branch.question}\n= {branch.answer}\n> {said}")
                print(f"{mode}, temperature {temperature}, {kind}: {tally}", flush=True)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True, help="@socialgouv/legi-data: its .tgz or JSON file")
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--examples", type=int, default=100, help="made questions, each with a prompt of its own")
    parser.add_argument("--temperature", type=float, action="append", help="may be repeated; 0 and 0.5 by default")
    parser.add_argument("--show", type=int, default=0, help="print so many answers in full")
    return parser.parse_args()


def by_place(cases: dict[str, list[Case]]) -> dict[str, list[Case]]:
    """Each kind in two: the right article stands first in the prompt, or it does not."""
    split: dict[str, list[Case]] = {}
    for kind, chosen in cases.items():
        for example, branch in chosen:
            first = CITED.findall(branch.answer)[:1] == [example.articles[0].number]
            split.setdefault(f"{kind}, right article {'first' if first else 'later'}", []).append((example, branch))
    return split


def made_cases(source: Examples, count: int) -> list[Case]:
    chance = random.Random(7)
    made: list[Case] = []
    while len(made) < count:
        example = source.grounded(chance.choice(source.seeds), chance)
        # Not the prompts around written questions: those are counted apart.
        if branches := [branch for branch in example.branches if branch.decided]:
            made.append((example, branches[-1]))
    return made


def written_cases(source: Examples) -> list[Case]:
    """Each held-out written question, as its article's prompt comes out."""
    chance = random.Random(7)
    examples = [source.grounded(seed, chance) for seed in sorted(source.written)]
    return [(example, example.branches[0]) for example in examples if example.branches and example.branches[0].decided]


if __name__ == "__main__":
    main()
