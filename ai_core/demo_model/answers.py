"""What the demonstration model learns to say: a lead-in, the quote, its end; and the few things it says on its own."""

from __future__ import annotations

import random

from ai_core.quotations import (
    ABILITIES,
    GOODBYE,
    HELLO,
    NOT_IN_ARTICLES,
    NOTHING_FOUND,
    THANKS,
    WHO_I_AM,
    closing,
)

LEAD_INS = (
    ("Selon l'article {} du Code du travail, « ", 8),
    ("L'article {} du Code du travail prévoit : « ", 4),
    ("D'après l'article {} du Code du travail, « ", 3),
    ("Voici ce que dit l'article {} du Code du travail : « ", 2),
)
ADVICE = (
    " Pour votre situation, l'inspection du travail peut vous renseigner.",
    " Vérifiez aussi votre convention collective.",
)
ADVICE_SHARE = 0.08


SMALL_TALK: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("Bonjour", "Bonjour !", "bonjour", "Salut", "Bonsoir", "Hello", "Coucou", "Bonjour, ça va ?", "salut !"), HELLO),
    (("Bonjour, j'ai une question", "Bonjour, pouvez-vous m'aider ?", "Bonsoir, je voudrais un renseignement"), HELLO),
    (
        (
            "Qui es-tu ?",
            "Qui êtes-vous ?",
            "qui es tu",
            "Tu es qui ?",
            "Es-tu un robot ?",
            "Êtes-vous humain ?",
            "Comment tu t'appelles ?",
            "Es-tu une intelligence artificielle ?",
            "Êtes-vous avocat ?",
            "Quel modèle es-tu ?",
            "Présente-toi",
        ),
        WHO_I_AM,
    ),
    (("Merci", "Merci !", "merci beaucoup", "Merci pour votre aide", "Super, merci", "ok merci", "Parfait"), THANKS),
    (("Au revoir", "Bonne journée", "À bientôt", "Bye", "Bonne soirée"), GOODBYE),
    (
        ("Que peux-tu faire ?", "Que sais-tu faire ?", "À quoi sers-tu ?", "Comment ça marche ?", "aide", "Aide-moi"),
        ABILITIES,
    ),
)

OFF_TOPIC = (
    "Quelle est la recette des crêpes ?",
    "Qui a gagné la coupe du monde ?",
    "Quel temps fera-t-il demain ?",
    "Raconte-moi une blague",
    "Combien font 12 fois 12 ?",
    "Quelle est la capitale de l'Italie ?",
    "Écris un poème sur la mer",
    "Comment planter des tomates ?",
    "Quel est le meilleur film de l'année ?",
    "Traduis bonjour en anglais",
    "Comment réparer mon vélo ?",
    "Quelle heure est-il ?",
    "Comment divorcer ?",
    "Comment payer moins d'impôts ?",
    "Qui est le président ?",
    "Donne-moi les numéros du loto",
    "Comment apprendre le piano ?",
    "Quel chien choisir ?",
    "Pourquoi le ciel est-il bleu ?",
    "Comment faire un gâteau au chocolat ?",
    "Quelle voiture acheter ?",
    "Où partir en vacances cet été ?",
    "Comment perdre du poids ?",
    "Écris du code Python",
    "Qui a peint la Joconde ?",
    "asdf qsdf",
    "???",
    "blabla",
    "Quelle est la distance de la Terre à la Lune ?",
    "Comment changer un pneu ?",
)


def lead_in(number: str, chance: random.Random) -> str:
    form = chance.choices([form for form, _ in LEAD_INS], [weight for _, weight in LEAD_INS])[0]
    return form.format(number)


def ending(unit: str, chance: random.Random) -> str:
    return closing(unit) + (chance.choice(ADVICE) if chance.random() < ADVICE_SHARE else "")


def fixed_texts() -> list[str]:
    """Every text here that an answer may hold, whatever the articles."""
    small_talk = [text for _, said in SMALL_TALK for text in said]
    return [*(form for form, _ in LEAD_INS), *ADVICE, *NOTHING_FOUND, *NOT_IN_ARTICLES, *small_talk, " […] »"]
