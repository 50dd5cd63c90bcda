"""What the demonstration model learns to say: a lead-in, the quote, its end; and the few things it says on its own."""

from __future__ import annotations

import random

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

NOTHING_FOUND = (
    "Je n'ai trouvé aucun article du Code du travail qui réponde à cette question. "
    "Adressez-vous à l'inspection du travail ou à un avocat en droit du travail.",
    "Aucun article du Code du travail ne correspond à votre question. "
    "L'inspection du travail ou un avocat en droit du travail pourra vous renseigner.",
)
NOT_IN_ARTICLES = (
    "Les articles trouvés ne répondent pas à cette question. "
    "Je ne réponds qu'aux questions de droit du travail ; "
    "l'inspection du travail ou un avocat peut aussi vous renseigner.",
)

WHO_I_AM = (
    "Je suis Code du Travail Neo, un assistant de démonstration sur le droit du travail français. "
    "Je suis une intelligence artificielle : je cite les articles du Code du travail, "
    "je ne donne pas de conseil juridique.",
)
HELLO = (
    "Bonjour ! Je suis l'assistant Code du Travail Neo, une intelligence artificielle de démonstration. "
    "Posez-moi votre question sur le droit du travail français.",
)
THANKS = ("Avec plaisir ! N'hésitez pas si vous avez une autre question sur le droit du travail.",)
GOODBYE = ("Au revoir et bonne journée !",)
ABILITIES = (
    "Je cherche les articles du Code du travail qui répondent à votre question et j'en cite le passage utile. "
    "Par exemple : « Quelle est la durée légale du travail ? »",
)

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
    """Closes the quote; one that stops inside a list says so."""
    closing = " »" if unit.endswith((".", "!", "?", "»")) else " […] »"
    return closing + (chance.choice(ADVICE) if chance.random() < ADVICE_SHARE else "")
