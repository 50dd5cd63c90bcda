"""Models and templates bring data: whatever code comes with them is not run.

More is shown where the formats are tested: pickled weights, code beside a model, a converter's own doors
(tests/ai_core/engine/backends, tests/ai_core/catalog); see README.md.
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from onnx import TensorProto, helper

from ai_core.engine.backends.base import BackendError
from ai_core.engine.backends.onnx.export import Export
from ai_core.engine.backends.onnx.outside_weights import refuse_weights_outside
from ai_core.prompts import Message, TemplateFailed, render
from mail_service.rendering import KINDS, SAMPLE, TemplateBroken, Templates
from tests.ai_core.engine.backends.transformers.conftest import load
from tests.ai_core.engine.backends.transformers.tiny_hub_model import write_hub_model, write_lora

__all__ = ["load"]

TALK = [Message("system", "Sois bref."), Message("user", "Bonjour")]
ESCAPES = (
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ messages.__class__.__base__ }}",
    "{{ raise_exception.__globals__['__builtins__'] }}",
    "{{ strftime_now.__globals__ }}",
    "{{ self.__init__.__globals__ }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ lipsum.__globals__['os'].system('id') }}",
    "{{ namespace.__init__.__globals__ }}",
    "{{ (messages | attr('__class__')) }}{{ (messages | attr('__class__')).__mro__ }}",
    "{{ '%s' | format(messages) | attr('__class__') | attr('__mro__') }}{{ ''['__class__']['__mro__'] }}",
    "{{ '{0.__class__.__mro__}'.format('') }}",
    "{{ messages.append(1) }}",
    "{{ messages[0].update({'role': 'user'}) }}",
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}",
    "{% extends '/etc/passwd' %}",
)
LEAKS = ("root:x:", "uid=", "<class", "<function", "object at 0x", "__builtins__")


@pytest.mark.parametrize("escape", ESCAPES)
def test_a_models_chat_template_gets_out_of_its_sandbox_by_no_known_way(escape: str) -> None:
    try:
        template = escape + "{{ messages[0].content }}{{ messages[1].content }}"
        told = "".join(segment.text for segment in render(TALK, template))
    except TemplateFailed as failed:
        told = str(failed)
    assert not any(leak in told for leak in LEAKS), told


@pytest.mark.parametrize("escape", ESCAPES)
def test_nor_does_a_letters_template(tmp_path: Path, escape: str) -> None:
    for name in ("reply.html", "reply.txt"):
        (tmp_path / name).write_text(f"35 heures avocat {{{{ ai_response }}}} {escape}")
    try:
        told = "".join(Templates(tmp_path).render("answer", SAMPLE))
    except TemplateBroken as broken:
        told = str(broken)
    assert not any(leak in told for leak in LEAKS), told


HOSTILE = ("{{ 7 * 7 }}", "{% for x in y %}", "{{ self.__init__ }}", "{0.__class__} %(x)s %s", "{# x", "${7*7}")


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("kind", KINDS)
def test_what_people_and_models_write_is_no_template(kind: str, text: str) -> None:
    letter = dataclasses.replace(
        SAMPLE, ai_response=text, sender_name=text, original_subject=text, notices=(text,), thread_id="0123456789abcdef"
    )
    _, plain = Templates().render(kind, letter)
    assert text in plain
    assert "49" not in plain
    told = "".join(segment.text for segment in render([TALK[0], Message("user", text)], None))
    assert text in told


def test_an_adapter_whose_pickle_runs_code_is_refused_and_not_run(load: Any, tmp_path: Path) -> None:
    base = write_hub_model(tmp_path / "base")
    adapter = write_lora(tmp_path / "adapter", base)
    (adapter / "adapter_model.safetensors").unlink()
    trace = tmp_path / "ran"

    class Runs:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(trace),)

    torch.save({"base_model.model.lora_A.weight": Runs()}, adapter / "adapter_model.bin")
    with pytest.raises(BackendError):
        load(base, adapters={"hostile": adapter})
    assert not trace.exists()


def write_graph(file: Path, location: str) -> None:
    """A graph whose weights lie at `location`."""
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", location), ("length", "16")):
        tensor.external_data.add(key=key, value=value)
    told = helper.make_tensor_value_info("y", TensorProto.FLOAT, [4])
    graph = helper.make_graph([helper.make_node("Identity", ["w"], ["y"])], "g", [], [told], [tensor])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    file.write_bytes(model.SerializeToString())
    (file.parent / "config.json").write_text("{}")


@pytest.mark.parametrize("away", ["../secret", "a/../../secret", "{folder}/secret"])
def test_a_graph_takes_no_weights_from_outside_of_its_folder(tmp_path: Path, away: str) -> None:
    """onnxruntime itself refuses, but for its last version for Python 3.10 (CVE-2022-25882, CVE-2024-27318 of onnx)."""
    (tmp_path / "secret").write_bytes(bytes(16))
    (tmp_path / "model" / "a").mkdir(parents=True)
    file = tmp_path / "model" / "model.onnx"
    write_graph(file, away.format(folder=tmp_path))
    with pytest.raises(BackendError, match="outside of its folder|[Ee]xternal data path"):
        Export(file, None)
    with pytest.raises(BackendError, match="outside of its folder"):
        refuse_weights_outside(file)


def test_weights_beside_their_graph_are_read(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    (tmp_path / "model.onnx_data").write_bytes(bytes(16))
    write_graph(file, "model.onnx_data")
    refuse_weights_outside(file)
    with pytest.raises(BackendError, match="no past key/values"):
        Export(file, None)


def test_a_location_that_is_written_in_an_odd_way_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    write_graph(file, "model.onnx_data")
    value_first = b"\x12\x0fmodel.onnx_data\x0a\x08location"
    file.write_bytes(file.read_bytes().replace(b"\x0a\x08location\x12\x0fmodel.onnx_data", value_first))
    with pytest.raises(BackendError, match="outside of its folder"):
        refuse_weights_outside(file)


def test_code_beside_a_model_is_not_even_fetched(tmp_path: Path) -> None:
    from tests.ai_core.catalog.downloading import fetch, files_in, job, safetensors_repository
    from tests.hub_server import HubServer

    with HubServer(safetensors_repository(size=1_000)) as hub:
        landed, _ = fetch(job(hub, tmp_path / "models"))
    assert not [name for name in files_in(landed) if name.endswith((".py", ".bin", ".sh", ".so"))]
