"""What is installed is what was locked: exact versions, each with its hashes, from the index that the host chose.

Whether a locked version has a known vulnerability changes without us: `make audit` looks it up.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "requirements"
WITHOUT_HASHES = {
    "torch.txt",  # the processor's build has other hashes than the registry's
    "constraints.txt",  # versions that the locks agree on; nothing is installed from it
    "overrides.txt",
}
LOCKS = sorted(path for path in REQUIREMENTS.glob("*.txt") if path.name not in WITHOUT_HASHES)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_every_requirement_is_one_version_with_its_hashes(lock: Path) -> None:
    text = lock.read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert lines
    for line in lines:
        assert re.match(r"[A-Za-z0-9._\[\],-]+==[^ ]+ ", line), line[:80]
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", line), line[:80]
        assert not re.search(r"--(extra-)?index-url|--trusted-host|--find-links| @ |://", line), line[:80]


def test_nothing_is_installed_without_hashes_but_torch() -> None:
    places = [ROOT / "Makefile", *(ROOT / "ansible").rglob("*.yml"), *(ROOT / "ansible").rglob("*.j2")]
    installing = [
        line.strip()
        for place in places
        for line in place.read_text(encoding="utf-8").splitlines()
        if re.search(r"(pip|PIP)\)?\"? .*install.* -r |pip install -r", line)
    ]
    assert installing
    assert [line for line in installing if "--require-hashes" not in line and "torch" not in line] == []


def test_the_audit_looks_at_all_that_is_installed() -> None:
    told = subprocess.run(["make", "--dry-run", "audit"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"requirements/(\S+?\.txt)", told)) == {path.name for path in LOCKS} | {"torch.txt"}
    assert "pip-audit --strict" in told, "or a package that nobody knows would pass"
