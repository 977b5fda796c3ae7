"""The command `pg2aug bank`, from the checkout."""

import sys

from pg2aug.cli.bank import main

if __name__ == '__main__':
    sys.exit(main())
