"""How much of a prompt is read in a step beside running answers: as much as they hardly notice."""

from __future__ import annotations

from ai_core.engine.speculation import StepCosts

MOST_TOKENS = 256
"""Prompt tokens in a step that also carries running answers."""
FIRST_TOKENS = 64
LEAST_TOKENS = 8
SLOWER = 2.5
"""A step with prompt tokens may take so many times as long as one without."""
WAITED_SECONDS = 1.4
"""Or, where that is longer, as long as all running answers together wait so much: libraries read small chunks slowly,
and where few answers run, few people see them pause."""
WEIGHT_OF_NEWEST = 0.2


class PrefillPace:
    """Follows the steps: their time depends on the machine, on what else it does, and on how long the prompt is by now.
    `tokens` is for the next step."""

    def __init__(self, costs: StepCosts | None = None) -> None:
        self.tokens = FIRST_TOKENS
        self._costs = costs
        self._alone: float | None = None

    def took(self, seconds: float, answers: int, prompt_tokens: int) -> None:
        """A step of `answers` running answers and `prompt_tokens` took `seconds`."""
        if not answers:
            return
        if not prompt_tokens:
            alone = seconds if self._alone is None else self._alone
            self._alone = alone + WEIGHT_OF_NEWEST * (seconds - alone)
            return
        if prompt_tokens < self.tokens / 2:
            return  # the end of a prompt says little of larger chunks
        allowed = max(WAITED_SECONDS / answers, SLOWER * self._without_prompt(answers))
        change = min(1.5, allowed / max(seconds, 1e-6))
        self.tokens = round(min(MOST_TOKENS, max(LEAST_TOKENS, prompt_tokens * change)))

    def _without_prompt(self, answers: int) -> float:
        """Seconds of a step without prompt tokens: lately, or as measured when the model was loaded."""
        return max(self._alone or 0.0, self._costs.of(answers) if self._costs else 0.0)
