from __future__ import annotations

import pytest

from ai_core.personal_data import may_be_personal


@pytest.mark.parametrize(
    "text",
    [
        "Je m'appelle Marie, que faire ?",
        "je m’appelle marie",
        "Mon patron, M. Durand, refuse.",
        "Écrivez à marie.martin@example.org",
        "Appelez-moi au 06 12 34 56 78",
        "Mon numéro : +33 6 12 34 56 78",
        "NIR 2 85 05 78 006 084",
        "IBAN FR76 3000 6000 0112 3456 7890 189",
        "SIRET 732 829 320 00074",
        "J'habite 12 bis rue des Lilas",
        "née le 3 mars 1985",
        "Cordialement, Marie Martin",
    ],
)
def test_what_says_who_somebody_is_is_seen(text: str) -> None:
    assert may_be_personal(text)


@pytest.mark.parametrize(
    "text",
    [
        "Quel est le préavis en cas de démission ?",
        "L'article L1234-1 du Code du travail, alinéa 3",
        "Mon patron ne paie pas mes 35 heures depuis 2024",
        "CDD de 18 mois, 1 500,50 euros par mois",
        "Licenciée le lendemain de mon retour, que faire ?",
    ],
)
def test_an_ordinary_question_is_not(text: str) -> None:
    assert not may_be_personal(text)
