"""The command `pg2aug study`, from the checkout."""

import sys

from pg2aug.cli.study import main

if __name__ == '__main__':
    sys.exit(main())
