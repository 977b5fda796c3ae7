"""The command `pg2aug test`, from the checkout."""

import sys

from pg2aug.cli.test import main

if __name__ == '__main__':
    sys.exit(main())
