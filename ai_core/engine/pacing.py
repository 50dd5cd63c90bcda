"""How much of a prompt is read in a step beside running answers: as much as they hardly notice."""

from __future__ import annotations

from dataclasses import dataclass

from ai_core.engine.speculation import StepCosts

MOST_TOKENS = 256
"""Prompt tokens in a step that also carries running answers."""
FIRST_TOKENS = 64
LEAST_TOKENS = 16
SLOWER = 2.5
"""A step with prompt tokens may take so many times as long as one without."""
WAITED_SECONDS = 1.4
"""Or, where that is longer, as long as all running answers together wait so much for each prompt that is read, but no
longer than this: libraries read small chunks slowly, where few answers run few people see them pause, and where many
prompts are read many people wait for their first word."""
WEIGHT_OF_NEWEST = 0.2


@dataclass(frozen=True, slots=True)
class StepLoad:
    """What a step computed: the next tokens of `answers`, and `prompt_tokens` of `readers`' prompts; of these some may
    have had to wait for the next step."""

    answers: int
    readers: int = 0
    prompt_tokens: int = 0


class PrefillPace:
    """Follows the steps: their time depends on the machine, on what else it does, and on how long the prompts are by
    now. `tokens` is for the next step."""

    def __init__(self, costs: StepCosts | None = None) -> None:
        self.tokens = FIRST_TOKENS
        self._costs = costs
        self._alone: float | None = None  # seconds; with costs, the times by which a step takes longer than measured

    def took(self, seconds: float, load: StepLoad) -> None:
        """A step of `load` took `seconds`."""
        if not load.answers:
            return
        if not load.prompt_tokens:
            newest = seconds / self._costs.of(load.answers) if self._costs else seconds
            alone = newest if self._alone is None else self._alone
            self._alone = alone + WEIGHT_OF_NEWEST * (newest - alone)
            return
        if load.prompt_tokens < self.tokens / 2:
            return  # the end of a prompt says little of larger chunks
        waited = WAITED_SECONDS * min(1.0, load.readers / load.answers)
        allowed = max(waited, SLOWER * self._without_prompt(load.answers))
        change = min(1.5, allowed / max(seconds, 1e-6))
        self.tokens = round(min(MOST_TOKENS, max(LEAST_TOKENS, load.prompt_tokens * change)))

    def _without_prompt(self, answers: int) -> float:
        """Seconds of a step without prompt tokens: lately, or as measured when the model was loaded."""
        if self._costs is None:
            return self._alone or 0.0
        return self._costs.of(answers) * max(1.0, self._alone or 0.0)
