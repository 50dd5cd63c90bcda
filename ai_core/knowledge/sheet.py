"""A practical sheet of service-public.fr: what the Code means for people, in everyday words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

# Where the public reads the sheets, by audience: the addresses that the package itself has (spUrl).
PAGES = {
    "particuliers": "https://www.service-public.fr/particuliers/vosdroits/",
    "professionnels": "https://www.service-public.fr/professionnels-entreprises/vosdroits/",
    "associations": "https://www.service-public.fr/associations/vosdroits/",
}


@dataclass(frozen=True, slots=True)
class SheetPart:
    """A chapter of a sheet: its titles by " > " ("CDI > Préavis", "" for the introduction), and a line a paragraph."""

    heading: str
    text: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet of the imported revision. `number` ("F2883") is unique in it; `section` are the themes above the sheet;
    `references` are the places of the Code that it names, as it writes them ("articles L1231-1 à L1231-6"); `updated`
    is the day of its last change."""

    number: str
    audience: str
    title: str
    section: tuple[str, ...]
    parts: tuple[SheetPart, ...]
    references: tuple[str, ...]
    updated: date | None

    @property
    def url(self) -> str:
        """The sheet's page on service-public.fr."""
        return PAGES[self.audience] + self.number
