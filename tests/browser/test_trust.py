"""What an answer may not do to the page, and what the page says about an answer that cannot be trusted."""

from __future__ import annotations

from tests.browser.chat_page import ChatPage
from tests.browser.scripted_server import KEY, SOURCES, Script, ScriptedServer

MARKUP = (
    '<img src=x onerror="window.attacked=1"><script>window.attacked=1</script> <b>gras</b> [a](javascript:alert(1))'
)


def test_markup_in_answers_and_sources_stays_text(page: ChatPage, server: ScriptedServer) -> None:
    hostile = {**SOURCES[0], "title": MARKUP, "excerpt": MARKUP, "url": "javascript:window.attacked=1"}
    server.reset(Script(tokens=[MARKUP, " article L. 9001-1"], sources=[hostile]))
    page.open(KEY).ask_and_wait(MARKUP)
    assert MARKUP in page.answer
    assert page.texts(".question") == [MARKUP]
    assert page.texts(".card-title") == [MARKUP]
    assert not page.all(".turn img, .turn script, .turn b, .turn a")
    assert page.script("return window.attacked ?? null") is None


def test_any_script_and_emoji_survive_a_stream_cut_anywhere(page: ChatPage, server: ScriptedServer) -> None:
    words = "Été 🧑‍⚖️ œuvre — مدة العمل القانونية 工作时间"
    server.reset(Script(tokens=[words], bytes_at_once=7, answer={"response": None}))  # keep what was streamed
    page.open(KEY).ask_and_wait("مدة العمل ؟ 🙂")
    assert page.answer == words
    assert server.questions[0]["message"] == "مدة العمل ؟ 🙂"


def test_citations_are_marked_by_what_is_known_of_them(page: ChatPage, server: ScriptedServer) -> None:
    citations = [
        {"number": "L9001-1", "status": "verified"},
        {"number": "R9800-2", "status": "exists"},
        {"number": "L9999-9", "status": "unknown"},
    ]
    text = "Voir l'article L. 9001-1, l'article R9800-2 et **l'article L 9999-9**."
    server.reset(Script(tokens=[text], answer={"citations": citations}))
    page.open(KEY).ask_and_wait()
    assert page.attribute(".citation-verified", "href") == SOURCES[0]["url"]
    assert page.texts(".citation-exists") == ["R9800-2 (non fourni en source)"]
    assert page.texts(".citation-unknown s") == ["L 9999-9"]
    assert not page.all(".citation-unknown a, .citation-exists a")
    [danger] = page.texts(".banner-danger")
    assert "L. 9999-9" in danger
    assert "n’existe pas" in danger


def test_a_practical_sheet_is_no_article_and_says_how_old_it_is(page: ChatPage, server: ScriptedServer) -> None:
    sheet = {
        "kind": "fiche",
        "number": "F9001",
        "title": "Quitter son travail",
        "url": "https://www.service-public.fr/particuliers/vosdroits/F9001",
        "excerpt": "Vous écrivez une lettre.",
        "score": 0.8,
        "state": "",
        "updated": "2020-08-21",
        "changed": [],
    }
    server.reset(Script(sources=[SOURCES[0], sheet, {**sheet, "changed": ["L9001-1"]}]))
    page.open(KEY).ask_and_wait()
    article, shown, outdated = page.texts(".card")
    assert "la loi a changé depuis" in outdated
    assert "la loi a changé depuis" not in shown
    assert article.startswith("Article L. 9001-1")
    assert shown.startswith("Fiche pratique")
    assert "21/08/2020" in shown
    assert "F9001" not in shown
    assert page.attribute(".card:last-child .card-number", "href") == sheet["url"]


def test_an_answer_without_sources_says_so_at_the_top(page: ChatPage, server: ScriptedServer) -> None:
    notice = "Réponse sans source."
    ungrounded = {"grounded": False, "citations": []}
    server.reset(Script(sources=[], answer={**ungrounded, "notice": notice}), Script(sources=[], answer=ungrounded))
    page.open(KEY).ask_and_wait()
    assert page.texts(".banner-warning") == [notice]
    page.ask("Et encore ?")
    page.wait(lambda: len(page.visible(".banner-warning")) == 2)
    assert "ne s’appuie sur aucun article" in page.texts(".banner-warning")[1]


def test_a_cut_answer_says_why(page: ChatPage, server: ScriptedServer) -> None:
    server.reset(Script(answer={"finish_reason": "length"}))
    page.open(KEY).ask_and_wait()
    assert page.texts(".finish-note") == ["Réponse coupée : la longueur maximale est atteinte."]


def test_lists_and_bold_words_are_formatted(page: ChatPage, server: ScriptedServer) -> None:
    server.reset(Script(tokens=["Deux cas :\n- le **CDI** ;\n- le CDD.\n\n1. un\n2. deux"]))
    page.open(KEY).ask_and_wait()
    assert page.texts(".answer-text ul li") == ["le CDI ;", "le CDD."]
    assert page.texts(".answer-text strong") == ["CDI"]
    assert page.texts(".answer-text ol li") == ["un", "deux"]
