"""Questions: written ones (questions.tsv) and ones made from the sentence that answers them, in many wordings."""

from __future__ import annotations

import random
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from ai_core.demo_model.wording import reword

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class WrittenQuestion:
    text: str
    number: str
    anchor: str
    """Words of the sentence that answers."""


def written_questions() -> list[WrittenQuestion]:
    lines = (HERE / "questions.tsv").read_text(encoding="utf-8").splitlines()
    return [WrittenQuestion(*line.split("\t")) for line in lines if line and not line.startswith("#")]


_SMALL_WORDS = """
    le la les l un une des du de d au aux à a en et ou où par pour sur sous dans avec sans ce cet cette ces son sa
    ses leur leurs il elle ils elles on qui que qu dont lequel laquelle lesquels lesquelles est sont être peut
    peuvent doit doivent ne pas n ni se s si soit y ainsi lorsque lorsqu ont fait présent présente même tout toute
    tous toutes autre autres titre article articles code alinéa mentionné mentionnée mentionnés mentionnées prévu
    prévue prévues prévus application conditions celui celle ceux celles notamment selon après avant entre plus
    moins
"""
FUNCTION_WORDS = frozenset(_SMALL_WORDS.split())

VERBS = (
    "ne peut|ne peuvent|ne doit|ne doivent|n'est|ne sont|est|sont|peut|peuvent|doit|doivent|comprend|"
    "comprennent|bénéficie|bénéficient|prévoit|fixe|fixent|détermine|prend|prennent|établit|établissent|"
    "informe|assure|s'applique|s'appliquent|donne|ouvre|veille|met|remet|adresse|précise|fait|font|"
    "dispose|disposent|exerce|transmet|organise|définit|procède|communique|statue|tient|contient|comporte|"
    "porte|indique|désigne|perçoit|a droit|ont droit|a|ont"
)
SUBJECT = re.compile(rf"^(?P<subject>[^,:;]{{6,90}}?) (?P<verb>{VERBS})\b (?P<rest>.+)$", re.DOTALL)
CASE = re.compile(r"^(?P<case>(?:En cas d|Lorsqu|Dans l|Pour l|A l|Pendant|Après|A défaut)[^,:;]{8,110}),")
ABLE = re.compile(
    r"^(?P<who>L'employeur|Le salarié|La salariée|Le travailleur) (?P<verb>peut|doit) (?P<rest>[^,;:.]{12,100})"
)

ABOUT = (
    "Que dit la loi sur {}",
    "Que dit le Code du travail sur {}",
    "Quelles sont les règles concernant {}",
    "Quelles sont les règles sur {}",
    "Que prévoit le Code du travail pour {}",
    "Je voudrais savoir ce que la loi prévoit pour {}",
    "J'ai une question sur {}",
    "Peux-tu m'expliquer {}",
    "Pouvez-vous m'expliquer {}",
    "Que faut-il savoir sur {}",
    "Comment ça marche, {}",
    "C'est quoi {}",
    "Qu'est-ce que {}",
    "{}",
    "{} : que dit la loi",
    "{}, comment ça marche",
)
LONG = (
    "Combien de temps pour {}",
    "Quel est le délai pour {}",
    "Quelle est la durée de {}",
    "Quel délai pour {}",
    "{} : combien",
)
MUCH = (
    "Quel est le montant de {}",
    "Combien pour {}",
    "Quel est le taux de {}",
    "{} : combien",
    "Quelle somme pour {}",
)
WHO = ("Qui décide de {}", "Qui s'occupe de {}", "Qui fixe {}", "Qui est concerné par {}")
SITUATION = (
    "Que se passe-t-il {}",
    "Que dit la loi {}",
    "Quelles sont les règles {}",
    "Que faire {}",
    "Quels sont mes droits {}",
    "Que doit faire l'employeur {}",
)
NUMBERED = (
    "Que dit l'article {}",
    "article {}",
    "{}",
    "art. {}",
    "Que prévoit l'article {} du Code du travail",
    "Explique-moi l'article {}",
    "Donne-moi le texte de l'article {}",
)


def words(text: str) -> list[str]:
    return re.findall(r"[\w-]+", text.lower())


def content_words(text: str) -> set[str]:
    return {word for word in words(text) if word not in FUNCTION_WORDS and len(word) > 2}


def ask(unit: str, elsewhere: Collection[str], chance: random.Random) -> str:
    """A question that `unit` answers. Words that also stand `elsewhere` in the prompt are avoided where possible."""
    makers = [_from_chunk, _from_chunk, _from_keywords, _from_subject, _from_case, _able]
    for maker in chance.sample(makers, len(makers)):
        question = maker(unit, elsewhere, chance)
        if question:
            return reword(question, chance)
    return reword(_from_keywords(unit, elsewhere, chance) or unit[:60], chance)


def about(title: str, chance: random.Random) -> str:
    return reword(chance.choice(ABOUT).format(_lower_first(title)), chance)


def by_number(number: str, chance: random.Random) -> str:
    letter, digits = re.match(r"([A-Z]\*?)(.*)", number).groups()  # type: ignore[union-attr]
    spelling = chance.choice((number, f"{letter}. {digits}", f"{letter} {digits}", f"{letter}{digits}", number.lower()))
    return chance.choice(NUMBERED).format(spelling) + chance.choice((" ?", " ?", ""))


def _from_subject(unit: str, elsewhere: Collection[str], chance: random.Random) -> str | None:
    match = SUBJECT.match(unit)
    if not match or len(content_words(match["subject"])) < 2 or content_words(match["subject"]) <= set(elsewhere):
        return None
    return chance.choice((*ABOUT, *_stems(unit))).format(_lower_first(match["subject"]))


def _from_case(unit: str, elsewhere: Collection[str], chance: random.Random) -> str | None:
    match = CASE.match(unit)
    if not match or content_words(match["case"]) <= set(elsewhere):
        return None
    return chance.choice(SITUATION).format(_lower_first(match["case"]))


def _able(unit: str, elsewhere: Collection[str], chance: random.Random) -> str | None:
    match = ABLE.match(unit)
    if not match or content_words(match["rest"]) <= set(elsewhere):
        return None
    who, verb, rest = match["who"], match["verb"], match["rest"]
    pronoun = "elle" if who == "La salariée" else "il"
    forms = (f"{who} {verb}-{pronoun} {rest}", f"Est-ce que {_lower_first(who)} {verb} {rest}", f"{who} {verb} {rest}")
    return chance.choice(forms)


def _from_chunk(unit: str, elsewhere: Collection[str], chance: random.Random) -> str | None:
    chunks = [chunk for chunk in (_chunk(unit, chance) for _ in range(5)) if chunk]
    if not chunks:
        return None
    best = max(chunks, key=lambda chunk: len(content_words(chunk) - set(elsewhere)))
    return chance.choice((*ABOUT, *_stems(unit))).format(best)


def _chunk(unit: str, chance: random.Random) -> str | None:
    pieces = re.sub(r"\s+", " ", unit).split(" ")
    start, length = chance.randrange(len(pieces)), chance.randint(2, 7)
    chosen = pieces[start : start + length]
    while chosen and (not content_words(chosen[-1])):
        chosen.pop()
    text = " ".join(chosen).strip(" ,;:.()«»")
    if len(content_words(text)) < 2 or re.search(r"[LRD]\. ?\*?\d|[;:.]", text):
        return None
    return text[0].lower() + text[1:]


def _from_keywords(unit: str, elsewhere: Collection[str], chance: random.Random) -> str | None:
    ordered = [word for word in dict.fromkeys(words(unit)) if word in content_words(unit)]
    rare = [word for word in ordered if word not in elsewhere] or ordered
    if not rare:
        return None
    chosen = set(chance.sample(rare, min(len(rare), chance.randint(1, 3))))
    chosen |= set(chance.sample(ordered, min(len(ordered), chance.randint(1, 2))))
    return chance.choice(("{}", "{}", *ABOUT, *_stems(unit))).format(" ".join(w for w in ordered if w in chosen))


def _stems(unit: str) -> tuple[str, ...]:
    stems: tuple[str, ...] = ()
    if re.search(r"\b(jours?|mois|semaines?|heures?|ans|années?|délai|durée)\b", unit):
        stems += LONG * 2
    if re.search(r"\b(euros|montant|taux|indemnité|amende)\b|%", unit):
        stems += MUCH * 2
    return stems or WHO


def _lower_first(text: str) -> str:
    return text[0].lower() + text[1:] if text and not text[:2].isupper() else text
