"""Letters in HTML and text: safe whatever the model writes, replaceable, checked before anything is sent."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timezone
from pathlib import Path

import pytest

from common.env import SettingError
from mail_service import texts
from mail_service.composition import checked_templates
from mail_service.rendering import KINDS, SAMPLE, TemplateBroken, Templates, french_date
from mail_service.settings import Settings

NEEDED = {
    "EMAIL_ADDRESS": "assistant@cdt.example",
    "EMAIL_PASSWORD": "x",
    "IMAP_HOST": "mx.cdt.example",
    "SMTP_HOST": "mx.cdt.example",
    "AI_API_KEY": "x",
}


def html(answer: str, **changes: object) -> str:
    return Templates().render("answer", dataclasses.replace(SAMPLE, ai_response=answer, **changes))[0]  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_says_who_writes_and_that_it_is_no_legal_advice(kind: str) -> None:
    for rendered in Templates().render(kind, SAMPLE):
        for expected in (texts.HEADER, "Bonjour Camille Exemple,", "ColonyLab", "avocat", "0123456789abcdef"):
            assert expected in rendered


def test_sources_are_links() -> None:
    page, text = Templates().render("answer", SAMPLE)
    assert 'href="https://www.legifrance.gouv.fr/codes/article_lc/LEGIARTI000033020376"' in page
    assert "https://www.legifrance.gouv.fr/codes/article_lc/LEGIARTI000033020376" in text


def test_markdown_becomes_html_and_nothing_dangerous_does() -> None:
    page = html(
        "# Titre\n\n**gras** <script>alert(1)</script> <img src=x onerror=alert(1)>\n\n"
        "[lien](javascript:alert(1)) ![image](https://t.example/p.gif) [bon](https://www.service-public.fr)\n\n"
        "| a | b |\n|---|---|\n| 1 | 2 |\n"
    )
    assert "<strong>gras</strong>" in page
    assert "<h3>Titre</h3>" in page
    assert "<td>1</td>" in page
    assert 'href="https://www.service-public.fr"' in page
    assert "<script" not in page
    assert "<img" not in page
    assert "javascript:" not in page.split("avocat")[0] or 'href="javascript' not in page


def test_what_people_wrote_is_escaped() -> None:
    page = html("Bonjour", sender_name='<b onclick="x">', original_subject="</p><script>")
    assert "<script>" not in page
    assert "<b onclick" not in page


def test_dates_are_french() -> None:
    assert french_date(datetime(2026, 8, 1, 22, 5, tzinfo=timezone.utc)) == "2 août 2026 à 0 h 05"
    assert french_date(datetime(2026, 3, 1, 9, 0, tzinfo=timezone.utc)) == "1er mars 2026 à 10 h 00"


def test_an_operators_file_takes_the_place_of_ours(tmp_path: Path) -> None:
    (tmp_path / "reply.txt").write_text("Cabinet Exemple\n{{ ai_response }}\nConsultez un avocat. {{ thread_id }}")
    page, text = Templates(tmp_path).render("answer", SAMPLE)
    assert text.startswith("Cabinet Exemple")
    assert texts.HEADER in page


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{{ ai_response", "reply.txt, line 1"),
        ("{{ ai_respnse }} avocat", "'ai_respnse' is undefined"),
        ("Bonjour, avocat", "does not show ai_response"),
        ("{{ ai_response }}", "does not show the disclaimer"),
        ("{% include 'missing.txt' %}", "missing.txt"),
    ],
)
def test_a_template_that_cannot_be_used_stops_the_start(tmp_path: Path, content: str, reason: str) -> None:
    (tmp_path / "reply.txt").write_text(content)
    with pytest.raises(TemplateBroken, match="reply.txt"):
        Templates(tmp_path).check()
    settings = Settings.from_environment({**NEEDED, "TEMPLATES_DIR": str(tmp_path)})
    with pytest.raises(SettingError, match="TEMPLATES_DIR: reply.txt") as refused:
        checked_templates(settings)
    assert reason in str(refused.value)
