"""Everyday words for the law's words, and the carelessness of people who type."""

from __future__ import annotations

import random
import re
import unicodedata

EVERYDAY = (
    (r"\bl'employeur\b", ("mon employeur", "mon patron", "le patron", "l'entreprise", "mon chef")),
    (r"\bles? salariés?\b", ("un salarié", "un employé", "le travailleur", "les employés")),
    (r"\bcontrats? de travail à durée déterminée\b", ("CDD", "un CDD")),
    (r"\bcontrats? de travail à durée indéterminée\b", ("CDI", "un CDI")),
    (r"\bcomité social et économique\b", ("CSE", "comité d'entreprise")),
    (r"\brémunération\b", ("salaire", "paie", "paye")),
    (r"\bsalaire\b", ("paie", "rémunération", "paye")),
    (r"\bcongés? payés?\b", ("vacances", "congés", "congés payés")),
    (r"\bentreprise\b", ("boîte", "société", "entreprise")),
    (r"\blicenciement\b", ("renvoi", "licenciement", "être licencié", "licencier")),
    (r"\bdémission\b", ("démissionner", "démission", "quitter son emploi")),
    (r"\bbulletin de paie\b", ("fiche de paie", "bulletin de salaire")),
    (r"\bsalaire minimum de croissance\b", ("SMIC", "smic")),
    (r"\bheures supplémentaires\b", ("heures sup", "heures supplémentaires")),
    (r"\btravailleurs?\b", ("salarié", "ouvrier", "employé")),
    (r"\bgrossesse\b", ("enceinte", "maternité", "grossesse")),
    (r"\bsanctions?\b", ("punition", "sanction")),
    (r"\binspecteur du travail\b", ("inspection du travail", "inspecteur")),
)


def reword(question: str, chance: random.Random) -> str:
    for pattern, others in EVERYDAY:
        if chance.random() < 0.3:
            question = re.sub(pattern, chance.choice(others), question, count=1, flags=re.IGNORECASE)
    roll = chance.random()
    if roll < 0.12:
        question = question.lower()
    elif roll < 0.18:
        question = without_accents(question.lower())
    elif roll < 0.24:
        question = _mistype(question, chance)
    elif roll > 0.35:
        question = question[0].upper() + question[1:]
    return question.rstrip(" ?.") + chance.choice((" ?", " ?", " ?", "?", ""))


def without_accents(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))


def _mistype(text: str, chance: random.Random) -> str:
    at = chance.randrange(1, max(2, len(text) - 1))
    return text[:at] + text[at + 1 :]
