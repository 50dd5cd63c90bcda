"""A package is read by its one member; anything else is refused with the file's name and what was expected."""

from __future__ import annotations

import gzip
import json
import tarfile
from pathlib import Path

import pytest

from ai_core.knowledge import archive, package
from ai_core.knowledge.errors import PackageInvalid
from ai_core.knowledge.package import read_package
from tests.ai_core.knowledge.small_code import CODE_MEMBER, SMALL_CODE, write_archive, write_json, write_package


def test_a_package_gives_its_code_and_version(tmp_path: Path) -> None:
    code = read_package(write_package(tmp_path / "legi.tgz", version="2.0.1"))
    assert json.loads(code.content) == SMALL_CODE
    assert (code.version, code.source) == ("2.0.1", "legi.tgz")


def test_the_json_alone_is_enough(tmp_path: Path) -> None:
    code = read_package(write_json(tmp_path / "code.json"))
    assert json.loads(code.content) == SMALL_CODE
    assert code.version == "file"


def test_nothing_is_unpacked(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    escaping = tarfile.TarInfo("../../escaped.txt")
    read_code = (tarfile.TarInfo(CODE_MEMBER), b"{}")
    read_package(write_archive(folder / "legi.tgz", [(escaping, b"boo"), read_code]))
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["in", "legi.tgz"]


def refusal(path: Path) -> str:
    with pytest.raises(PackageInvalid) as caught:
        read_package(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "nowhere.tgz")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert "expected" in refusal(tmp_path)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.tgz").touch()
    assert "empty" in refusal(tmp_path / "empty.tgz")


def test_another_package_is_refused(tmp_path: Path) -> None:
    other = write_archive(tmp_path / "other.tgz", [(tarfile.TarInfo("package/index.js"), b"//")])
    assert CODE_MEMBER in refusal(other)


def test_a_cut_off_package_is_refused(tmp_path: Path) -> None:
    whole = write_package(tmp_path / "legi.tgz").read_bytes()
    (tmp_path / "cut.tgz").write_bytes(whole[: len(whole) // 2])
    assert "damaged" in refusal(tmp_path / "cut.tgz")


def test_compressed_noise_is_refused(tmp_path: Path) -> None:
    (tmp_path / "noise.tgz").write_bytes(gzip.compress(b"no tar at all" * 100))
    assert "damaged" in refusal(tmp_path / "noise.tgz")


def test_a_link_in_place_of_the_code_is_refused(tmp_path: Path) -> None:
    link = tarfile.TarInfo(CODE_MEMBER)
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    assert "not a plain file" in refusal(write_archive(tmp_path / "link.tgz", [(link, b"")]))


def test_a_huge_member_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "MAX_CODE_BYTES", 100)
    assert "more than the 100 allowed" in refusal(write_package(tmp_path / "legi.tgz"))
    assert "larger than 100" in refusal(write_json(tmp_path / "code.json"))


def test_an_endless_archive_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_MEMBERS", 5)
    many = [(tarfile.TarInfo(f"package/{number}"), b"") for number in range(10)]
    assert "far larger" in refusal(write_archive(tmp_path / "many.tgz", many))
    monkeypatch.setattr(archive, "MAX_MEMBERS", 100)
    monkeypatch.setattr(archive, "MAX_UNPACKED_BYTES", 1000)
    big = [(tarfile.TarInfo("package/big"), b"0" * 5000)]
    assert "far larger" in refusal(write_archive(tmp_path / "bomb.tgz", big))


@pytest.mark.parametrize("manifest", [b"not json", b"[]", b"{}", b'{"version": 3}', b'{"version": ""}'])
def test_a_package_without_a_version_is_refused(tmp_path: Path, manifest: bytes) -> None:
    members = [(tarfile.TarInfo("package/package.json"), manifest), (tarfile.TarInfo(CODE_MEMBER), b"{}")]
    assert "package.json" in refusal(write_archive(tmp_path / "legi.tgz", members))


def test_a_version_cannot_lead_out_of_the_data_directory(tmp_path: Path) -> None:
    assert "/" not in read_package(write_package(tmp_path / "legi.tgz", version="../../x")).version
