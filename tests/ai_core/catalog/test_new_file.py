"""Files that are there whole or not at all."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from ai_core.catalog.errors import NoSpace, TargetTaken
from ai_core.catalog.new_file import new_file, require_not_full, require_space


def test_the_file_appears_when_the_block_has_ended(tmp_path: Path) -> None:
    target = tmp_path / "models" / "x.gguf"
    with new_file(target) as unfinished:
        unfinished.path.write_text("whole")
        assert not target.exists()
    assert target.read_text() == "whole"
    assert list(target.parent.iterdir()) == [target]


def test_a_failed_block_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with new_file(tmp_path / "x.gguf") as unfinished:
            unfinished.path.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_text("mine")
    with pytest.raises(TargetTaken, match="x.gguf exists already"), new_file(tmp_path / "x.gguf"):
        pass
    assert (tmp_path / "x.gguf").read_text() == "mine"


def test_two_cannot_write_the_same_file(tmp_path: Path) -> None:
    target = tmp_path / "x.gguf"
    with new_file(target) as first:
        first.path.write_text("first")
        with pytest.raises(TargetTaken, match="is being written already"), new_file(target):
            pass
    assert target.read_text() == "first"


def test_what_a_killed_process_left_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / ".x.gguf.part").write_text("half of something")
    with new_file(tmp_path / "x.gguf") as unfinished:
        unfinished.path.write_text("whole")
    assert (tmp_path / "x.gguf").read_text() == "whole"


def test_a_disk_with_too_little_room_is_said_with_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10 * 2**20))
    with pytest.raises(NoSpace, match="10 MiB free, 364 MiB are needed"):
        require_space(tmp_path / "not" / "yet", 300 * 2**20)
    with pytest.raises(NoSpace, match="the disk is full"):
        require_not_full(tmp_path)
