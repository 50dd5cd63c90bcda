"""Held-out figures, through llama.cpp itself: `python -m ai_core.demo_model.evaluate --help`.

The questions are made from articles, and written for questions, that the training never showed as an answer.
"""

from __future__ import annotations

import argparse
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ai_core.demo_model import corpus
from ai_core.demo_model.examples import Branch, Example, Examples
from ai_core.demo_model.main_stage import neighbours

QUOTE = re.compile(r"« (.*?)(?: \[…\])? »", re.DOTALL)
CITED = re.compile(r"l'article ([A-Z]\*?\d[\d-]*)", re.IGNORECASE)
MAX_TOKENS = 320

Answer = Callable[[str, float], tuple[str, bool]]
"""(prompt, temperature) -> text, and whether the model ended it itself."""


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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True, help="@socialgouv/legi-data: its .tgz or JSON file")
    parser.add_argument("--model", type=Path, default=Path(__file__).parent / "code-du-travail-demo.gguf")
    parser.add_argument("--examples", type=int, default=60, help="prompts; each one is asked one question")
    parser.add_argument("--temperature", type=float, action="append", help="may be repeated; 0 and 0.5 by default")
    parser.add_argument("--show", type=int, default=0, help="print so many answers in full")
    options = parser.parse_args()
    answer = llama(options.model)
    articles = corpus.read(options.corpus)
    cases = grounded_cases(Examples(articles, neighbours(articles), held_out=True), options.examples)
    for temperature in options.temperature or [0.0, 0.5]:
        for kind, chosen in cases.items():
            tally = Tally()
            for place, (example, branch) in enumerate(chosen):
                prompt = example.before + branch.question + example.after
                said, ended = answer(prompt, temperature)
                tally.add(prompt, branch.answer, said, ended)
                if place < options.show:
                    print(f"\n? {branch.question}\n= {branch.answer}\n> {said}")
            print(f"temperature {temperature}, {kind}: {tally}", flush=True)


def grounded_cases(source: Examples, count: int) -> dict[str, list[tuple[Example, Branch]]]:
    """One question a prompt: those made from sentences, and those written by people."""
    chance = random.Random(7)
    made: list[tuple[Example, Branch]] = []
    while len(made) < count:
        example = source.grounded(chance.choice(source.seeds), chance)
        if branches := [branch for branch in example.branches if branch.decided]:
            made.append((example, branches[0]))
    written = [
        (example, example.branches[0])
        for seed in sorted(source.written)
        for example in [source.grounded(seed, chance)]
        if example.branches and example.branches[0].decided
    ]
    return {"made questions": made, "written questions": written}


def llama(model: Path) -> Answer:
    from llama_cpp import Llama

    loaded = Llama(str(model), n_ctx=2048, n_threads=2, verbose=False, seed=1)

    def answer(prompt: str, temperature: float) -> tuple[str, bool]:
        tokens = loaded.tokenize(prompt.encode(), add_bos=False, special=True)
        made: Any = loaded.create_completion(
            tokens, max_tokens=MAX_TOKENS, temperature=temperature, top_p=0.9, top_k=50
        )
        choice = made["choices"][0]
        return choice["text"], choice["finish_reason"] == "stop"

    return answer


if __name__ == "__main__":
    main()
