"""The table of README.md names tests that there are."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def test_every_test_that_the_table_names_is_there() -> None:
    table = (HERE / "README.md").read_text(encoding="utf-8")
    named = 0
    for line in table.splitlines():
        file: Path | None = None
        for path, test in re.findall(r"`(?P<path>[\w/]*\.py|)(?:::(?P<test>\w+))?`", line):
            if path:
                file = next((at for at in (HERE / path, ROOT / path) if at.is_file()), None)
                assert file is not None, path
            if test:
                assert file is not None, line
                assert f"def {test}(" in file.read_text(encoding="utf-8"), (file.name, test)
            named += bool(path or test)
    assert named > 50
