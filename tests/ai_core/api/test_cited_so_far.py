from __future__ import annotations

import json
from pathlib import Path

import pytest

from ai_core.api.cited_so_far import CitedSoFar
from ai_core.knowledge import citations
from ai_core.knowledge.citations import Citation
from tests.fakes import build_core

KNOWN = {"L1234-1", "L1234-12"}


def told(*pieces: str) -> list[tuple[int, str, str]]:
    """Piece, number and status of each citation."""
    so_far = CitedSoFar(lambda text: citations.check(text, {"L1234-1"}, KNOWN.__contains__))
    return [(at, found.number, found.status) for at, piece in enumerate(pieces) for found in so_far.take(piece)]


def test_a_number_is_told_once_it_cannot_grow() -> None:
    assert told("Selon l'article L", ". 1234", "-1", "2", " du", " Code") == [(4, "L1234-12", "exists")]
    assert told("L1234-1, puis ", "L9999-1 et", " L1234-1.  ") == [
        (0, "L1234-1", "verified"),
        (1, "L9999-1", "unknown"),
    ]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_however_it_is_cut_the_same_is_told(size: int) -> None:
    text = "Voir L. 1234-1, L1234-12 et R9999-2 ; L1234-1 encore. Fin de la réponse."
    found = told(*(text[start : start + size] for start in range(0, len(text), size)))
    assert {(number, status) for _, number, status in found} == {
        ("L1234-1", "verified"),
        ("L1234-12", "exists"),
        ("R9999-2", "unknown"),
    }
    assert len(found) == 3


def test_without_numbers_nothing_is_looked_for() -> None:
    def check(_: str) -> list[Citation]:
        raise AssertionError("there is nothing to check")

    assert list(CitedSoFar(check).take("Bonjour, je ne sais pas.")) == []


def test_a_stream_tells_of_a_number_that_does_not_exist_before_its_end(tmp_path: Path) -> None:
    core = build_core(tmp_path, "Selon l'article L9999-1 du Code, tout est permis.")
    core.install_code({"L1-1": "La lampe."})
    response = core.app.test_client().post(
        "/api/v1/chat", json={"message": "Que dit l'article L9999-1 ?", "stream": True}, headers=core.headers()
    )
    events = [part.split("\ndata: ") for part in response.text.strip().split("\n\n") if part.startswith("event")]
    names = [name.removeprefix("event: ") for name, _ in events]
    place = names.index("citation")
    assert json.loads(events[place][1]) == {"number": "L9999-1", "status": "unknown"}
    assert "token" in names[place:]
    assert names[-1] == "done"
    core.parts.model.stop()
