"""The command `pg2aug expand`, from the checkout."""

import sys

from pg2aug.cli.expand import main

if __name__ == '__main__':
    sys.exit(main())
