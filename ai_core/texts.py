"""Sentences that the assistant adds to its answers. French: they are read by the people who ask."""

NOT_GROUNDED = (
    "Réponse sans source : le Code du travail n'est pas installé sur ce serveur. "
    "Elle n'a pu être vérifiée, ne vous y fiez pas."
)
NOTHING_FOUND = "Aucun article du Code du travail ne correspond à cette question : la réponse n'a pas de source."
TURNS_DROPPED = "La conversation dépasse la mémoire du modèle : ses premiers échanges n'ont pas été pris en compte."
DEADLINE = "Le temps imparti est écoulé : la réponse est incomplète."
ARTICLE_LABEL = "Article {number} : {title}"
SHEET_LABEL = "Fiche pratique de service-public.fr : {title}"
SHEET_LABEL_DATED = "Fiche pratique de service-public.fr : {title} (mise à jour du {day})"
SHEET_LABEL_OUTDATED = "Fiche pratique de service-public.fr : {title} (mise à jour du {day}, la loi a changé depuis)"
MODEL_UNLOADED = "Le modèle a été déchargé pendant la réponse, qui est incomplète."
