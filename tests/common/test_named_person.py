"""Who an export or an erasure is about: read from standard input, refused without a word of it."""

from __future__ import annotations

import pytest

from common.named_person import NamedPerson, NotAPerson


def test_each_service_finds_its_names() -> None:
    told = '{"mail": ["a@b.example"], "telegram": [12, "13"], "ai_core": [["webapp", "u/1"]]}'
    assert NamedPerson.parse(told) == NamedPerson(("a@b.example",), (12, 13), (("webapp", "u/1"),))
    assert NamedPerson.parse('{"telegram": [1]}') == NamedPerson((), (1,), ())


@pytest.mark.parametrize(
    "told",
    [
        "",
        "hidden",
        "[]",
        "{}",
        '{"mail": []}',
        '{"mail": [7], "telegram": [1]}',
        '{"telegram": ["hidden"]}',
        '{"ai_core": ["hidden"]}',
        '{"ai_core": [["webapp", ""]]}',
        '{"mail": ["hidden@b.example"], "phone": ["hidden"]}',
    ],
)
def test_what_names_nobody_is_refused_and_not_repeated(told: str) -> None:
    with pytest.raises(NotAPerson) as refused:
        NamedPerson.parse(told)
    assert "hidden" not in str(refused.value)
