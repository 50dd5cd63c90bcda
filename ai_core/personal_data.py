"""Whether a text may say who somebody is. Errs towards yes: what says so is never shared between people."""

from __future__ import annotations

import re

_NAME = r"[A-ZÀ-ÖØ-Þ][\w'’-]+"
_SIGNS = (
    r"[\w.+-]+@[\w-]+\.[\w.-]+",  # e-mail address
    r"(?<!\d)(?:\+33|0033|0)\s?[1-9](?:[\s.-]?\d{2}){4}(?!\d)",  # telephone
    # Social security number
    r"(?<!\d)[12]\s?\d{2}\s?(?:0[1-9]|1[0-2]|[2-9]\d)\s?(?:\d{2}|2[AB])\s?\d{3}\s?\d{3}(?!\d)",
    r"\b[A-Z]{2}\d{2}(?:\s?[A-Z0-9]{4}){3,7}",  # IBAN
    r"(?<!\d)\d{3}\s?\d{3}\s?\d{3}(?:\s?\d{5})?(?!\d)",  # SIREN, SIRET
    r"(?i:\b(?:je m['’]appelle|mon nom est|je me nomme|ma fille s['’]appelle|mon fils s['’]appelle|nommée?|signé)\b)",
    rf"\b(?:M\.|Mme|Mlle|Mr|Monsieur|Madame|Mademoiselle|Maître|Me|Dr)\s+{_NAME}",
    r"(?i:\bnée? le\s+\d)",
    r"(?i:\b\d{1,4}\s*(?:bis|ter)?,?\s+(?:rue|avenue|av\.?|boulevard|bd|impasse|chemin|place|allée|route|quai|cours)\b)",
    rf"(?i:cordialement|salutations),?\s+{_NAME}\s+{_NAME}",
)
_ANY = re.compile("|".join(_SIGNS))


def may_be_personal(text: str) -> bool:
    """Whether `text` seems to hold a name, an address, a number of somebody."""
    return _ANY.search(text) is not None
