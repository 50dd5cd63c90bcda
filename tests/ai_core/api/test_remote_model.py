"""A model on other machines, named by the settings, answers like one of our own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from ai_core import composition
from ai_core.app import Parts, create_app
from ai_core.composition import begin_to_load, compose
from ai_core.keys import create_key
from ai_core.settings import Settings
from common.database import connection
from tests.ai_core.engine.backends.remote.fake_server import FakeServer

KEY = "s3cret-of-the-servers"


@pytest.fixture
def server() -> Iterator[FakeServer]:
    fake = FakeServer(context=4000)
    fake.key = KEY
    yield fake
    fake.close()


class Service:
    """The AI core as the settings compose it, without gunicorn."""

    def __init__(self, data_dir: Path, server: FakeServer) -> None:
        variables = {"DATA_DIR": str(data_dir), "REMOTE_URLS": server.url, "REMOTE_MODEL": "tiny"}
        self.settings = Settings.from_environment({**variables, "REMOTE_API_KEY": KEY})
        self.parts: Parts = compose(self.settings)
        self.app: Flask = create_app(self.settings, self.parts)
        with connection(self.parts.database):
            self.headers = {"X-API-Key": create_key("test", ("chat",))[1]}

    def chat(self, **body: Any) -> Any:
        body = {"message": "Bonjour", "grounding": False, **body}
        return self.app.test_client().post("/api/v1/chat", json=body, headers=self.headers)


@pytest.fixture
def service(tmp_path: Path, server: FakeServer) -> Iterator[Service]:
    running = Service(tmp_path, server)
    yield running
    running.parts.model.stop()


def test_it_gets_the_messages_and_answers(service: Service, server: FakeServer) -> None:
    begin_to_load(service.settings, service.parts.model, service.parts.registry)
    assert service.parts.model.wait(10)
    answer = service.chat(temperature=0.5, max_tokens=40).get_json()
    assert answer["response"]
    assert answer["model"] == "tiny"
    asked = server.asked[-1]
    assert [message["role"] for message in asked["messages"]] == ["system", "user"]
    assert asked["messages"][-1]["content"] == "Bonjour"
    assert asked["temperature"] == answer["parameters_used"]["temperature"] == 0.5


def test_what_servers_cannot_honour_is_refused(service: Service) -> None:
    begin_to_load(service.settings, service.parts.model, service.parts.registry)
    assert service.parts.model.wait(10)
    response = service.chat(parameters={"num_beams": 3})
    assert response.status_code == 422
    assert "remote" in response.get_json()["errors"]["num_beams"][0]


def test_servers_that_come_up_after_us_are_found(
    service: Service, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(composition, "RETRY_REMOTE", 0.05)
    server.close()
    begin_to_load(service.settings, service.parts.model, service.parts.registry)
    assert not service.parts.model.wait(10)
    response = service.chat()
    assert (response.status_code, response.get_json()["code"]) in ((503, "model_unavailable"), (503, "model_loading"))
    server.reopen()
    give_up = time.monotonic() + 20
    while service.parts.model.current_or_none() is None and time.monotonic() < give_up:
        time.sleep(0.01)
    assert service.chat().status_code == 200


def test_the_servers_key_is_told_to_nobody(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    begin_to_load(service.settings, service.parts.model, service.parts.registry)
    assert service.parts.model.wait(10)
    service.chat()
    seen = service.app.test_client().get("/health/ready").get_data(as_text=True)
    assert KEY not in seen + caplog.text + repr(service.parts.model.current())
