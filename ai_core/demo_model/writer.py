"""The model run by llama.cpp, one answer at a time: for figures and tests. The server runs it in its engine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ai_core.engine.choices import Choice
from ai_core.engine.sampling import SamplingParameters
from ai_core.prompts import PromptArticle
from ai_core.quotations import Passage, possible_answers

MODEL = Path(__file__).parent / "code-du-travail-demo.gguf"
MAX_TOKENS = 320
CONTEXT = 2048


class Writer:
    def __init__(self, model: Path = MODEL) -> None:
        from llama_cpp import Llama

        self.model: Any = Llama(str(model), n_ctx=CONTEXT, n_threads=2, verbose=False)

    def free(self, prompt: str, temperature: float) -> tuple[str, bool]:
        """What the model writes by itself, and whether it ended by itself."""
        tokens = self._tokens(prompt, special=True)
        made = self.model.create_completion(
            tokens, max_tokens=MAX_TOKENS, temperature=temperature, top_p=0.9, top_k=40, seed=1
        )["choices"][0]
        return made["text"], made["finish_reason"] == "stop"

    def held_to_quotes(self, prompt: str, articles: Sequence[PromptArticle], temperature: float) -> str:
        """What it chooses among the possible answers, as the assistant runs it."""
        passages = [Passage(article) for article in articles]
        choices = tuple(tuple(self._tokens(answer, special=False)) for answer in possible_answers(passages))
        end = self.model.token_eos()
        choice = Choice(SamplingParameters(temperature=temperature, top_k=40, seed=1, choices=choices), end)
        self.model.reset()
        self.model.eval(self._tokens(prompt, special=True))
        said: list[int] = []
        while end not in said:
            scores = self.model._ctx.get_logits_ith(-1)
            said.append(choice.take(choice.choose({token: scores[token] for token in choice.options})))
            self.model.eval(said[-1:])
        text: str = self.model.detokenize(said[:-1]).decode()
        return text

    def _tokens(self, text: str, *, special: bool) -> list[int]:
        tokens: list[int] = self.model.tokenize(text.encode(), add_bos=False, special=special)
        return tokens
