"""/models and its parameters: what each route does, and what it leaves behind."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ai_core.catalog.entry import ModelEntry
from ai_core.storage import AuditEntry, ModelDownload, ModelParametersChange
from common.database import connection
from tests.ai_core.engine.tiny_model import CONTEXT, write_tiny_adapter, write_tiny_model
from tests.fakes import Core, build_core

MODELS = "/api/v1/models"
ASK = {"message": "Bonjour", "grounding": False, "max_tokens": 6, "temperature": 0}


@pytest.fixture
def core(tmp_path: Path) -> Iterator[Core]:
    """`first` is loaded; `second`, `tuned` (with an adapter) and `broken` are declared; `fetched` is in the folder."""
    first, _ = (write_tiny_model(tmp_path / f"{name}.gguf") for name in ("first", "second"))
    write_tiny_adapter(tmp_path / "droit.gguf", seed=1)
    folder = tmp_path / "data" / "models" / "fetched"
    folder.mkdir(parents=True)
    write_tiny_model(folder / "tiny.gguf")
    declared = {
        "second": {"path": "../second.gguf", "temperature": 0.4, "description": "La seconde"},
        "tuned": {"path": "../first.gguf", "adapter": "../droit.gguf"},
        "broken": {"path": "nowhere.gguf"},
    }
    (tmp_path / "data" / "models.json").write_text(json.dumps({"models": declared}))
    built = build_core(tmp_path / "data", model=ModelEntry.from_path(first), context_length=CONTEXT, slots=2)
    yield built
    built.parts.model.stop()


@pytest.fixture
def call(core: Core) -> Any:
    client, headers = core.app.test_client(), core.headers("models", "chat")

    def send(method: str, path: str = "", body: Any = None) -> Any:
        response = client.open(MODELS + path, method=method, json=body, headers=headers)
        return response.status_code, response.get_json()

    return send


def audited(core: Core) -> list[tuple[str, str, str]]:
    with connection(core.parts.database):
        return [(entry.action, entry.target, entry.outcome) for entry in AuditEntry.select().order_by(AuditEntry.id)]


def test_the_list_has_every_model_with_its_state(call: Any) -> None:
    status, body = call("GET")
    assert status == 200
    states = {model["id"]: model["status"] for model in body["models"]}
    assert states == {
        "first": "loaded",
        "second": "available",
        "tuned": "available",
        "broken": "error",
        "fetched": "available",
    }
    assert "nowhere.gguf" in body["problems"]["broken"]
    second = call("GET", "/second")[1]
    assert (second["format"], second["description"], second["quantisation"]) == ("gguf", "La seconde", "F32")
    assert second["size"] > 10_000
    assert second["parameters"]["temperature"] == 0.4
    tuned = call("GET", "/tuned")[1]
    assert (tuned["adapter_base"], tuned["adapters"]) == ("first.gguf", ["droit"])
    assert call("GET", "/nobody")[0] == 404


def test_a_model_on_its_way_is_listed_and_can_be_neither_loaded_nor_removed(core: Core, call: Any) -> None:
    with connection(core.parts.database):
        ModelDownload.create(
            id="1",
            host=socket.gethostname(),
            request_key="k",
            model_name="owner/coming",
            revision="main",
            status="downloading",
            model_id="coming",
            format="gguf",
            bytes_total=7,
        )
    facts = call("GET", "/coming")[1]
    assert (facts["status"], facts["size"], facts["source"]) == ("downloading", 7, "owner/coming")
    assert call("POST", "/coming/load")[0] == 404
    assert call("DELETE", "/coming")[0] == 409


@pytest.mark.parametrize("form", ["named", "given"])
def test_loading_takes_the_place_of_the_model_before(core: Core, call: Any, form: str) -> None:
    body = None if form == "named" else {"model_id": "second"}
    status, answer = call("POST", "/second/load" if form == "named" else "/load", body)
    assert status == 200
    assert (answer["status"], answer["model_id"]) == ("loaded", "second")
    assert answer["loaded_at"].endswith("+00:00")
    assert core.parts.model.current().id == "second"
    assert {model["id"] for model in call("GET")[1]["models"] if model["status"] == "loaded"} == {"second"}
    chat = core.app.test_client().post("/api/v1/chat", json=ASK, headers=core.headers())
    assert chat.get_json()["model"] == "second"
    assert audited(core)[-1][1:] == ("second", "done")
    assert "already" in call("POST", "/second/load")[1]["message"]


@pytest.mark.parametrize("form", ["named", "given"])
def test_unloading_leaves_none_and_questions_say_so(core: Core, call: Any, form: str) -> None:
    body = None if form == "named" else {"model_id": "first"}
    status, answer = call("POST", "/first/unload" if form == "named" else "/unload", body)
    assert (status, answer["status"]) == (200, "unloaded")
    assert answer["unloaded_at"].endswith("+00:00")
    assert core.parts.model.current_or_none() is None
    chat = core.app.test_client().post("/api/v1/chat", json=ASK, headers=core.headers())
    assert (chat.status_code, chat.get_json()["code"]) == (409, "model_not_loaded")
    assert "not loaded" in call("POST", "/second/unload")[1]["message"]


def test_what_cannot_be_loaded_is_refused_and_the_model_before_serves(core: Core, call: Any) -> None:
    assert call("POST", "/broken/load")[0] == 409
    assert call("POST", "/nobody/load")[0] == 404
    assert call("POST", "/load", {"model_id": "nobody"})[0] == 404
    assert call("POST", "/load", {"model": "second"})[0] == 422
    second = core.settings.data_dir.parent / "second.gguf"
    second.write_bytes(second.read_bytes()[:5_000])
    status, error = call("POST", "/second/load")
    assert (status, error["code"]) == (409, "model_unusable")
    assert "second" in error["message"]
    assert call("GET", "/second")[1]["status"] == "error"
    assert core.parts.model.current().id == "first"


def test_a_model_answers_with_its_adapter_always(core: Core, call: Any) -> None:
    def answer(**more: Any) -> dict[str, Any]:
        headers = {**core.headers(), "Cache-Control": "no-cache"}
        body: dict[str, Any] = (
            core.app.test_client().post("/api/v1/chat", json={**ASK, **more}, headers=headers).get_json()
        )
        return body

    bare = answer()
    call("POST", "/tuned/load")
    tuned = answer()
    assert tuned["model"] == "tuned"
    assert tuned["response"] != bare["response"]
    assert answer(model="tuned")["response"] == tuned["response"]


def test_a_question_for_a_model_that_is_not_loaded_names_the_one_that_is(core: Core) -> None:
    client, headers = core.app.test_client(), core.headers()
    other = client.post("/api/v1/chat", json={**ASK, "model": "second"}, headers=headers)
    assert (other.status_code, other.get_json()["code"]) == (409, "model_not_loaded")
    assert "first" in other.get_json()["message"]
    assert client.post("/api/v1/chat", json={**ASK, "model": "nobody"}, headers=headers).status_code == 404


def test_only_what_was_fetched_is_removed_and_never_while_in_use(core: Core, call: Any, tmp_path: Path) -> None:
    folder = core.settings.data_dir / "models" / "fetched"
    call("POST", "/fetched/load")
    assert call("DELETE", "/fetched")[0] == 409
    call("POST", "/first/load")
    status, answer = call("DELETE", "/fetched")
    assert status == 200
    assert answer["space_freed"] > 10_000
    assert not folder.exists()
    assert call("GET", "/fetched")[0] == 404
    assert call("DELETE", "/second")[0] == 409  # an operator's own file
    assert (tmp_path / "second.gguf").exists()
    assert call("DELETE", "/fetched")[0] == 404


def test_files_that_another_model_needs_stay(core: Core, call: Any) -> None:
    content = json.loads(core.settings.models_file.read_text())
    place = "models/fetched/tiny.gguf"
    content["models"] |= {"one": {"path": place}, "other": {"path": place}}
    core.settings.models_file.write_text(json.dumps(content))
    status, error = call("DELETE", "/one")
    assert (status, error["code"]) == (409, "model_in_use")
    assert (core.settings.data_dir / place).exists()


@pytest.mark.parametrize("name", ["..", "%2e%2e", "..%2f..%2fetc", "models.json", ".downloads"])
def test_no_other_path_is_reached(call: Any, name: str) -> None:
    assert call("DELETE", f"/{name}")[0] in (404, 405)


def test_listing_needs_one_of_two_scopes_and_changing_needs_models(core: Core) -> None:
    client = core.app.test_client()
    for scope, listed, changed in (("chat", 200, 403), ("models", 200, 200), ("admin", 403, 403)):
        headers = core.headers(scope)
        assert client.get(MODELS, headers=headers).status_code == listed
        assert client.post(f"{MODELS}/second/unload", headers=headers).status_code == changed


def test_parameters_are_kept_apply_to_answers_and_go_back(core: Core, call: Any) -> None:
    client, headers = core.app.test_client(), core.headers()

    def used(**more: Any) -> dict[str, Any]:
        response = client.post("/api/v1/chat", json={"message": "Bonjour", "grounding": False, **more}, headers=headers)
        parameters: dict[str, Any] = response.get_json()["parameters_used"]
        return parameters

    before = call("GET", "/first/parameters")[1]
    assert (before["updated_parameters"], before["last_updated"]) == ([], None)
    assert before["parameters"]["top_k"] == 50
    status, after = call("PUT", "/first/parameters", {"temperature": 0.0, "max_length": 4})
    assert status == 200
    assert after["updated_parameters"] == ["max_length", "temperature"]
    assert after["parameters"]["max_length"] == 4
    assert after["default_parameters"] == before["parameters"]
    assert (used()["temperature"], used()["max_length"]) == (0.0, 4)
    assert used(temperature=0.9)["temperature"] == 0.9  # the request's own come first
    call("PUT", "/first/parameters", {"temperature": 0.1})
    assert call("GET", "/first/parameters")[1]["parameters"]["max_length"] == 4
    history = call("GET", "/first/parameters/history")[1]["changes"]
    assert [change["parameters"].get("temperature") for change in history] == [0.1, 0.0]
    assert all(change["actor"] and change["at"] for change in history)
    assert call("POST", "/first/parameters/reset")[1]["updated_parameters"] == []
    assert used()["max_length"] == 512  # the channel's profile again
    with connection(core.parts.database):
        assert ModelParametersChange.select().count() == 3


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"temperature": 2.1}, "temperature"),
        ({"top_k": 0}, "top_k"),
        ({"repetition_penalty": 0}, "repetition_penalty"),
        ({"max_length": 2049}, "max_length"),
        ({"num_beams": 2}, "num_beams"),  # GGUF
        ({"length_penalty": 1.5}, "length_penalty"),
        ({"seed": 1}, "seed"),
        ({}, "parameters"),
    ],
)
def test_what_cannot_be_set_is_named_and_changes_nothing(call: Any, body: dict[str, Any], field: str) -> None:
    status, error = call("PUT", "/first/parameters", body)
    assert status == 422
    assert field in error["errors"]
    assert call("GET", "/first/parameters")[1]["updated_parameters"] == []


def test_a_model_that_there_is_not_has_no_parameters(call: Any) -> None:
    for method, path in (("GET", ""), ("PUT", ""), ("POST", "/reset"), ("GET", "/history")):
        body = {"temperature": 1} if method == "PUT" else None
        assert call(method, f"/nobody/parameters{path}", body)[0] == 404
