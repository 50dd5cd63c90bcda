"""Which files of a repository are fetched: data of one format, and nothing that could lead out of its folder."""

from __future__ import annotations

import pytest

from ai_core.catalog.downloads.errors import DownloadError
from ai_core.catalog.downloads.files import Choice, HubFile, choose
from ai_core.catalog.downloads.request import DownloadRequest, require_token
from ai_core.catalog.errors import InvalidEntry


def repository(*paths: str) -> list[HubFile]:
    return [HubFile(path, 10, None, "0" * 40) for path in paths]


def paths(choice: Choice) -> set[str]:
    return {file.path for file in (*choice.variants[0], *choice.others)}


WHOLE = repository(
    "config.json", "tokenizer.json", "README.md", "modeling_tiny.py", "training_args.bin", "optimizer.pt",
    "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json",
    "pytorch_model.bin", "tf_model.h5", "flax_model.msgpack", "original/consolidated.00.pth",
    "onnx/model.onnx", "onnx/model.onnx_data", "onnx/model_q4.onnx", "run.sh", "pickle.pkl",
)  # fmt: skip


@pytest.mark.parametrize(
    ("format_", "filename", "wanted"),
    [
        (
            None,
            None,
            {
                "model-00001-of-00002.safetensors",
                "model-00002-of-00002.safetensors",
                "model.safetensors.index.json",
                "config.json",
                "tokenizer.json",
            },
        ),
        ("pytorch", None, {"pytorch_model.bin", "config.json", "tokenizer.json"}),
        ("onnx", None, {"onnx/model.onnx", "onnx/model.onnx_data", "config.json", "tokenizer.json"}),
        (None, "onnx/model_q4.onnx", {"onnx/model_q4.onnx", "config.json", "tokenizer.json"}),
        ("onnx", "q4", {"onnx/model_q4.onnx", "config.json", "tokenizer.json"}),
    ],
)
def test_only_data_of_the_wanted_format(format_: str | None, filename: str | None, wanted: set[str]) -> None:
    assert paths(choose(WHOLE, format_, filename)) == wanted


def test_bin_where_there_is_no_safetensors() -> None:
    choice = choose(repository("config.json", "pytorch_model.bin", "training_args.bin"), None, None)
    assert (choice.format, paths(choice)) == ("pytorch", {"config.json", "pytorch_model.bin"})


def test_a_whole_file_is_enough_where_its_parts_are_there_too() -> None:
    files = repository("model.safetensors", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
    assert paths(choose(files, None, None)) == {"model.safetensors"}


def test_an_adapter_is_its_weights_and_configuration() -> None:
    files = repository("adapter_config.json", "adapter_model.safetensors", "adapter_model.bin", "README.md")
    choice = choose(files, None, None)
    assert choice.format == "lora"
    assert paths(choice) == {"adapter_config.json", "adapter_model.safetensors"}


def test_the_parts_of_a_split_gguf_belong_together() -> None:
    parts = {"m-Q8_0-00001-of-00002.gguf", "m-Q8_0-00002-of-00002.gguf"}
    files = repository("m-Q4_K.gguf", "m-Q4_K_M.gguf", "mmproj-m-f16.gguf", "m.imatrix.gguf", *parts)
    for wanted in ("Q8_0", "q8_0", "m-Q8_0-00002-of-00002.gguf"):
        assert paths(choose(files, None, wanted)) == parts
    assert paths(choose(files, None, "Q4_K")) == {"m-Q4_K.gguf"}
    assert len(choose(files, None, None).variants) == 3


def test_a_split_gguf_that_lacks_a_part_is_not_offered() -> None:
    with pytest.raises(DownloadError, match="no weights"):
        choose(repository("m-00001-of-00002.gguf", "README.md"), None, None)


def test_a_gguf_in_a_folder_of_its_own() -> None:
    files = repository("Q8_0/m-Q8_0-00001-of-00002.gguf", "Q8_0/m-Q8_0-00002-of-00002.gguf", "Q4_0/m-Q4_0.gguf")
    assert len(choose(files, "gguf", "Q8_0").variants[0]) == 2


def test_unquantised_files_are_for_those_who_name_them() -> None:
    files = repository("m-F16.gguf", "m.bf16.gguf", "m-Q8_0.gguf")
    assert [variant[0].path for variant in choose(files, None, None).variants] == ["m-Q8_0.gguf"]
    assert paths(choose(files, None, "f16")) == {"m-F16.gguf"}
    assert paths(choose(repository("m-F16.gguf"), None, None)) == {"m-F16.gguf"}


@pytest.mark.parametrize(
    "path",
    [
        "../m.gguf",
        "/etc/m.gguf",
        "a/../../m.gguf",
        "a//m.gguf",
        "C:\\m.gguf",
        ".ssh/m.gguf",
        "a\x00.gguf",
        "é" * 150 + ".gguf",
    ],
)
def test_a_name_that_leads_out_of_the_folder_is_refused(path: str) -> None:
    with pytest.raises(DownloadError) as refused:
        choose(repository(path), None, None)
    assert refused.value.code == "unsafe_file_name"


def test_a_model_of_too_many_files_is_refused() -> None:
    files = repository(*(f"model-{number:05}-of-00999.safetensors" for number in range(999)))
    with pytest.raises(DownloadError) as refused:
        choose(files, None, None)
    assert refused.value.code == "too_many_files"


def test_what_is_missing_is_said_with_what_there_is() -> None:
    with pytest.raises(DownloadError, match="onnx, pytorch, safetensors"):
        choose(WHOLE, "gguf", None)
    with pytest.raises(DownloadError, match="it has: m-Q4_0, m-Q8_0"):
        choose(repository("m-Q4_0.gguf", "m-Q8_0.gguf"), None, "Q5_K_M")


def test_equal_requests_have_one_key() -> None:
    one = DownloadRequest("acme/tiny", revision="main")
    assert one.key == DownloadRequest("acme/tiny").key
    others = [
        DownloadRequest("acme/tiny", "gguf"),
        DownloadRequest("acme/tiny", filename="a"),
        DownloadRequest("acme/tin"),
    ]
    assert len({one.key, *(other.key for other in others)}) == 4


@pytest.mark.parametrize(
    "name", ["tiny", "a/b/c", "http://h/x", "../x", "a/..", "a/b\n", "a/b--c", "a/" + "b" * 96, "-a/b", ""]
)
def test_only_owner_and_name_are_a_model(name: str) -> None:
    with pytest.raises(InvalidEntry, match="model_name"):
        DownloadRequest(name)


def test_a_bad_token_is_not_shown() -> None:
    with pytest.raises(InvalidEntry) as refused:
        require_token("hf_secret\r\nHost: other")
    assert "secret" not in str(refused.value)
