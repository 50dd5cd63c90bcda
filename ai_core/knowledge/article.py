"""One article of the Code du travail, as it is imported, searched and cited."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

IN_FORCE = "in_force"
FUTURE = "future"
REPEALED = "repealed"

LEGIFRANCE = "https://www.legifrance.gouv.fr/codes/article_lc/"


@dataclass(frozen=True, slots=True)
class Article:
    """An article in the version that the imported revision holds.

    `number` is unique in a revision ("L3121-27", "R*1234-1"); `title` is the last section title that says something,
    without its rank; `section_path` runs from the part of the code down to the section; `text` has a line a paragraph;
    `state` is "in_force", "future" or "repealed" on the day it was worked out; `in_force_until` is the first day on
    which the version no longer applies, None when no end is known.
    """

    number: str
    legifrance_id: str
    title: str
    section_path: tuple[str, ...]
    text: str
    nota: str
    state: str
    in_force_from: date | None
    in_force_until: date | None

    @property
    def url(self) -> str:
        """The article's page on Légifrance."""
        return LEGIFRANCE + self.legifrance_id


def state_on(day: date, start: date | None, end: date | None) -> str:
    """The state on `day` of a version that applies from `start` until the day before `end`."""
    if start is not None and start > day:
        return FUTURE
    if end is not None and end <= day:
        return REPEALED
    return IN_FORCE
