"""The command `pg2aug validate`, from the checkout."""

import sys

from pg2aug.cli.validate import main

if __name__ == '__main__':
    sys.exit(main())
