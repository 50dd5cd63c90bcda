"""A small code in the shape of legi-data, written for the tests: the rules in it are invented."""

from __future__ import annotations

import io
import json
import tarfile
import zlib
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any

CODE_MEMBER = "package/data/LEGITEXT000006072050.json"
NO_END = 32472144000000  # 2999, as the real file writes it


def milliseconds(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=timezone.utc).timestamp() * 1000)


def article(
    number: str, text: str, *, start: date = date(2008, 5, 1), end: date | None = None, identifier: str = ""
) -> dict[str, Any]:
    return {
        "type": "article",
        "data": {
            "id": identifier or f"LEGIARTI{zlib.crc32((number + text).encode()):012d}",
            "num": number,
            "texteHtml": text,
            "notaHtml": "",
            "etat": "VIGUEUR",
            "dateDebut": milliseconds(start),
            "dateFin": milliseconds(end) if end else NO_END,
        },
    }


def section(title: str, *children: dict[str, Any]) -> dict[str, Any]:
    return {"type": "section", "data": {"title": title}, "children": list(children)}


def code(*children: dict[str, Any]) -> dict[str, Any]:
    return {"type": "code", "data": {"id": "LEGITEXT000006072050", "title": "Code"}, "children": list(children)}


SMALL_CODE = code(
    section(
        "Partie législative  ",
        section(
            "Livre Ier : Le contrat de travail",
            section(
                "Chapitre Ier : Période d'essai.",
                article(" L9101-1", "<p>La période d'essai dure au plus onze jours.</p>"),
                article("L9101-2", "<p>Elle peut être renouvelée une fois, sur papier bleu.</p>"),
                article("L9101-3", "<p>Le silence vaut accord.</p>"),
            ),
            section(
                "Chapitre II : Rupture du contrat à durée indéterminée",
                article("L9102-1", "<p>Le licenciement est notifié par lettre.</p><p>La lettre est signée.</p>"),
                article("L9102-2", "<p>En cas de démission, le préavis est de neuf jours.</p>"),
                article("L9102-3 A", "<p>Tout salarié peut reprendre sa lettre de démission.</p>"),
                article("L9102-9", "<p>Le licenciement verbal est permis.</p>", end=date(2010, 1, 1)),
            ),
            section(
                "Chapitre III : Congés payés",
                section(
                    "Section 1 : Ordre public",
                    article("L9103-1", "<p>Chacun a droit à vingt jours de congés payés.</p>"),
                ),
            ),
        ),
    ),
    section(
        "Partie réglementaire  ",
        section(
            "Livre Ier : Le contrat de travail",
            section(
                "Chapitre III : Congés payés",
                article(
                    "R*9103-2", "<p>La demande de congés payés est faite à l'&eacute;crit, le lundi au plus tard.</p>"
                ),
                article("D9103-3", "<p>Barème :</p><table><tr><td>1 an</td><td>3 jours</td></tr></table>"),
                article("Annexe I", "<p>Modèle de demande de congés payés.</p>"),
            ),
            section(
                "Chapitre IV : Bruit",
                article("R9104-1", "<p>Le bruit des machines est mesuré chaque lundi.</p>"),
                article("Annexe I", "<p>Tableau des seuils de bruit.</p>"),
            ),
        ),
    ),
)


def write_json(path: Path, tree: dict[str, Any] = SMALL_CODE) -> Path:
    path.write_text(json.dumps(tree), encoding="utf-8")
    return path


def write_package(path: Path, tree: dict[str, Any] = SMALL_CODE, *, version: str = "1.2.3") -> Path:
    """An npm package with one file more than is needed."""
    members = {
        "package/package.json": json.dumps({"name": "@socialgouv/legi-data", "version": version}).encode(),
        "package/README.md": b"# readme",
        CODE_MEMBER: json.dumps(tree).encode(),
    }
    return write_archive(path, [(tarfile.TarInfo(name), content) for name, content in members.items()])


def write_archive(path: Path, members: list[tuple[tarfile.TarInfo, bytes]]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for member, content in members:
            if member.isreg():
                member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path
