"""`python -m ai_core`: see `--help`."""

import sys

from ai_core.cli import main

if __name__ == "__main__":
    sys.exit(main())
