"""Guessing the next tokens of an answer from what was already read: prompt lookup.

Answers about the law quote the articles in their prompt, so what followed an earlier occurrence of the last tokens
often comes next (A. Saxena, "Prompt Lookup Decoding"). A guess is checked in the batch that computes it and costs
little where a larger batch is hardly slower; where it is, a guess has to be likely. The sampler decides as ever: the
answer is the same with and without guesses.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass

NGRAM = 3
"""Tokens that must have occurred before, for what followed them to be a guess."""

LONGEST_GUESS = 15
"""With the token before it, a batch of 16."""

FIRST_RATE = 0.25


@dataclass(frozen=True, slots=True)
class StepCosts:
    """Seconds that a step of so many `rows` (tokens) takes, measured at some sizes; `rows` ascending."""

    rows: tuple[int, ...]
    seconds: tuple[float, ...]

    def of(self, rows: int) -> float:
        """Between two sizes the cost grows evenly, beyond the last as between the last two."""
        place = min(max(bisect.bisect_left(self.rows, rows), 1), len(self.rows) - 1)
        low, high = self.rows[place - 1], self.rows[place]
        share = (rows - low) / (high - low)
        return self.seconds[place - 1] + share * (self.seconds[place] - self.seconds[place - 1])


@dataclass(frozen=True, slots=True)
class Guess:
    """Tokens that may come next, each of them right with `rate` if those before it were."""

    tokens: Sequence[int] = ()
    rate: float = 0.0


class PromptLookup:
    """Follows one answer: where its last tokens occurred before, and how often what came then was right."""

    def __init__(self, prompt: Sequence[int]) -> None:
        self._tokens = list(prompt)
        self._after: dict[tuple[int, ...], int] = {}
        for place in range(NGRAM, len(self._tokens)):
            self._after[tuple(self._tokens[place - NGRAM : place])] = place
        self._next: int | None = self._after.get(tuple(self._tokens[-NGRAM:]))
        self._rate = FIRST_RATE

    def take(self, token: int) -> None:
        """The next token of the answer."""
        hit = self._next is not None and self._tokens[self._next] == token
        if self._next is not None:
            self._rate = self._rate + 0.25 * (1 - self._rate) if hit else self._rate / 2
        last = tuple(self._tokens[-NGRAM:])
        self._tokens.append(token)
        following = self._after.get(tuple(self._tokens[-NGRAM:]))
        self._next = self._next + 1 if hit and self._next is not None else following
        self._after[last] = len(self._tokens) - 1

    def guess(self, most: int) -> Guess:
        """At most `most` tokens. Where the answer repeats itself, the guess goes on with its own beginning."""
        if self._next is None or most <= 0:
            return Guess()
        start, known = self._next, len(self._tokens)
        guess = self._tokens[start : start + min(most, LONGEST_GUESS)]
        while len(guess) < min(most, LONGEST_GUESS):
            guess.append(guess[start + len(guess) - known])
        return Guess(guess, self._rate)


def share_out(guesses: Sequence[Guess], costs: StepCosts, *, most: int) -> list[list[int]]:
    """Of each guess the tokens that are worth a row in the next step, so that the tokens expected for each second are
    the most; at most `most` rows with those that are certain."""
    rows = len(guesses)
    offers = sorted(
        (
            (guess.rate**place, number)
            for number, guess in enumerate(guesses)
            for place in range(1, len(guess.tokens) + 1)
        ),
        reverse=True,
    )[: most - rows]
    best, best_speed, expected = 0, rows / costs.of(rows), float(rows)
    for taken, (probability, _) in enumerate(offers, 1):
        expected += probability
        speed = expected / costs.of(rows + taken)
        if speed > best_speed:
            best, best_speed = taken, speed
    lengths = [0] * rows
    for _, number in offers[:best]:
        lengths[number] += 1
    return [list(guess.tokens[:length]) for guess, length in zip(guesses, lengths, strict=True)]


def share_evenly(guesses: Sequence[Guess], costs: StepCosts, *, most: int) -> int:
    """How many tokens of every guess are worth the step, each getting as many rows; at most `most` rows in all."""
    best, best_speed, expected = 0, len(guesses) / costs.of(len(guesses)), float(len(guesses))
    for drafted in range(1, most // len(guesses)):
        expected += sum(guess.rate**drafted for guess in guesses if len(guess.tokens) >= drafted)
        speed = expected / costs.of(len(guesses) * (1 + drafted))
        if speed > best_speed:
            best, best_speed = drafted, speed
    return best
