"""`python -m telegram_service`: see `--help`."""

import sys

from telegram_service.cli import main

if __name__ == "__main__":
    sys.exit(main())
