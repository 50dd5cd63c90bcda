"""A download from a Hub: whole or not at all, gone on with where it stopped, with a clear word for each trouble."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub import constants, snapshot_download

from ai_core.catalog.downloads import folder as folder_module
from ai_core.catalog.downloads import plan as plan_module
from ai_core.catalog.downloads.errors import DownloadError
from ai_core.catalog.downloads.transfer import Patience, Transfer
from ai_core.catalog.new_file import SPARE_BYTES
from tests.ai_core.catalog.downloading import (
    fetch,
    files_in,
    job,
    noise,
    planned,
    quantisations,
    safetensors_repository,
)
from tests.hub_server import HubServer, Repository

WEIGHTS = "model.safetensors"


@pytest.fixture(autouse=True)
def no_telemetry(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the child process, which these tests do without: see process.QUIET."""
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)


def test_the_local_hub_is_one_to_huggingface_hub_itself(tmp_path: Path) -> None:
    repository = safetensors_repository()
    with HubServer(repository) as hub:
        snapshot_download("acme/tiny", local_dir=tmp_path, endpoint=hub.url, token=False)
    for path, content in repository.files.items():
        assert (tmp_path / path).read_bytes() == content
    assert hub.strange == []


def test_a_model_lands_whole_with_only_the_files_of_its_format(tmp_path: Path) -> None:
    repository = safetensors_repository()
    with HubServer(repository) as hub:
        place, events = fetch(job(hub, tmp_path))
    wanted = ("config.json", "tokenizer.json", "tokenizer.model", WEIGHTS, "LICENSE")
    assert files_in(place) == {path: repository.files[path] for path in wanted}
    assert place == tmp_path / "tiny"
    assert events[0]["commit"] == repository.commit
    assert [event["event"] for event in events][-2:] == ["bytes", "done"]
    assert events[-2]["done"] == events[0]["total"] == sum(len(repository.files[path]) for path in wanted)
    assert not (tmp_path / ".downloads" / job(hub, tmp_path).request.key).exists()
    assert hub.strange == []


def test_what_was_cut_off_is_gone_on_with_and_no_byte_comes_twice(tmp_path: Path) -> None:
    repository = safetensors_repository()
    with HubServer(repository) as hub:
        hub.faults.cut_at, hub.faults.cuts = 150_000, 1
        place, events = fetch(job(hub, tmp_path))
    assert files_in(place)[WEIGHTS] == repository.files[WEIGHTS]
    assert hub.sent[WEIGHTS] == len(repository.files[WEIGHTS])
    assert hub.ranges(WEIGHTS) == [None, f"bytes={hub_block(150_000)}-"]
    assert [event["code"] for event in events if event["event"] == "waiting"] == ["incomplete_download"]


def hub_block(at: int) -> int:
    """Where the local Hub stops when it stops at `at`."""
    return at // (16 * 1024) * 16 * 1024


def test_a_server_without_ranges_starts_over(tmp_path: Path) -> None:
    repository = safetensors_repository()
    with HubServer(repository) as hub:
        hub.faults.cut_at, hub.faults.cuts, hub.faults.ignore_ranges = 150_000, 1, True
        place, _ = fetch(job(hub, tmp_path))
    assert files_in(place)[WEIGHTS] == repository.files[WEIGHTS]


def test_one_that_is_always_cut_off_fails_and_keeps_what_came(tmp_path: Path) -> None:
    repository = safetensors_repository()
    with HubServer(repository) as hub:
        hub.faults.cut_at, hub.faults.cuts = 150_000, 99
        with pytest.raises(DownloadError, match="too early") as failed:
            fetch(job(hub, tmp_path))
        assert failed.value.code == "incomplete_download"
        assert not (tmp_path / "tiny").exists()
        assert hub.faults.cuts == 99 - 4  # the attempts are bounded
        hub.faults.cuts = 0
        fetch(job(hub, tmp_path))
    assert hub.sent[WEIGHTS] == len(repository.files[WEIGHTS])


def test_a_damaged_file_is_fetched_once_more(tmp_path: Path) -> None:
    repository = safetensors_repository()
    with HubServer(repository) as hub:
        hub.faults.corrupt = 1
        place, _ = fetch(job(hub, tmp_path))
    assert files_in(place)["tokenizer.model"] == repository.files["tokenizer.model"]


def test_a_file_that_stays_damaged_never_lands(tmp_path: Path) -> None:
    with HubServer(safetensors_repository()) as hub:
        hub.faults.corrupt = 99
        with pytest.raises(DownloadError, match="checksum") as failed:
            fetch(job(hub, tmp_path))
    assert failed.value.code == "checksum_mismatch"
    assert not (tmp_path / "tiny").exists()
    assert not list(tmp_path.rglob("tokenizer.model*"))


def test_small_files_are_checked_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = safetensors_repository()
    monkeypatch.setattr(Repository, "blob_id", lambda *_: "0" * 40)
    with HubServer(repository) as hub, pytest.raises(DownloadError, match="checksum"):
        fetch(job(hub, tmp_path))


@pytest.mark.parametrize(
    ("options", "wanted", "code"),
    [
        ({"access": frozenset({"hf_good"})}, {}, "model_not_found"),
        ({"access": frozenset({"hf_good"})}, {"token": "hf_other"}, "model_not_found"),
        ({"access": frozenset({"hf_good"})}, {"token": "hf_nobody"}, "token_refused"),
        ({"access": frozenset({"hf_good"}), "gated": True}, {}, "gated_model"),
        ({"access": frozenset({"hf_good"}), "gated": True}, {"token": "hf_other"}, "gated_model"),
        ({}, {"model_name": "acme/other"}, "model_not_found"),
        ({}, {"revision": "v9"}, "revision_not_found"),
        ({}, {"filename": "other.safetensors"}, "file_not_found"),
        ({}, {"model_format": "gguf"}, "format_not_found"),
    ],
)
def test_each_refusal_has_its_code(tmp_path: Path, options: dict[str, Any], wanted: dict[str, Any], code: str) -> None:
    with HubServer(safetensors_repository(**options)) as hub:
        with pytest.raises(DownloadError) as failed:
            fetch(job(hub, tmp_path, **wanted))
        assert failed.value.code == code
        assert not list(tmp_path.rglob("plan.json")) or code == "gated_model"
        assert "hf_" not in str(failed.value)
        assert hub.strange == []
    assert not failed.value.retry


def test_a_token_opens_a_gated_model_and_never_reaches_the_storage(tmp_path: Path) -> None:
    repository = safetensors_repository(access=frozenset({"hf_good"}), gated=True)
    with HubServer(repository) as hub:
        place, _ = fetch(job(hub, tmp_path, token="hf_good"))
    assert files_in(place)[WEIGHTS] == repository.files[WEIGHTS]
    assert hub.strange == []
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or b"hf_good" not in path.read_bytes()


def test_a_hub_in_trouble_is_asked_again(tmp_path: Path) -> None:
    with HubServer(safetensors_repository()) as hub:
        hub.faults.refuse = [(503, {}), (500, {}), (429, {"Retry_After": "0"})]
        _, events = fetch(job(hub, tmp_path))
    assert [event["code"] for event in events if event["event"] == "waiting"] == [
        "hub_error",
        "hub_error",
        "rate_limited",
    ]


@pytest.mark.parametrize(("status", "code"), [(500, "hub_error"), (429, "rate_limited")])
def test_a_hub_that_stays_in_trouble_is_given_up(tmp_path: Path, status: int, code: str) -> None:
    with HubServer(safetensors_repository()) as hub:
        hub.faults.refuse = [(status, {})] * 99
        with pytest.raises(DownloadError) as failed:
            fetch(job(hub, tmp_path))
    assert (failed.value.code, len(hub.requests)) == (code, 4)


def test_a_hub_that_wants_to_be_left_alone_for_long_is_not_waited_for(tmp_path: Path) -> None:
    with HubServer(safetensors_repository()) as hub:
        hub.faults.refuse = [(429, {"Retry_After": "3600"})]
        with pytest.raises(DownloadError, match="limits") as failed:
            fetch(job(hub, tmp_path))
    assert failed.value.retry_after == 3600


def test_what_the_hub_asks_to_wait_is_waited(tmp_path: Path) -> None:
    with HubServer(safetensors_repository()) as hub:
        hub.faults.refuse = [(429, {"Retry_After": "1"})]
        _, events = fetch(job(hub, tmp_path))
    assert next(event["seconds"] for event in events if event["event"] == "waiting") >= 1


def test_a_silent_hub_is_not_waited_for(tmp_path: Path) -> None:
    with HubServer(safetensors_repository()) as hub:
        hub.faults.silent = True
        with pytest.raises(DownloadError) as failed:
            fetch(job(hub, tmp_path, Patience(timeout=0.1, attempts=2, pause=0.01)))
    assert failed.value.code == "hub_timeout"


def test_no_hub_at_all(tmp_path: Path) -> None:
    with HubServer() as hub:
        pass
    with pytest.raises(DownloadError) as failed:
        fetch(job(hub, tmp_path))
    assert failed.value.code == "hub_unreachable"


def test_the_disk_is_looked_at_before_the_first_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = SimpleNamespace(total=0, used=0, free=SPARE_BYTES + 300_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with HubServer(safetensors_repository()) as hub, pytest.raises(DownloadError, match="on the disk") as failed:
        fetch(job(hub, tmp_path))
    assert failed.value.code == "not_enough_disk_space"
    assert hub.sent == {}


def test_a_disk_that_fills_up_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = iter([10**9, *[SPARE_BYTES] * 4])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=next(free, SPARE_BYTES // 4)))
    with HubServer(safetensors_repository()) as hub:
        with pytest.raises(DownloadError, match="disk is full") as failed:
            fetch(job(hub, tmp_path))
        assert failed.value.code == "disk_full"
        monkeypatch.undo()
        place, _ = fetch(job(hub, tmp_path))
    assert WEIGHTS in files_in(place)


@pytest.mark.parametrize(
    ("number", "code"), [(errno.ENOSPC, "disk_full"), (errno.EDQUOT, "disk_full"), (errno.EROFS, "write_failed")]
)
def test_a_write_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: str) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, "refused")

    monkeypatch.setattr(Transfer, "_write", refuse)
    with HubServer(safetensors_repository()) as hub, pytest.raises(DownloadError) as failed:
        fetch(job(hub, tmp_path))
    assert failed.value.code == code


def test_two_processes_do_not_write_one_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_module, "LOCK_WITHIN", 0.1)
    with HubServer(safetensors_repository()) as hub:
        one = job(hub, tmp_path)
        with one.folder.locked(), pytest.raises(DownloadError) as failed:
            fetch(job(hub, tmp_path))
        assert failed.value.code == "already_running"
        fetch(one)


def test_the_same_model_again_brings_no_byte(tmp_path: Path) -> None:
    with HubServer(safetensors_repository()) as hub:
        first, _ = fetch(job(hub, tmp_path))
        sent = hub.sent.copy()
        again, _ = fetch(job(hub, tmp_path))
    assert (again, hub.sent) == (first, sent)


def test_another_revision_lands_beside_the_first(tmp_path: Path) -> None:
    repository = safetensors_repository()
    with HubServer(repository) as hub:
        first, _ = fetch(job(hub, tmp_path))
        repository.files = {**repository.files, WEIGHTS: noise(1_000, 9)}
        second, _ = fetch(job(hub, tmp_path))
    assert (first.name, second.name) == ("tiny", "acme--tiny")
    assert len(files_in(first)[WEIGHTS]) == 300_000


def test_the_revision_stays_pinned_while_the_branch_moves(tmp_path: Path) -> None:
    repository = safetensors_repository()
    before = repository.commit
    with HubServer(repository) as hub:
        hub.faults.cut_at, hub.faults.cuts = 150_000, 99
        with pytest.raises(DownloadError):
            fetch(job(hub, tmp_path))
        hub.faults.cuts = 0
        asked = len(hub.requests)
        _, events = fetch(job(hub, tmp_path))
    assert events[0]["commit"] == before
    assert not any("/api/models" in path for _, path, _, _ in hub.requests[asked:])


def test_the_largest_quantisation_that_fits_is_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = quantisations(tmp_path, "F16", "Q8_0", "Q4_K_M", "Q2_K", weights=2_000_000)
    available = [64 * 10**6]
    monkeypatch.setattr(plan_module, "available_bytes", lambda: available[0])
    with HubServer(Repository("acme/tiny", files)) as hub:
        assert planned(job(hub, tmp_path / "a"))["files"][0][0] == "tiny.Q8_0.gguf"
        available[0] = 55 * 10**6
        chosen = planned(job(hub, tmp_path / "b"))
        assert chosen["files"][0][0] == "tiny.Q4_K_M.gguf"
        assert not list((tmp_path / "b").rglob("*.gguf"))
        assert "52 MiB are available" in chosen["reason"]
        available[0] = 1_000_000
        with pytest.raises(DownloadError, match="give filename") as failed:
            planned(job(hub, tmp_path / "c"))
        assert failed.value.code == "not_enough_memory"
        assert planned(job(hub, tmp_path / "d", filename="q2_k"))["files"][0][0] == "tiny.Q2_K.gguf"
