"""`python -m mail_service`: see `--help`."""

import sys

from mail_service.cli import main

if __name__ == "__main__":
    sys.exit(main())
