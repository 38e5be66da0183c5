"""`python -m ddcore`: see `ddcore.cli`."""

import sys

from ddcore.cli import main

if __name__ == "__main__":
    sys.exit(main())
