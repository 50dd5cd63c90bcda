"""Everything that people read in our mails. French first: it is what they write in."""

from __future__ import annotations

from collections.abc import Mapping

HEADER = "Assistant IA Code du Travail"
SENDER_NAME = HEADER
SIGNATURE = "ColonyLab – Assistant IA Code du Travail"
DISCLAIMER = (
    "Cette réponse a été rédigée par une intelligence artificielle. Elle donne une information générale et ne "
    "constitue pas un conseil juridique : pour votre situation, consultez un avocat ou l'inspection du travail."
)
SUBJECT_WITHOUT_ONE = "Re: votre question"
NO_NAME = "sans nom"
MONTHS = ("janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre",
          "décembre")  # fmt: skip

UNKNOWN_CITATION = (
    "Cette réponse cite {numbers}, que nous n'avons pas trouvé dans le Code du travail : "
    "ne vous y fiez pas sans vérifier."
)
SHORTENED = "Votre message était très long : seul son début a été pris en compte."
ATTACHMENT_SHORTENED = "La pièce jointe « {name} » était trop longue : seul son début a été lu."
TOO_MANY_ATTACHMENTS = "Seules les {count} premières pièces jointes ont été lues."

# Why a file was not read: keys are the outcomes stored with the attachment.
NOT_READ: Mapping[str, str] = {
    "too_large": "La pièce jointe « {name} » n'a pas été lue : elle est trop volumineuse.",
    "unsupported": "La pièce jointe « {name} » n'a pas été lue : envoyez plutôt un PDF, un document Word ou "
    "OpenDocument, un texte ou une image.",
    "encrypted": "La pièce jointe « {name} » n'a pas été lue : elle est protégée par un mot de passe.",
    "unreadable": "La pièce jointe « {name} » n'a pas été lue : elle est endommagée.",
    "empty": "La pièce jointe « {name} » ne contient pas de texte lisible.",
    "too_costly": "La pièce jointe « {name} » n'a pas été lue : elle est trop complexe.",
    "unavailable": "La pièce jointe « {name} » n'a pas pu être lue pour le moment.",
    "not_scanned": "La pièce jointe « {name} » n'a pas été ouverte : elle n'a pas pu être contrôlée.",
}

# Why there is no answer: keys are the reasons of failed messages. Markdown.
APOLOGIES: Mapping[str, str] = {
    "empty": "Votre message ne contient pas de texte. **Écrivez votre question** dans le corps du message, "
    "et nous y répondrons.",
    "nothing_readable": "Nous n'avons pas pu lire votre message ni ses pièces jointes. **Écrivez votre question** "
    "dans le corps du message, en texte simple, et nous y répondrons.",
    "encrypted": "Votre message est chiffré et nous ne pouvons pas le lire. **Renvoyez-le sans chiffrement**, "
    "et nous y répondrons.",
    "question_refused": "Nous ne pouvons pas traiter votre message tel qu'il est. Reformulez votre question "
    "en quelques phrases, et nous y répondrons.",
    "": "Nous n'avons pas pu répondre à votre message, à la suite d'un incident technique, et nous vous prions "
    "de nous en excuser. Vous pouvez le renvoyer plus tard.",
}


def greeting(name: str) -> str:
    """The first line of a mail."""
    return f"Bonjour {name}," if name else "Bonjour,"


def apology(reason: str) -> str:
    """What somebody is told whose mail failed for `reason`."""
    return APOLOGIES.get(reason, APOLOGIES[""])
