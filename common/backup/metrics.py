"""What monitoring sees: a file for node-exporter's textfile collector."""

from __future__ import annotations

import time
from pathlib import Path

TEMPLATE = """# HELP code_du_travail_backup_last_success_timestamp_seconds When the newest archive was made.
# TYPE code_du_travail_backup_last_success_timestamp_seconds gauge
code_du_travail_backup_last_success_timestamp_seconds {made}
# HELP code_du_travail_backup_size_bytes How large it is.
# TYPE code_du_travail_backup_size_bytes gauge
code_du_travail_backup_size_bytes {size}
# HELP code_du_travail_backup_target_ok Whether it reached the second place, too; 1 where there is none.
# TYPE code_du_travail_backup_target_ok gauge
code_du_travail_backup_target_ok {sent}
"""


def write(file: Path, archive: Path, *, sent: bool) -> None:
    """Replace the file in one step."""
    fresh = file.with_name(f".{file.name}.new")
    size = archive.stat().st_size
    fresh.write_text(TEMPLATE.format(made=int(time.time()), size=size, sent=int(sent)), encoding="ascii")
    fresh.chmod(0o644)
    fresh.replace(file)
