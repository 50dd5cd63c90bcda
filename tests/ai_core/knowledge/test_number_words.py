from __future__ import annotations

import pytest

from ai_core.knowledge.number_words import in_digits


@pytest.mark.parametrize(
    ("words", "digits"),
    [
        ("", ""),
        ("onze salaries", "11 salaries"),
        ("trente cinq heures", "35 heures"),
        ("dix sept ans ou dix huit ans", "17 ans ou 18 ans"),
        ("vingt et un jours", "21 jours"),
        ("soixante dix", "70"),
        ("soixante et onze", "71"),
        ("soixante quinze", "75"),
        ("quatre vingts", "80"),
        ("quatre vingt dix sept", "97"),
        ("deux cent cinquante salaries", "250 salaries"),
        ("cent", "100"),
        ("mille deux cents", "1200"),
        ("trois mille cinq cents heures", "3500 heures"),
        ("cinquante et plus", "50 et plus"),
        ("onze et vingt", "11 et 20"),
        ("deux trois", "2 3"),
        ("un salarie et une mission", "un salarie et une mission"),
        ("pour mille", "pour mille"),
    ],
)
def test_numbers_are_written_in_digits(words: str, digits: str) -> None:
    assert in_digits(words.split()) == digits.split()
