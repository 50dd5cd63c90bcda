"""The `models` commands: figures, progress, one-line errors, exit statuses; Ctrl-C leaves nothing behind."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ai_core.cli import main
from tests.ai_core.catalog.gguf_files import write_f16_model, write_gguf

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_f16_model(tmp_path_factory.mktemp("gguf") / "small-f16.gguf", layers=2)


@pytest.fixture(scope="module")
def slow_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its quantisation to Q2_K takes seconds."""
    return write_f16_model(tmp_path_factory.mktemp("gguf") / "large-f16.gguf", layers=24, width=512, inner=2048)


def test_inspect_tells_what_the_model_is_and_whether_it_fits(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "inspect", str(model)]) == 0
    said = dict(line.split(":", 1) for line in capsys.readouterr().out.splitlines())
    said = {name: value.strip() for name, value in said.items()}
    assert said["Model"] == str(model)
    assert (said["Format"], said["Architecture"], said["Quantisation"]) == ("gguf", "llama", "F16")
    assert (said["Context"], said["Chat template"], said["Parameters"]) == ("512 tokens", "yes", "1.4 million")
    assert re.fullmatch(r"\d+ MiB of memory \(weights 3 MiB, cache \d+ MiB, computing \d+ MiB\)", said["Needs"])
    assert said["Available"].endswith(": it fits")


def test_inspect_refuses_an_adapter_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_gguf(tmp_path / "lora.gguf", kind="adapter")
    assert main(["models", "inspect", str(path)]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"ai-core: {path} is a LoRA adapter")
    assert said.count("\n") == 1


def test_quantize_writes_beside_the_model_and_shows_where_it_is(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "quantize", str(model), "--to", "q4_k_m"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"quantising to Q4_K_M \.\.\. \d+ %", lines[0])
    target = model.with_name("small-Q4_K_M.gguf")
    assert lines[-1].startswith(f"Written: {target} (")
    assert main(["models", "quantize", str(model), "--to", "q4_k_m"]) == 1
    assert capsys.readouterr().err.startswith(f"ai-core: {target} exists already")


def test_a_dry_run_only_says_what_it_would_do(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "there" / "x.gguf"
    assert main(["models", "quantize", str(model), "--to", "Q8_0", "--out", str(out), "--dry-run"]) == 0
    assert re.fullmatch(
        rf"Would write {out}: about \d+ MiB, from \d+ MiB; [\d.]+ [GM]iB are free\.\n", capsys.readouterr().out
    )
    assert not out.parent.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["quantize", "MODEL", "--to", "Q9"], "Q9 is none of Q8_0, "),
        (["quantize", "MODEL", "--to", "F32"], "F32 is none of Q8_0, "),
        (["quantize", "/nowhere.gguf", "--to", "Q8_0"], "/nowhere.gguf: No such file"),
        (["convert", "MODEL"], "small-f16.gguf is gguf in one file"),
        (["convert", "/nowhere"], "/nowhere: No such file"),
        (["inspect", "/nowhere"], "/nowhere: No such file"),
    ],
)
def test_a_mistake_is_one_line(
    model: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", *[str(model) if word == "MODEL" else word for word in arguments]]) == 1
    said = capsys.readouterr().err
    assert said.startswith("ai-core: ")
    assert message in said
    assert said.count("\n") == 1


def test_convert_makes_the_best_that_fits(hub: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "x.gguf"
    assert main(["models", "convert", str(hub), "--out", str(out), "--dry-run"]) == 0
    assert main(["models", "convert", str(hub), "--to", "q4_k_m", "--dry-run"]) == 0
    plans = capsys.readouterr().out
    assert f"Would write {out}: about " in plans
    assert re.search(r"hub-Q4_K_M\.gguf: about \d+ MiB, and \d+ MiB for a file in between; ", plans)
    assert not out.exists()


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    from tests.ai_core.engine.backends.transformers.tiny_hub_model import write_hub_model

    return write_hub_model(tmp_path / "hub")


def start_quantising(model: Path, out: Path, **streams: int) -> subprocess.Popen[bytes]:
    """A command of its own, returned once it is writing."""
    command = [sys.executable, "-m", "ai_core", "models", "quantize", str(model), "--to", "Q2_K", "--out", str(out)]
    process = subprocess.Popen(command, cwd=ROOT, **streams)  # type: ignore[call-overload]
    part = out.with_name(f".{out.name}.part")
    while not (part.exists() and part.stat().st_size) and process.poll() is None:
        time.sleep(0.01)
    assert process.poll() is None
    return process  # type: ignore[no-any-return]


def wait_until_empty(folder: Path) -> None:
    deadline = time.monotonic() + 30
    while list(folder.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert list(folder.iterdir()) == []


def test_ctrl_c_cancels_and_leaves_nothing(slow_model: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    process = start_quantising(slow_model, tmp_path / "out" / "x.gguf", stderr=subprocess.PIPE)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors == b"ai-core: cancelled; nothing was written\n"
    assert list((tmp_path / "out").iterdir()) == []


def test_a_killed_command_takes_its_child_and_its_file_along(slow_model: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    process = start_quantising(slow_model, tmp_path / "out" / "x.gguf", stdout=subprocess.DEVNULL)
    process.kill()
    process.wait(60)
    wait_until_empty(tmp_path / "out")


def test_on_a_terminal_the_progress_is_one_line_that_is_overwritten(model: Path, tmp_path: Path) -> None:
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "ai_core", "models", "quantize", str(model), "--to", "Q6_K"]
    process = subprocess.Popen([*command, "--out", str(tmp_path / "x.gguf")], cwd=ROOT, stdout=slave)
    os.close(slave)
    shown = b""
    try:
        while chunk := os.read(master, 4096):
            shown += chunk
    except OSError:  # Linux's way to say that the other side of a terminal is closed
        pass
    os.close(master)
    assert process.wait(60) == 0
    progress, written = shown.decode().replace("\r\n", "\n").rstrip().rsplit("\n", 1)
    assert written.startswith("Written: ")
    assert progress.startswith("\r\x1b[Kquantising to Q6_K ... ")
    assert "\n" not in progress
