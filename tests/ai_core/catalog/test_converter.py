"""llama.cpp's converter comes from the locked package and from nothing else."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from ai_core.catalog import converter
from ai_core.catalog.converter import ConverterMissing, LockedPackage, bring_converter
from ai_core.catalog.job import Job, JobStatus
from tests.ai_core.catalog.test_job import finished

INSIDE = "llama_cpp_python-1.2.3/vendor/llama.cpp/"
SCRIPT = INSIDE + converter.SCRIPT


def package(path: Path, files: dict[str, bytes], links: tuple[str, ...] = ()) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name in links:
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(link)
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


@pytest.fixture
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lock file in the place of ours."""
    path = tmp_path / "lock.txt"
    monkeypatch.setattr(converter, "LOCK_FILE", path)
    return path


def lock_to(lock: Path, archive: Path) -> None:
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    lock.write_text(f"numpy==1.0 \\\n    --hash=sha256:aa\nllama-cpp-python==1.2.3 \\\n    --hash=sha256:{digest}\n")


def bring(tmp_path: Path, source: Path | None) -> Job:
    return finished(Job("bring", lambda progress: bring_converter(tmp_path / "data", source, progress)))


def test_our_own_lock_has_the_package() -> None:
    locked = LockedPackage.read()
    assert locked.version.count(".") == 2
    assert all(len(value) == 64 for value in locked.hashes)


def test_only_the_converter_is_taken_out_of_a_package_at_hand(tmp_path: Path, lock: Path) -> None:
    files = {SCRIPT: b"script", INSIDE + "conversion/base.py": b"base", INSIDE + "gguf-py/gguf/a.py": b"gguf"}
    others = {INSIDE + "src/llama.cpp": b"no", "llama_cpp_python-1.2.3/convert_hf_to_gguf.py": b"no"}
    archive = package(tmp_path / "x.tar.gz", files | others)
    lock_to(lock, archive)
    job = bring(tmp_path, archive)
    assert job.error is None
    folder = tmp_path / "data" / "tools" / "llama.cpp-1.2.3"
    assert job.result == folder / "convert_hf_to_gguf.py"
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert found == {"convert_hf_to_gguf.py", "conversion/base.py", "gguf-py/gguf/a.py"}
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_a_second_time_nothing_is_fetched(tmp_path: Path, lock: Path) -> None:
    archive = package(tmp_path / "x.tar.gz", {SCRIPT: b"script"})
    lock_to(lock, archive)
    bring(tmp_path, archive)
    archive.unlink()
    assert bring(tmp_path, archive).status is JobStatus.DONE


def test_a_package_with_another_hash_is_refused(tmp_path: Path, lock: Path) -> None:
    archive = package(tmp_path / "x.tar.gz", {SCRIPT: b"script"})
    lock_to(lock, archive)
    package(archive, {SCRIPT: b"another"})
    job = bring(tmp_path, archive)
    assert job.error is not None
    assert "x.tar.gz is not the source package of llama-cpp-python 1.2.3: its hash differs" in job.error
    assert not (tmp_path / "data" / "tools" / "llama.cpp-1.2.3").exists()


def test_names_that_lead_elsewhere_and_links_are_left_out(tmp_path: Path, lock: Path) -> None:
    bad = {INSIDE + "conversion/../../../../../out.py": b"x", "/vendor/llama.cpp/conversion/abs.py": b"x"}
    archive = package(tmp_path / "x.tar.gz", {SCRIPT: b"script", **bad}, links=(INSIDE + "conversion/link.py",))
    lock_to(lock, archive)
    folder = bring(tmp_path, archive).result
    assert folder is not None
    written = [path.name for path in (tmp_path / "data").rglob("*") if not path.is_dir()]
    assert sorted(written) == ["abs.py", "convert_hf_to_gguf.py"]
    assert (folder.parent / "conversion" / "abs.py").is_file()  # below our folder, whatever its name in the package
    assert not list(tmp_path.rglob("out.py"))


def test_a_package_without_the_converter_is_refused(tmp_path: Path, lock: Path) -> None:
    archive = package(tmp_path / "x.tar.gz", {INSIDE + "LICENSE": b"MIT"})
    lock_to(lock, archive)
    error = bring(tmp_path, archive).error
    assert error is not None
    assert "holds no convert_hf_to_gguf.py" in error


def test_without_a_registry_the_way_round_is_named(tmp_path: Path, lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock.write_text("llama-cpp-python==0.0.1 \\\n    --hash=sha256:" + 64 * "a" + "\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    job = bring(tmp_path, None)
    assert job.status is JobStatus.FAILED
    assert job.error is not None
    assert "pip could not bring llama-cpp-python 0.0.1" in job.error
    assert "--source FILE.tar.gz" in job.error


def test_a_lock_without_the_package_is_named(tmp_path: Path, lock: Path) -> None:
    with pytest.raises(ConverterMissing, match="lock.txt"):
        LockedPackage.read()
    lock.write_text("numpy==1.0 \\\n    --hash=sha256:aa\n")
    with pytest.raises(ConverterMissing, match="has no entry with hashes for llama-cpp-python"):
        LockedPackage.read()
