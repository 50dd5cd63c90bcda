"""Why the engine refuses a request at submission."""

from __future__ import annotations


class InvalidRequest(ValueError):
    """The request can never run: an empty prompt, or a token that the model does not have."""


class PromptTooLong(InvalidRequest):
    """The prompt leaves no room for an answer. `limit` is the longest prompt accepted, in tokens."""

    def __init__(self, prompt_tokens: int, limit: int) -> None:
        super().__init__(f"prompt of {prompt_tokens} tokens, at most {limit} fit")
        self.prompt_tokens = prompt_tokens
        self.limit = limit


class EngineBusy(Exception):
    """Too many requests wait, or this one cannot start before its deadline. `retry_after` is an estimate in seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"engine at capacity, retry in {retry_after:.0f} s")
        self.retry_after = retry_after


class EngineStopped(Exception):
    """The engine takes no more requests: its model is being unloaded or the process ends."""
