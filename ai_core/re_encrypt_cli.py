"""`ai-core re-encrypt`: after it an older secret can be taken out of SECRET_KEY."""

from __future__ import annotations

import argparse

from ai_core.operations import SECRET_FILE
from ai_core.settings import Settings
from ai_core.storage import open_storage
from common.crypto import secret_keys
from common.re_encryption_report import report, retire_keys
from common.retired_keys import RetiredKeys


def add_command(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("--check", action="store_true", help="only say whether an older secret is still needed")
    parser.set_defaults(command=_re_encrypt)


def _re_encrypt(settings: Settings, options: argparse.Namespace) -> int:
    # Nothing here is encrypted: no text is kept. What older secrets are needed for is to find people in the usage.
    secrets = secret_keys(settings.secret_key, settings.data_dir / SECRET_FILE)
    retired = RetiredKeys(open_storage(settings.database_url), secrets)
    kept = retire_keys(retired, secrets, retention_days=settings.usage_retention_days, dry=options.check)
    lines, status = report({"hashing keys": kept}, dry=options.check)
    print("\n".join(lines))
    return status
