"""Our client against the real application of the AI core."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from werkzeug.serving import make_server

from common.ai_client import AWAY_SECONDS
from mail_service.ai_answerer import AiAnswerer
from mail_service.answering import AnswererAway, Ask, QuestionRefused
from tests.end_to_end.server import free_port
from tests.fakes import Core, build_core


@pytest.fixture
def core(tmp_path: Path) -> Iterator[Core]:
    built = build_core(tmp_path, "Selon l'article L9999-1, une lampe ; voir aussi L8888-8.")
    built.install_code({"L9999-1": "Le salarié qui travaille de nuit reçoit une lampe."})
    yield built
    built.parts.model.stop()


@pytest.fixture
def url(core: Core) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, core.app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    server.server_close()


def answerer(url: str, key: str) -> AiAnswerer:
    return AiAnswerer(url, key, model=None, max_tokens=1_500, temperature=0.3)


def ask(question: str = "Que dit l'article L9999-1 ?") -> Ask:
    earlier = [{"role": "user", "content": "Une lampe ?"}, {"role": "assistant", "content": "Oui, de nuit."}]
    return Ask(question, "Lampes", "t1", "p" * 32, earlier, "mail-1-1")


def test_a_question_goes_with_its_thread_and_comes_back_with_sources(core: Core, url: str) -> None:
    answer = answerer(url, core.key("chat")).answer(ask())
    assert answer.text.startswith("Selon l'article L9999-1")
    assert answer.subject == "Re: Lampes"
    assert [source.number for source in answer.sources] == ["L9999-1"]
    assert [source.title for source in answer.sources] == ["Article L9999-1 : Lampes"]
    assert any("L8888-8" in notice for notice in answer.notices), "an article that does not exist is pointed out"
    prompt = core.prompt_bytes().decode("utf-8", "replace")
    assert "Oui, de nuit." in prompt
    assert "Lampes" in prompt


def test_a_question_that_is_too_long_is_refused_for_good(core: Core, url: str) -> None:
    with pytest.raises(QuestionRefused):
        answerer(url, core.key("chat")).answer(ask("Pourquoi ? " * 3_000))


@pytest.mark.parametrize(("scope", "reason"), [("admin", "ai_403"), (None, "ai_401")])
def test_a_key_that_does_not_fit_is_no_fault_of_the_question(
    core: Core, url: str, scope: str | None, reason: str
) -> None:
    key = core.key(scope) if scope else "cdt-none"
    with pytest.raises(AnswererAway) as away:
        answerer(url, key).answer(ask())
    assert away.value.reason == reason


def test_while_no_model_serves_it_says_how_long_to_wait(core: Core, url: str) -> None:
    client = answerer(url, core.key("chat"))
    core.parts.model.stop()
    with pytest.raises(AnswererAway) as away:
        client.answer(ask())
    assert away.value.reason == "ai_503"
    assert away.value.retry_after is not None
    assert client.why_away() == "status 503"


def test_where_nobody_listens_nobody_is_asked_twice_in_a_moment() -> None:
    now = [0.0]
    client = AiAnswerer(
        f"http://127.0.0.1:{free_port()}", "k", model=None, max_tokens=1, temperature=0, clock=lambda: now[0]
    )
    with pytest.raises(AnswererAway) as away:
        client.answer(ask())
    assert away.value.retry_after is None
    with pytest.raises(AnswererAway) as away:
        client.answer(ask())
    assert away.value.retry_after == AWAY_SECONDS
    now[0] = AWAY_SECONDS + 1
    with pytest.raises(AnswererAway) as away:
        client.answer(ask())
    assert away.value.retry_after is None
